//! Connections that are cut in the middle of a word, and connections that are dead without
//! anybody being told.

use std::thread;
use std::time::Duration;

use crate::CLIENT;
use pgqrs::{Consumer, ErrorKind, Outcome, PgStore, Producer, Settlement, Store};
use postgres::Client;

use pgqrs_test_support::{MINUTE, Schema, server, wait_until};
use pgqrs_tests::chaos::audit::Wrong;
use pgqrs_tests::chaos::child::Role;
use pgqrs_tests::chaos::errand::{ERRANDS, Errand, PLAIN};
use pgqrs_tests::chaos::run::Run;
use pgqrs_tests::chaos::wire::Wire;

/// How many answers are cut at least, and how many requests.
const CUTS: usize = 15;

/// Everybody behind a wire that is cut now and then.
fn cut(run: &mut Run, wire: &Wire) {
    let dsn = wire.dsn();
    run.set("PGQRS_DSN", &dsn).with_everybody().progress(50);
    // An enqueue with keys is made again by the store, and a dequeue is nowhere in the ledger.
    let mut cuts = 0;
    while cuts < CUTS || run.figures().unknown == 0 {
        wire.cut_an_answer();
        run.progress(10);
        wire.cut_a_request();
        run.progress(10);
        cuts += 1;
        assert!(cuts < 10 * CUTS, "nobody was left in doubt");
    }
    wait_until("all to be cut", MINUTE, || wire.cut() == 2 * cuts);
}

/// What was sent and not answered is told as of unknown fate; with a key, it is repeated, and stored
/// once.
#[test]
fn answers_and_requests_are_cut_off_in_the_middle() {
    let schema = Schema::new();
    let wire = Wire::start(server().dsn());
    let mut run = Run::new(CLIENT, server().dsn(), schema.name());
    cut(&mut run, &wire);
    let audit = run.holds();
    assert!(audit.said.unknown > 0, "{audit}");
}

/// So would it be without keys.
#[test]
fn a_repeated_enqueue_whose_key_is_ignored_is_found() {
    let schema = Schema::new();
    let wire = Wire::start(server().dsn());
    let mut run = Run::new(CLIENT, server().dsn(), schema.name());
    run.set("PGQRS_DSN", wire.dsn())
        .set("CHAOS_FAULT", "keys-ignored");
    run.start_on(Role::Producer, ERRANDS);
    // Half of them have keys, and most of those whose answer is cut were stored.
    for _ in 0..40 {
        let put = run.figures().put;
        wire.cut_an_answer();
        run.wait("the next", |now| now.put >= put + 10);
    }
    let audit = run.audit();
    println!("{audit}");
    assert!(audit.wrongs().contains(&Wrong::StoredTwice), "{audit}");
}

/// The worker behind the wire hears nothing any more and does not know it. Others do its work; when
/// the connections break at last, it changes nothing, and goes on.
#[test]
fn connections_go_dead_for_longer_than_a_lease() {
    let schema = Schema::new();
    let wire = Wire::start(server().dsn());
    let mut run = Run::new(CLIENT, server().dsn(), schema.name());
    run.set("CHAOS_PAUSE", 20);
    run.with_everybody();
    run.set("PGQRS_DSN", wire.dsn()).set("CHAOS_WORK", 20);
    let dead = run.start(Role::Worker);
    run.start_on(Role::Producer, ERRANDS);
    let (mut rounds, mut told) = (0, 0);
    while told < 3 {
        rounds += 1;
        assert!(rounds < 30, "it was told {told} times");
        run.progress(50);
        wait_until("it to hold something", MINUTE, || {
            !run.ledger(dead).held().is_empty()
        });
        let frozen = wire.freeze();
        let held = run.ledger(dead).held();
        let taken = run.taken_over(dead, &held);
        drop(frozen);
        // Else it was just done with all that when its connections went dead.
        told += usize::from(!taken.is_empty() && run.is_told_late(dead, &taken));
    }
    run.progress(50);
    let audit = run.holds();
    assert!(audit.late > 0, "{audit}");
}

/// The client learns of the answer and of the end at the same time. What the driver tells is the
/// end alone; it must not be taken for the answer, and the call be made again.
#[test]
fn an_answer_arrives_together_with_the_end_of_its_session() {
    let schema = Schema::new();
    let wire = Wire::start(server().dsn());
    let run = Run::new(CLIENT, server().dsn(), schema.name());
    let store = PgStore::builder(&wire.dsn())
        .schema(schema.name())
        .pool_size(1)
        .build()
        .unwrap();
    let producer = Producer::new(&store, ERRANDS).unwrap();
    let mut client = run.client();
    let value =
        |client: &mut Client, sql: &str| -> i64 { client.query_one(sql, &[]).unwrap().get(0) };
    const STORED: &str = "SELECT count(*) FROM pgqrs_messages";
    let backend =
        "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'pgqrs_messages'::regclass";
    let mut blocker = run.client();
    let mut tx = blocker.transaction().unwrap();
    tx.batch_execute("LOCK TABLE pgqrs_messages").unwrap();
    let answer = thread::scope(|scope| {
        let enqueue = scope.spawn(|| producer.enqueue(&Errand::new(ERRANDS, "this-one", 0)));
        let mut pid: i32 = 0;
        wait_until("the server to have heard of it", MINUTE, || {
            let row = client.query_opt(backend, &[]).unwrap();
            pid = row.map_or(0, |row| row.get(0));
            pid != 0
        });
        let frozen = wire.freeze();
        tx.commit().unwrap();
        wait_until("the message to be stored", MINUTE, || {
            value(&mut client, STORED) == 1
        });
        let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
        let end = format!("SELECT pg_terminate_backend({pid})");
        client.query_one(&end, &[]).unwrap();
        wait_until("the session to end", MINUTE, || {
            value(&mut client, &gone) == 0
        });
        frozen.thaw();
        enqueue.join().unwrap()
    });
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FateUnknown, "{error}");
    assert_eq!(value(&mut client, STORED), 1);
}

/// Between two statements of one call the client hears nothing any more, while its transaction holds
/// the lock of a message whose lease is over. The server ends it.
#[test]
fn a_call_stands_still_in_its_transaction() {
    let schema = Schema::new();
    let wire = Wire::start(server().dsn());
    let run = Run::new(CLIENT, server().dsn(), schema.name());
    let store = |dsn: &str| {
        let builder = PgStore::builder(dsn).schema(schema.name());
        builder.lock_time(Duration::from_millis(1)).build().unwrap()
    };
    let (still, other) = (store(&wire.dsn()), store(server().dsn()));
    let producer = Producer::new(&other, PLAIN).unwrap();
    producer.batch_enqueue(["a", "b"]).unwrap();
    let consumer = Consumer::new(&still, PLAIN).unwrap();
    let held = consumer.dequeue().unwrap();
    let settlements = [Outcome::Archive, Outcome::DeadLetter("why".to_owned())];
    let settlements: Vec<Settlement> = held
        .iter()
        .zip(settlements)
        .map(|(message, outcome)| Settlement {
            receipt: message.into(),
            outcome,
        })
        .collect();
    let mut client = run.client();
    let mut counts = |sql: &str| -> i64 { client.query_one(sql, &[]).unwrap().get(0) };
    let mut blocker = run.client();
    let mut tx = blocker.transaction().unwrap();
    tx.batch_execute("LOCK TABLE pgqrs_done, pgqrs_dead")
        .unwrap();
    let answers = thread::scope(|scope| {
        let call = scope.spawn(|| still.settle(consumer.queue().id, &settlements));
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted
                     AND relation IN ('pgqrs_done'::regclass, 'pgqrs_dead'::regclass)";
        wait_until("its first statement to wait", MINUTE, || counts(waits) == 1);
        let frozen = wire.freeze();
        tx.commit().unwrap();
        let others = Consumer::new(&other, PLAIN).unwrap();
        let mut taken = Vec::new();
        wait_until("another to get both messages", MINUTE, || {
            taken.extend(others.dequeue_many(2).unwrap().into_iter().map(|m| m.id));
            held.iter().all(|message| taken.contains(&message.id))
        });
        frozen.thaw();
        call.join().unwrap()
    });
    // The call was made again, too late; or its fate is unknown.
    match answers {
        Ok(answers) => assert_eq!(answers, [false, false]),
        Err(error) => assert!(error.is_transient(), "{error}"),
    }
    let counts = other.counts(PLAIN).unwrap();
    assert_eq!((counts.archived, counts.dead), (0, 0));
}
