//! Connections that die, and servers that do.

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use pgqrs::{Consumer, ErrorKind, PgStore, Producer, Store};
use postgres::Client;

use crate::pg::Pg;
use pgqrs_test_support::{Cluster, Schema, private_server, wait_until};

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A store on a server of the test's own, and a queue named "tasks".
pub(crate) fn store_on(server: &Cluster) -> PgStore {
    let store = PgStore::builder(server.dsn())
        .connection_timeout(DEADLINE)
        .build()
        .unwrap();
    store.install().unwrap();
    store.create_queue("tasks").unwrap();
    store
}

/// A URL whose sessions can be told from all others by their application name.
pub(crate) fn named(dsn: &str, name: &str) -> String {
    let separator = if dsn.contains('?') { '&' } else { '?' };
    format!("{dsn}{separator}application_name={name}")
}

/// Whether there are sessions of that name.
pub(crate) fn has_sessions(client: &mut Client, name: &str) -> bool {
    let sql = "SELECT FROM pg_stat_activity WHERE application_name = $1";
    !client.query(sql, &[&name]).unwrap().is_empty()
}

/// A store whose sessions have that name.
pub(crate) fn named_store(name: &str) -> (Pg, Client) {
    let schema = Schema::new();
    let named = PgStore::builder(&named(schema.dsn(), name)).schema(schema.name());
    let pg = Pg::in_schema(schema, |_| named);
    pg.store.create_queue("tasks").unwrap();
    let client = pg.client();
    (pg, client)
}

/// Ends all sessions of that name, and waits until they are gone.
fn terminate(client: &mut Client, name: &str) -> usize {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
    let ended = client.query(sql, &[&name]).unwrap().len();
    wait_until("the sessions to end", DEADLINE, || {
        !has_sessions(client, name)
    });
    ended
}

/// Waits until a session waits for a lock on a table of ours.
fn wait_until_blocked(client: &mut Client) {
    wait_until("a session to be blocked", DEADLINE, || {
        let sql = "SELECT count(*) > 0 FROM pg_locks
                   WHERE relation IN ('pgqrs_messages'::regclass, 'pgqrs_done'::regclass)
                     AND NOT granted";
        client.query_one(sql, &[]).unwrap().get(0)
    });
}

/// Makes a call again for as long as nobody knows its fate; it was not carried out here.
fn again<T>(mut call: impl FnMut() -> pgqrs::Result<T>) -> T {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::FateUnknown => {}
            other => return other.unwrap(),
        }
    }
}

/// Used a moment ago, they are not asked before they are used again.
#[test]
fn sessions_that_the_server_ended_are_replaced() {
    let (pg, mut client) = named_store("pgqrs_idle");
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let consumer = Consumer::new(&pg.store, "tasks").unwrap();
    for round in 0..5 {
        again(|| producer.enqueue(&round));
        assert!(terminate(&mut client, "pgqrs_idle") > 0);
        let messages = again(|| consumer.dequeue());
        assert_eq!(messages.len(), 1);
        assert!(terminate(&mut client, "pgqrs_idle") > 0);
        assert!(again(|| consumer.archive(&messages[0])));
        assert!(terminate(&mut client, "pgqrs_idle") > 0);
    }
    let counts = pg.store.counts("tasks").unwrap();
    assert_eq!((counts.archived, counts.total()), (5, 5));
}

/// What can be repeated is, and nobody hears of it.
#[test]
fn what_is_harmless_is_repeated_on_another_session() {
    let (pg, mut client) = named_store("pgqrs_harmless");
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    for round in 0..5 {
        producer
            .enqueue_once(format!("key {round}"), "once")
            .unwrap();
        assert!(terminate(&mut client, "pgqrs_harmless") > 0);
    }
    assert_eq!(pg.store.counts("tasks").unwrap().total(), 5);
}

/// The first that is found dead brings all of them under suspicion.
#[test]
fn a_whole_pool_of_ended_sessions_costs_one_error_at_most() {
    let (pg, mut client) = named_store("pgqrs_pool");
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let mut blocker = pg.client();
    let mut tx = blocker.transaction().unwrap();
    tx.batch_execute("LOCK TABLE pgqrs_messages").unwrap();
    // Eight calls at once open eight connections.
    thread::scope(|scope| {
        for number in 0..8 {
            let producer = &producer;
            scope.spawn(move || producer.enqueue(&number).unwrap());
        }
        wait_until("eight sessions", DEADLINE, || {
            let sql = "SELECT count(*) FROM pg_stat_activity
                       WHERE application_name = 'pgqrs_pool' AND wait_event_type = 'Lock'";
            client.query_one(sql, &[]).unwrap().get::<_, i64>(0) == 8
        });
        tx.rollback().unwrap();
    });
    assert_eq!(terminate(&mut client, "pgqrs_pool"), 8);
    again(|| producer.enqueue("the one"));
    for number in 1..16 {
        producer.enqueue(&number).unwrap();
    }
    assert_eq!(pg.store.counts("tasks").unwrap().ready, 24);
}

/// The server may say that it ends a session instead of an answer, or right after one: see
/// `src/pg/fault.rs`.
#[test]
fn a_call_whose_session_the_server_ended_is_of_unknown_fate() {
    let (pg, mut client) = named_store("pgqrs_blocked");
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    producer.enqueue("before").unwrap();
    let mut blocker = pg.client();
    let mut tx = blocker.transaction().unwrap();
    tx.batch_execute("LOCK TABLE pgqrs_messages").unwrap();
    let error = thread::scope(|scope| {
        let blocked = scope.spawn(|| producer.enqueue("not this one"));
        wait_until_blocked(&mut client);
        assert!(terminate(&mut client, "pgqrs_blocked") > 0);
        tx.rollback().unwrap();
        blocked.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::FateUnknown, "{error}");
    assert_eq!(pg.store.counts("tasks").unwrap().total(), 1);
}

#[test]
fn a_call_whose_answer_is_lost_says_that_its_fate_is_unknown() {
    let server = private_server();
    let store = store_on(&server);
    let producer = Producer::new(&store, "tasks").unwrap();
    producer.enqueue("before").unwrap();
    let mut blocker = server.connect();
    let mut client = server.connect();
    let mut tx = blocker.transaction().unwrap();
    tx.batch_execute("LOCK TABLE pgqrs_messages").unwrap();
    let error = thread::scope(|scope| {
        let blocked = scope.spawn(|| producer.enqueue("lost"));
        wait_until_blocked(&mut client);
        server.kill();
        blocked.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::FateUnknown, "{error}");
    assert!(error.is_transient());
    assert!(error.to_string().contains("fate"), "{error}");

    server.start();
    producer.enqueue("after").unwrap();
    assert_eq!(store.counts("tasks").unwrap().ready, 2);
}

/// By the clock it is now and then a transaction: not committed, so certainly not done, and made
/// again by the store itself. On a machine that is slow enough, always.
#[test]
fn an_archive_and_dequeue_whose_answer_is_lost_can_be_repeated() {
    const ROUNDS: usize = 10;
    let server = private_server();
    let store = store_on(&server);
    let producer = Producer::new(&store, "tasks").unwrap();
    let consumer = Consumer::builder(store.clone(), "tasks")
        .lock_time(Duration::from_secs(3_600))
        .build()
        .unwrap();
    for _ in 0..ROUNDS {
        producer.enqueue("held").unwrap();
        let mut blocker = server.connect();
        let mut client = server.connect();
        let mut tx = blocker.transaction().unwrap();
        tx.batch_execute("LOCK TABLE pgqrs_done").unwrap();
        let held = consumer.dequeue().unwrap();
        producer.enqueue("next").unwrap(); // its commit flushes the lease as well
        let answer = thread::scope(|scope| {
            let blocked = scope.spawn(|| consumer.archive_and_dequeue(&held, 1));
            wait_until_blocked(&mut client);
            server.kill();
            server.start();
            blocked.join().unwrap()
        });
        let lost = answer.as_ref().err().map(|error| error.kind());
        let (archived, next) =
            answer.unwrap_or_else(|_| consumer.archive_and_dequeue(&held, 1).unwrap());
        assert_eq!((archived, next.len()), (vec![true], 1));
        assert!(consumer.archive(&next[0]).unwrap());
        if let Some(kind) = lost {
            assert_eq!(kind, ErrorKind::FateUnknown);
            return;
        }
    }
}

#[test]
fn a_server_that_is_away_is_waited_for() {
    let server = private_server();
    let store = store_on(&server);
    let producer = Producer::new(&store, "tasks").unwrap();
    server.stop();
    thread::scope(|scope| {
        // Whether the call finds the old connection dead or gets no new one, it was not
        // carried out: it waits until it is.
        let waiting = scope.spawn(|| {
            loop {
                match producer.enqueue("patient") {
                    // The only connection was used a moment ago, and was not asked.
                    Err(error) if error.kind() == ErrorKind::FateUnknown => {}
                    other => return other,
                }
            }
        });
        server.start();
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(store.counts("tasks").unwrap().ready, 1);
}

#[test]
fn who_gets_no_connection_is_told_why() {
    let server = private_server();
    let store = PgStore::builder(server.dsn())
        .connection_timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    store.install().unwrap();
    server.stop();
    // The connection that there was may be found dead first.
    let error = std::iter::repeat_with(|| store.queues().unwrap_err())
        .find(|error| error.kind() == ErrorKind::Unavailable)
        .unwrap();
    let text = error.to_string();
    assert!(text.contains("onnection refused"), "the cause: {text}");
}

#[test]
fn an_unreachable_server_and_a_refused_login_are_told_at_once() {
    let refused = PgStore::connect("postgresql://127.0.0.1:1/nowhere").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let text = refused.to_string();
    assert!(text.contains("onnection refused"), "the cause: {text}");
    let pg = Pg::new();
    let (front, _) = pg.schema.dsn().rsplit_once('/').unwrap();
    let unknown = PgStore::connect(&format!("{front}/no_such_database")).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Invalid);
    assert!(!unknown.is_transient());
    assert!(
        unknown.to_string().contains("no_such_database"),
        "{unknown}"
    );
}

#[test]
fn a_restart_in_the_middle_of_a_drain_loses_nothing() {
    const MESSAGES: usize = 20_000;
    let server = private_server();
    let store = store_on(&server);
    let producer = Producer::new(&store, "tasks").unwrap();
    producer.batch_enqueue(0..MESSAGES).unwrap();

    // How often each message was archived, as far as the consumers were told.
    let archived: Mutex<HashMap<i64, usize>> = Mutex::default();
    let unfinished = || loop {
        match store.counts("tasks") {
            Ok(counts) => return counts.unfinished(),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let consumer = Consumer::builder(&store, "tasks")
                    .lock_time(Duration::from_secs(2))
                    .poll_interval(Duration::from_millis(20))
                    .build()
                    .unwrap();
                while unfinished() > 0 {
                    let messages = match consumer.poll(50, Duration::from_millis(500)) {
                        Ok(messages) => messages,
                        Err(error) => {
                            assert!(error.is_transient(), "{error}");
                            continue;
                        }
                    };
                    match consumer.archive_many(&messages) {
                        Ok(answers) => {
                            let mut archived = archived.lock().unwrap();
                            let done = messages.iter().zip(answers).filter(|(_, done)| *done);
                            for (message, _) in done {
                                *archived.entry(message.id).or_default() += 1;
                            }
                        }
                        Err(error) => assert!(error.is_transient(), "{error}"),
                    }
                }
            });
        }
        for part in [4, 2] {
            wait_until("a part of the messages to be archived", DEADLINE, || {
                archived.lock().unwrap().len() > MESSAGES / part
            });
            server.restart_immediate();
        }
    });
    let counts = store.counts("tasks").unwrap();
    assert_eq!(counts.archived, MESSAGES as u64);
    assert_eq!(counts.total(), MESSAGES as u64);
    assert!(archived.lock().unwrap().values().all(|times| *times == 1));
}
