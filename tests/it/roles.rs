//! `roles.sql`: what each role can do, and that it can do no more.

use std::fmt::Debug;
use std::time::Duration;

use pgqrs::{
    Consumer, Context, Dequeue, ErrorKind, IfNotEmpty, NewMessage, Outcome, PgStore, Producer,
    Receipt, Report, Result, RetryPolicy, Settlement, State, Store, WorkerPool,
};
use postgres::Client;
use serde_json::{Value, json};

use crate::pg::Pg;
use pgqrs_test_support::{MINUTE, wait_until};
use pgqrs_tests::sleeper::Sleeper;

const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) const TABLES: [&str; 8] = [
    "queues",
    "workers",
    "messages",
    "live",
    "scheduled",
    "done",
    "dead",
    "keys",
];

/// The library's error of a refused call.
#[track_caller]
pub(crate) fn denied<T: Debug>(result: Result<T>, what: &str) {
    let error = result.expect_err(what);
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(!error.is_transient());
    let said = format!("permission denied for {what}");
    assert!(error.to_string().ends_with(&said), "{error}");
}

/// What a hand at psql is told.
#[track_caller]
fn refused(client: &mut Client, sql: &str) {
    let error = client.batch_execute(sql).expect_err(sql);
    let code = error.code().map(|code| code.code().to_owned());
    assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error:?}");
}

/// Nobody but the owner changes what is stored, but by the functions.
#[track_caller]
pub(crate) fn writes_to_no_table(client: &mut Client) {
    for table in TABLES {
        refused(client, &format!("INSERT INTO pgqrs_{table} DEFAULT VALUES"));
        refused(client, &format!("DELETE FROM pgqrs_{table}"));
    }
    changes_no_row_in_place(client);
}

/// Nor the schema.
#[track_caller]
fn changes_no_row_in_place(client: &mut Client) {
    for (table, column) in TABLES.iter().zip([
        "name", "name", "payload", "vt", "vt", "read_ct", "read_ct", "key",
    ]) {
        let set = format!("UPDATE pgqrs_{table} SET {column} = {column}");
        refused(client, &set);
        refused(client, &format!("TRUNCATE pgqrs_{table} CASCADE"));
        refused(client, &format!("DROP TABLE pgqrs_{table} CASCADE"));
        let add = format!("ALTER TABLE pgqrs_{table} ADD COLUMN more int");
        refused(client, &add);
    }
    for sql in [
        "CREATE TABLE pgqrs_more ()",
        "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION pgqrs_schema_version() RETURNS integer LANGUAGE sql AS 'SELECT 2'",
        "ALTER FUNCTION pgqrs_archive SECURITY INVOKER",
        "DROP FUNCTION pgqrs_archive",
        "CREATE OR REPLACE VIEW pgqrs_archive AS SELECT 1",
        "DROP VIEW pgqrs_archive",
    ] {
        refused(client, sql);
    }
}

/// Is told what is installed, and can install nothing itself.
#[track_caller]
fn installs_nothing(store: &PgStore, elsewhere: &PgStore) {
    store.install().unwrap(); // is there already
    let error = elsewhere.install().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let said = "could not install the schema: permission denied for database";
    assert!(error.to_string().starts_with(said), "{error}");
}

/// One message at a worker's, by what the library sends for a consumer.
pub(crate) fn dequeue(
    store: &impl Store,
    queue_id: i64,
    worker: i64,
) -> Result<Vec<pgqrs::Message>> {
    store.dequeue(&Dequeue {
        queue_id,
        worker,
        limit: 1,
        lock_time: HOUR,
    })
}

/// Is refused whatever only consumers do, with the owner's lease on a message before its eyes.
#[track_caller]
fn consumes_nothing(pg: &Pg, store: &PgStore) {
    let owner = Consumer::new(&pg.store, "tasks").unwrap();
    let held = dequeue(&pg.store, owner.queue().id, owner.worker()).unwrap();
    let (receipt, queue_id) = (Receipt::from(&held[0]), held[0].queue_id);
    let function = |name: &str| format!("function pgqrs_{name}");

    denied(
        Consumer::new(store, "tasks").map(drop),
        &function("register_worker"),
    );
    denied(
        dequeue(store, queue_id, owner.worker()),
        &function("dequeue"),
    );
    denied(
        store.extend_visibility(queue_id, &[receipt], HOUR),
        &function("extend_visibility"),
    );
    for (outcome, name) in [
        (Outcome::Archive, "archive"),
        (Outcome::Delete, "delete"),
        (Outcome::DeadLetter("no".to_owned()), "dead_letter"),
        (
            Outcome::Release {
                delay: HOUR,
                charged: true,
            },
            "release",
        ),
    ] {
        let settlement = Settlement { receipt, outcome };
        denied(store.settle(queue_id, &[settlement]), &function(name));
    }
    assert!(owner.archive(&held[0]).unwrap(), "nothing was done");
}

/// Is refused whatever only operators do.
#[track_caller]
fn operates_nothing(store: &PgStore) {
    denied(store.create_queue("more"), "table pgqrs_queues");
    denied(store.create_queue("tasks"), "table pgqrs_queues");
    for messages in [IfNotEmpty::Refuse, IfNotEmpty::Delete] {
        denied(
            store.delete_queue("tasks", messages),
            "table pgqrs_messages",
        );
    }
    let purged = store.purge("tasks", &State::ALL).unwrap_err();
    assert_eq!(purged.kind(), ErrorKind::Denied, "{purged}");
}

#[track_caller]
fn enqueues_nothing(store: &PgStore) {
    let producer = Producer::new(store, "tasks").unwrap();
    denied(producer.enqueue("a"), "function pgqrs_enqueue_batch");
    denied(
        producer.enqueue_once("a", "a"),
        "function pgqrs_enqueue_once",
    );
    denied(
        producer.enqueue_delayed("a", HOUR),
        "function pgqrs_enqueue_batch",
    );
}

pub(crate) const ALL_VIEWS: [&str; 3] = [
    "pgqrs_archive",
    "pgqrs_dead_letters",
    "pgqrs_queue_contents",
];

#[test]
fn a_producer_enqueues_and_does_nothing_else() {
    let pg = Pg::with_roles();
    let login = pg.login("p", &["pgqrs_producer"]);
    let (store, mut client) = (login.store(), login.client());

    let producer = Producer::new(&store, "tasks").unwrap();
    producer.enqueue("a").unwrap();
    producer.batch_enqueue(0..3_000).unwrap();
    producer.enqueue_delayed("later", HOUR).unwrap();
    let mut tx = client.transaction().unwrap();
    producer.enqueue_in(&mut tx, "in a transaction").unwrap();
    tx.commit().unwrap();
    for _ in 0..2 {
        producer.enqueue_once("key", "once").unwrap();
    }
    client
        .batch_execute("SELECT pgqrs_enqueue('tasks', '1')")
        .unwrap();
    let counts = pg.store.counts("tasks").unwrap();
    assert_eq!((counts.ready, counts.scheduled), (3_004, 1));
    assert_eq!(store.queues().unwrap().len(), 1);

    consumes_nothing(&pg, &store);
    operates_nothing(&store);
    denied(store.counts("tasks"), "table pgqrs_live");
    for view in ALL_VIEWS {
        refused(&mut client, &format!("SELECT FROM {view}"));
    }
    for table in &TABLES[1..] {
        refused(&mut client, &format!("SELECT FROM pgqrs_{table}"));
        refused(&mut client, &format!("SELECT queue_id FROM pgqrs_{table}"));
    }
    refused(
        &mut client,
        "SELECT * FROM pgqrs_take_owned(1, '{1}', '{1}', '{-1}')",
    );
    refused(&mut client, "SELECT * FROM pgqrs_wait(1)");
    writes_to_no_table(&mut client);
    installs_nothing(&store, &login.store_in(&format!("{}_x", login.name)));
}

/// Fails at 0, which is given up at its second attempt, and holds 1 until its lease was extended.
fn run_until_empty(store: &PgStore) -> Report {
    WorkerPool::builder(store.clone(), "tasks")
        .threads(2)
        .lock_time(Duration::from_secs(6)) // renewed at a third
        .retry(RetryPolicy::fixed(Duration::ZERO).attempts(2))
        .handle(|payload: Value, context: &Context| {
            if payload == json!(1) {
                let end = context.deadline();
                wait_until("a longer lease", MINUTE, || context.deadline() > end);
            }
            match payload {
                Value::Number(number) if number.as_i64() == Some(0) => Err("no".into()),
                _ => Ok(()),
            }
        })
        .run_until_empty()
        .unwrap()
}

#[test]
fn a_consumer_leases_and_settles_and_does_nothing_else() {
    let pg = Pg::with_roles();
    let login = pg.login("c", &["pgqrs_consumer"]);
    let (store, mut client) = (login.store(), login.client());
    let owner = Producer::new(&pg.store, "tasks").unwrap();

    // A pool: work, retries, dead letters, renewed leases, and how much there is to do.
    owner.batch_enqueue(0..200).unwrap();
    let report = run_until_empty(&store);
    assert_eq!((report.finished, report.dead_lettered), (199, 1));
    assert!(report.renewed > 0, "{report:?}");
    assert_eq!(store.counts("tasks").unwrap().archived, 199);

    // A consumer, with all it can do.
    owner.batch_enqueue(0..6).unwrap();
    let consumer = Consumer::builder(&store, "tasks")
        .lock_time(HOUR)
        .build()
        .unwrap();
    let held = consumer.dequeue().unwrap();
    assert!(consumer.extend_visibility(&held[0], 2 * HOUR).unwrap());
    assert!(consumer.release(&held[0], HOUR).unwrap());
    assert!(consumer.retry(&held[1], HOUR).unwrap());
    assert!(consumer.delete(&held[2]).unwrap());
    assert!(consumer.dead_letter(&held[3], "no").unwrap());
    let (archived, _) = consumer.archive_and_dequeue([&held[4]], 10).unwrap();
    assert_eq!(archived, [true]);
    let mut tx = client.transaction().unwrap();
    assert!(consumer.archive_in(&mut tx, &held[5]).unwrap());
    tx.commit().unwrap();

    enqueues_nothing(&store);
    let in_mine = Producer::new(&store, "tasks")
        .unwrap()
        .enqueue_in(&mut client, "a");
    denied(in_mine, "function pgqrs_enqueue_batch");
    refused(&mut client, "SELECT pgqrs_enqueue('tasks', '1')");
    operates_nothing(&store);
    for view in ALL_VIEWS {
        refused(&mut client, &format!("SELECT FROM {view}"));
    }
    for sql in [
        "SELECT payload FROM pgqrs_messages",
        "SELECT id FROM pgqrs_done",
        "SELECT error FROM pgqrs_dead",
        "SELECT worker FROM pgqrs_live",
        "SELECT name FROM pgqrs_workers",
        "SELECT vt FROM pgqrs_live FOR UPDATE",
        "SELECT * FROM pgqrs_take_owned(1, '{1}', '{1}', '{-1}')",
        "SELECT pgqrs_is_waited_for(1)",
    ] {
        refused(&mut client, sql);
    }
    writes_to_no_table(&mut client);
    installs_nothing(&store, &login.store_in(&format!("{}_x", login.name)));
}

#[test]
fn a_producer_wakes_a_consumer() {
    let pg = Pg::with_roles();
    let logins = [
        pg.login("p", &["pgqrs_producer"]),
        pg.login("c", &["pgqrs_consumer"]),
    ];
    let [producers, consumers] = logins.each_ref().map(|login| login.store());
    let sleeper = Sleeper::on(&consumers);
    let producer = Producer::new(&producers, "tasks").unwrap();
    for number in 0..5 {
        producer.enqueue(&number).unwrap();
        assert_eq!(sleeper.next(), json!(number));
    }
    let soon = Duration::from_millis(100);
    producer.enqueue_delayed("soon", soon).unwrap();
    assert_eq!(sleeper.next(), json!("soon"));
    let report = sleeper.pool.shutdown(MINUTE).unwrap();
    assert_eq!(report.finished, 6);
}

#[test]
fn an_operator_looks_after_queues_and_does_nothing_else() {
    let pg = Pg::with_roles();
    let login = pg.login("o", &["pgqrs_operator"]);
    let (store, mut client) = (login.store(), login.client());

    assert_eq!(store.create_queue("more").unwrap().name, "more");
    store.create_queue("more").unwrap();
    Consumer::new(&pg.store, "more").unwrap(); // leaves a worker's row
    let producer = Producer::new(&pg.store, "more").unwrap();
    producer.batch_enqueue(0..10).unwrap();
    producer.enqueue_delayed("later", HOUR).unwrap();
    let owner = Consumer::new(&pg.store, "more").unwrap();
    let held = owner.dequeue_many(3).unwrap();
    owner.archive(&held[0]).unwrap();
    owner.dead_letter(&held[1], "no").unwrap();
    for view in ALL_VIEWS {
        let sql = format!("SELECT * FROM {view} WHERE queue = 'more'");
        assert!(!client.query(&sql, &[]).unwrap().is_empty(), "{view}");
    }
    assert_eq!(store.counts("more").unwrap().unfinished(), 9);
    assert_eq!(store.purge("more", &[State::Archived]).unwrap(), 1);
    assert_eq!(store.purge("more", &[State::Ready]).unwrap(), 7);
    let left = store.delete_queue("more", IfNotEmpty::Refuse).unwrap_err();
    assert_eq!(left.kind(), ErrorKind::QueueNotEmpty);
    store.delete_queue("more", IfNotEmpty::Delete).unwrap();
    assert_eq!(store.queues().unwrap().len(), 1);

    Producer::new(&pg.store, "tasks")
        .unwrap()
        .enqueue("a")
        .unwrap();
    consumes_nothing(&pg, &store);
    enqueues_nothing(&store);
    refused(&mut client, "SELECT pgqrs_enqueue('tasks', '1')");
    refused(
        &mut client,
        "INSERT INTO pgqrs_queues (name, created_at) VALUES ('x', now())",
    );
    for table in &TABLES[1..] {
        refused(
            &mut client,
            &format!("INSERT INTO pgqrs_{table} DEFAULT VALUES"),
        );
    }
    changes_no_row_in_place(&mut client);
    installs_nothing(&store, &login.store_in(&format!("{}_x", login.name)));
}

#[test]
fn who_has_all_roles_does_it_all() {
    let pg = Pg::with_roles();
    let all = ["pgqrs_producer", "pgqrs_consumer", "pgqrs_operator"];
    let login = pg.login("a", &all);
    let store = login.store();
    store.create_queue("more").unwrap();
    Producer::new(&store, "more").unwrap().enqueue("a").unwrap();
    let consumer = Consumer::new(&store, "more").unwrap();
    assert!(consumer.archive(&consumer.dequeue().unwrap()[0]).unwrap());
    assert_eq!(store.purge("more", &[State::Archived]).unwrap(), 1);
    store.delete_queue("more", IfNotEmpty::Refuse).unwrap();
}

#[test]
fn a_stranger_gets_nothing() {
    let pg = Pg::with_roles();
    let login = pg.login("s", &[]);
    let (store, mut client) = (login.store(), login.client());
    let schema = format!("schema {}", pg.schema.name());
    denied(store.queues(), &schema);
    denied(store.create_queue("tasks"), &schema);
    denied(Producer::new(&store, "tasks").map(drop), &schema);
    denied(Consumer::new(&store, "tasks").map(drop), &schema);
    denied(
        store.enqueue(1, vec![NewMessage::from(json!(1))], None),
        &schema,
    );
    denied(store.counts("tasks"), &schema);
    denied(dequeue(&store, 1, 1), &schema);
    denied(store.install(), &schema);

    // Nor where the schema is open to all, as `public` is.
    let open = format!("GRANT USAGE ON SCHEMA \"{}\" TO PUBLIC", pg.schema.name());
    pg.client().batch_execute(&open).unwrap();
    denied(store.queues(), "function pgqrs_schema_version");
    refused(&mut client, "SELECT pgqrs_enqueue('tasks', '1')");
    refused(&mut client, "SELECT pgqrs_dequeue(1, 1, 1, '1 hour')");
    for name in TABLES.map(|table| format!("pgqrs_{table}")) {
        refused(&mut client, &format!("SELECT FROM {name}"));
    }
    for view in ALL_VIEWS {
        refused(&mut client, &format!("SELECT FROM {view}"));
    }
    writes_to_no_table(&mut client);
}
