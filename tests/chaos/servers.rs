//! Servers that end sessions, shut down at once, and die.

use std::time::{Duration, Instant};

use crate::CLIENT;
use pgqrs_test_support::{private_server, wait_until};
use pgqrs_tests::chaos::audit::Wrong;
use pgqrs_tests::chaos::child::Role;
use pgqrs_tests::chaos::line::Line;
use pgqrs_tests::chaos::run::{Run, terminate_sessions};

#[test]
fn sessions_are_terminated_several_times_a_second() {
    let server = private_server();
    let mut run = Run::new(CLIENT, server.dsn(), "public");
    run.with_everybody().progress(100);
    let mut client = run.client();
    // So many messages come and go in a fraction of a second. By the clock, nobody might get
    // anywhere on a slow machine.
    let (mut rounds, mut terminated) = (0, 0);
    let began = Instant::now();
    while rounds < 20 || terminated < 100 || run.figures().unknown == 0 {
        terminated += terminate_sessions(&mut client);
        run.progress(20);
        rounds += 1;
        assert!(rounds < 500, "{terminated} were, and nobody minds");
    }
    println!("{rounds} times in {:?}", began.elapsed());
    run.holds();
}

#[test]
fn the_server_is_shut_down_at_once_and_restarted() {
    let server = private_server();
    let mut run = Run::new(CLIENT, server.dsn(), "public");
    run.may_forget_leases();
    run.with_everybody();
    for _ in 0..3 {
        run.progress(150);
        server.restart_immediate();
    }
    run.progress(150);
    run.holds();
}

#[test]
fn the_server_is_killed() {
    let server = private_server();
    let mut run = Run::new(CLIENT, server.dsn(), "public");
    run.may_forget_leases();
    run.with_everybody();
    for _ in 0..3 {
        run.progress(150);
        server.kill();
        server.start();
    }
    run.progress(150);
    run.holds();
}

/// Has the server flush nothing by itself for the next ten seconds.
fn flush_only_for_who_waits(run: &Run) {
    let mut client = run.client();
    for sql in [
        "ALTER SYSTEM SET wal_writer_delay = '10s'",
        "ALTER SYSTEM SET wal_writer_flush_after = '1GB'",
        "SELECT pg_reload_conf()",
    ] {
        client.execute(sql, &[]).unwrap();
    }
}

/// The commit of a dequeue is not waited for. A server that dies before it is flushed has
/// forgotten the lease, and its message goes to somebody else while the first one works on it.
#[test]
fn the_server_is_killed_before_a_lease_was_flushed() {
    // It is flushed all the same if the server does so by itself just then, once in ten seconds.
    let forgotten = (0..5).any(|_| a_lease_is_forgotten());
    assert!(forgotten, "no lease was forgotten");
}

fn a_lease_is_forgotten() -> bool {
    let server = private_server();
    let mut run = Run::new(CLIENT, server.dsn(), "public");
    run.may_forget_leases();
    flush_only_for_who_waits(&run);
    let producer = run.start(Role::Producer);
    run.wait("messages", |figures| figures.put >= 20);
    run.process(producer).end();
    wait_until("the last of them", Duration::from_secs(60), || {
        let lines = &run.ledger(producer).lines;
        !matches!(lines.last(), Some(Line::Putting { .. }))
    });
    // Long enough to be still at work when the server is back.
    run.set("CHAOS_WORK", 3_000).set("PGQRS_LOCK_TIME", "60s");
    let slow = run.start(Role::Worker);
    run.wait("deliveries", |figures| figures.deliveries >= 5);
    server.kill();
    let held = run.ledger(slow).held();
    server.start();
    let mut client = run.client();
    let sql = "SELECT count(*) FROM pgqrs_live WHERE read_ct = 0 AND id = ANY ($1)";
    let ids: Vec<i64> = held.iter().map(|delivery| delivery.id).collect();
    let forgotten: i64 = client.query_one(sql, &[&ids]).unwrap().get(0);
    drop(client);
    if forgotten == 0 {
        return false;
    }
    run.set("CHAOS_WORK", 1).set("PGQRS_LOCK_TIME", "1s");
    let audit = run.holds();
    println!("{forgotten} leases were forgotten");
    assert!(audit.late > 0, "{audit}");
    true
}

/// A store whose enqueues do not wait for the disk loses some of them so: it is found.
#[test]
fn an_enqueue_that_is_not_flushed_is_found_to_be_lost() {
    // As above, it may be flushed all the same.
    let found = (0..5).any(|_| an_enqueue_is_found_to_be_lost());
    assert!(found, "nothing was lost, or it was not found");
}

fn an_enqueue_is_found_to_be_lost() -> bool {
    let server = private_server();
    let mut run = Run::new(CLIENT, server.dsn(), "public");
    run.may_forget_leases();
    flush_only_for_who_waits(&run);
    run.set("CHAOS_FAULT", "unflushed");
    let producer = run.start(Role::Producer);
    run.wait("messages", |figures| figures.put >= 50);
    run.process(producer).kill();
    server.kill();
    server.start();
    let audit = run.audit();
    println!("{audit}");
    audit.wrongs().contains(&Wrong::Lost)
}
