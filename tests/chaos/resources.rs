//! Too little of something, and somebody in the way.

use std::process::Stdio;
use std::time::Duration;

use crate::CLIENT;
use pgqrs_test_support::{Cluster, MINUTE, Schema, private_server, server, wait_until};
use pgqrs_tests::chaos::child::Role;
use pgqrs_tests::chaos::run::Run;

/// For longer than any lease.
const LONG: Duration = Duration::from_millis(1_500);

/// One connection for a whole process, and for a while it is stuck.
#[test]
fn the_pool_is_exhausted() {
    let schema = Schema::new();
    let mut run = Run::new(CLIENT, server().dsn(), schema.name());
    run.set("PGQRS_POOL_SIZE", 1)
        .set("PGQRS_CONNECTION_TIMEOUT", "100ms")
        .set("CHAOS_THREADS", 16);
    run.with_everybody();
    for table in ["pgqrs_live", "pgqrs_done"] {
        run.progress(100);
        run.lock(table, LONG);
    }
    run.progress(100);
    assert!(run.has_complained("could not get a connection"));
    run.holds();
}

#[test]
fn statements_time_out() {
    let schema = Schema::new();
    let mut run = Run::new(CLIENT, server().dsn(), schema.name());
    run.set("PGQRS_STATEMENT_TIMEOUT", "50ms");
    run.with_everybody();
    for table in ["pgqrs_messages", "pgqrs_live", "pgqrs_done"] {
        run.progress(100);
        run.lock(table, LONG / 2);
    }
    run.progress(100);
    let audit = run.holds();
    assert!(audit.said.refused > 0, "{audit}");
}

/// A column of their own that somebody gives each table, in a transaction that takes its time.
#[test]
fn tables_are_altered() {
    let schema = Schema::new();
    let mut run = Run::new(CLIENT, server().dsn(), schema.name());
    run.with_everybody();
    for table in [
        "pgqrs_messages",
        "pgqrs_live",
        "pgqrs_scheduled",
        "pgqrs_done",
        "pgqrs_dead",
        "pgqrs_queues",
    ] {
        run.progress(40);
        let sql = format!(
            "BEGIN; ALTER TABLE {table} ADD COLUMN theirs text; SELECT pg_sleep({}); COMMIT",
            LONG.as_secs_f64()
        );
        run.client().batch_execute(&sql).unwrap();
    }
    run.progress(100);
    run.holds();
}

/// A dump that nobody reads, so that it takes as long as the run.
#[test]
fn the_database_is_being_dumped() {
    let server = private_server();
    let mut run = Run::new(CLIENT, server.dsn(), "public");
    // More than all the pipes on the way can hold.
    let ballast = "CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)";
    run.client().batch_execute(ballast).unwrap();
    run.calm().with_everybody().progress(300);
    let mut dump = server.program("pg_dump");
    dump.args(["--dbname", server.inner_dsn()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut dump = dump.spawn().unwrap();
    let mut client = run.client();
    let mut holds_a_snapshot = || {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE application_name = 'pg_dump' AND backend_xmin IS NOT NULL";
        client.query_one(sql, &[]).unwrap().get::<_, i64>(0) > 0
    };
    wait_until("the dump to begin", MINUTE, &mut holds_a_snapshot);
    for _ in 0..5 {
        run.progress(300);
    }
    let audit = run.holds();
    assert!(
        holds_a_snapshot(),
        "the dump has ended: {:?}",
        dump.try_wait()
    );
    let _ = dump.kill();
    let _ = dump.wait();
    assert_eq!(audit.said.refused + audit.said.unknown, 0, "{audit}");
}

/// Its snapshot keeps vacuum from removing anything.
#[test]
fn a_session_is_idle_in_a_transaction() {
    let schema = Schema::new();
    let mut run = Run::new(CLIENT, server().dsn(), schema.name());
    run.calm().with_everybody().progress(100);
    let mut idle = run.client();
    idle.batch_execute(
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pgqrs_live;
         SELECT count(*) FROM pgqrs_messages",
    )
    .unwrap();
    run.progress(1_500);
    let audit = run.holds();
    idle.batch_execute("COMMIT").unwrap();
    assert_eq!(audit.said.refused + audit.said.unknown, 0, "{audit}");
}

/// The tables are on a disk that fills up; when there is room again, everything goes on.
#[test]
fn the_disk_is_full() {
    let server = Cluster::with_small_disk(24);
    let disk = server.small_disk();
    let mut client = server.connect();
    let disk = disk.display();
    for sql in [
        format!("CREATE TABLESPACE small LOCATION '{disk}'"),
        "ALTER SYSTEM SET default_tablespace = 'small'".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
        // 19 of the 24 megabytes.
        format!(
            "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 19000)) TO '{disk}/ballast'"
        ),
    ] {
        client.batch_execute(&sql).unwrap();
    }
    drop(client);
    let mut run = Run::new(CLIENT, server.dsn(), "public");
    run.set("CHAOS_PAUSE", 0);
    run.with_everybody();
    run.wait("the disk to be full", |figures| figures.refused >= 20);
    // Slower from here on, or what is left would not be enough either.
    for number in run.working(Role::Producer) {
        run.process(number).end();
    }
    // A program that did not read its input might be gone before that is written.
    let sql = format!("COPY (SELECT 1) TO PROGRAM 'cat > {disk}/ballast'");
    run.client().batch_execute(&sql).unwrap();
    run.set("CHAOS_PAUSE", 50);
    run.start(Role::Producer);
    run.progress(50);
    assert!(run.has_complained("No space left on device"));
    let audit = run.holds();
    assert!(audit.said.refused >= 20, "{audit}");
}
