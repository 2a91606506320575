//! `roles.sql`: what each role can do, and that it can do no more.

use std::fmt::Debug;
use std::process::Command;
use std::time::Duration;

use pgqrs::{
    Consumer, Context, Dequeue, ErrorKind, IfNotEmpty, NewMessage, Outcome, PgStore, Producer,
    Receipt, Report, Result, RetryPolicy, Settlement, State, Store, WorkerPool,
};
use postgres::Client;
use serde_json::{Value, json};

use crate::logins::ROLES;
use crate::pg::Pg;
use crate::sleeper::Sleeper;
use crate::told::MINUTE;

const HOUR: Duration = Duration::from_secs(3_600);

const TABLES: [&str; 8] = [
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
fn denied<T: Debug>(result: Result<T>, what: &str) {
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
fn writes_to_no_table(client: &mut Client) {
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
fn dequeue(store: &impl Store, queue_id: i64, worker: i64) -> Result<Vec<pgqrs::Message>> {
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

const ALL_VIEWS: [&str; 3] = [
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

/// Fails at 0, which is given up at its second attempt, and is slow with 1.
fn run_until_empty(store: &PgStore) -> Report {
    WorkerPool::builder(store.clone(), "tasks")
        .threads(2)
        .lock_time(Duration::from_millis(300))
        .retry(RetryPolicy::fixed(Duration::ZERO).attempts(2))
        .handle(|payload: Value, _: &Context| {
            if payload == json!(1) {
                std::thread::sleep(Duration::from_secs(1)); // longer than the lease
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

/// Every right on every object, in one list: a new function or table is refused to everybody
/// until somebody has thought about it here.
#[test]
fn these_are_all_the_rights_there_are() {
    let pg = Pg::with_roles();
    let sql = "
        SELECT a.grantee || ' ' || a.privilege_type || ' ' || a.object FROM (
            SELECT x.grantee, x.privilege_type, p.proname AS object
            FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
            WHERE p.pronamespace = n.oid AND x.grantee <> p.proowner
            UNION ALL
            SELECT x.grantee, x.privilege_type, c.relname
            FROM pg_class c, aclexplode(c.relacl) x
            WHERE c.relnamespace = n.oid AND x.grantee <> c.relowner
            UNION ALL
            SELECT x.grantee, x.privilege_type, c.relname || '.' || t.attname
            FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) x
            WHERE c.relnamespace = n.oid
            UNION ALL
            SELECT x.grantee, x.privilege_type, 'the schema' FROM aclexplode(n.nspacl) x
            WHERE x.grantee <> n.nspowner
        ) a (grantee_id, privilege_type, object),
        LATERAL (SELECT coalesce((SELECT rolname FROM pg_roles WHERE oid = grantee_id), 'PUBLIC')) g (grantee)";
    let sql = sql.replace("a.grantee ||", "g.grantee ||");
    let sql = format!(
        "SELECT coalesce(array_agg(line ORDER BY line COLLATE \"C\"), '{{}}') FROM pg_namespace n, LATERAL ({sql}) l (line)
         WHERE nspname = current_schema()"
    );
    let rights: Vec<String> = pg.value(&sql);
    let mut expected: Vec<String> = Vec::new();
    let mut give = |group: &str, right: &str, objects: &[&str]| {
        expected.extend(
            objects
                .iter()
                .map(|object| format!("{group} {right} {object}")),
        );
    };
    for group in ["pgqrs_consumer", "pgqrs_operator", "pgqrs_producer"] {
        give(group, "USAGE", &["the schema"]);
        give(group, "EXECUTE", &["pgqrs_schema_version"]);
        give(group, "SELECT", &["pgqrs_queues"]);
    }
    give(
        "pgqrs_producer",
        "EXECUTE",
        &["pgqrs_enqueue", "pgqrs_enqueue_batch", "pgqrs_enqueue_once"],
    );
    give(
        "pgqrs_consumer",
        "EXECUTE",
        &[
            "pgqrs_archive",
            "pgqrs_dead_letter",
            "pgqrs_delete",
            "pgqrs_dequeue",
            "pgqrs_extend_visibility",
            "pgqrs_register_worker",
            "pgqrs_release",
            "pgqrs_upcoming",
            "pgqrs_wait",
            "pgqrs_wait_no_more",
        ],
    );
    let to_count = [
        "pgqrs_live.queue_id",
        "pgqrs_live.vt",
        "pgqrs_scheduled.queue_id",
        "pgqrs_scheduled.vt",
        "pgqrs_done.queue_id",
        "pgqrs_dead.queue_id",
    ];
    give("pgqrs_consumer", "SELECT", &to_count);
    let tables = TABLES.map(|table| format!("pgqrs_{table}"));
    let tables = tables.each_ref().map(String::as_str);
    give("pgqrs_operator", "SELECT", &tables[1..]);
    give("pgqrs_operator", "SELECT", &ALL_VIEWS);
    give("pgqrs_operator", "DELETE", &tables);
    give("pgqrs_operator", "INSERT", &["pgqrs_queues.name"]);
    expected.sort();
    assert_eq!(rights, expected);
}

/// A function with its owner's rights must find what its owner meant.
#[test]
fn the_owners_rights_come_with_a_search_path_of_their_own() {
    let pg = Pg::with_roles();
    let others: Vec<String> = pg.value(
        "SELECT array_agg(proname::text ORDER BY proname) FROM pg_proc
         WHERE pronamespace = current_schema()::regnamespace AND NOT prosecdef",
    );
    // None of these does anything that needs a right.
    assert_eq!(
        others,
        [
            "pgqrs_base",
            "pgqrs_channel",
            "pgqrs_close",
            "pgqrs_is_waited_for",
            "pgqrs_place",
            "pgqrs_schema_version",
            "pgqrs_take_owned",
            "pgqrs_wait_key"
        ]
    );
    let bare: i64 = pg.value(
        "SELECT count(*) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND prosecdef
           AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search\\_path=%, pg\\_temp')",
    );
    assert_eq!(bare, 0);

    // A producer's own tables do not get in the way.
    let login = pg.login("p", &["pgqrs_producer"]);
    let mut client = login.client();
    client
        .batch_execute(
            "CREATE TEMPORARY TABLE pgqrs_queues (id bigint, name text);
             CREATE TEMPORARY TABLE pgqrs_live (queue_id bigint, id bigint, vt timestamptz);
             CREATE TEMPORARY TABLE pgqrs_messages (queue_id bigint, id bigint, payload json)",
        )
        .unwrap();
    let schema = pg.schema.name();
    client
        .batch_execute(&format!(
            "SET search_path TO pg_temp, \"{schema}\"; SELECT pgqrs_enqueue('tasks', '1')"
        ))
        .unwrap();
    assert_eq!(pg.store.counts("tasks").unwrap().ready, 1);
}

#[test]
fn what_was_given_by_others_is_taken_back() {
    let pg = Pg::with_roles();
    let mut client = pg.client();
    let schema = pg.schema.name();
    client
        .batch_execute(&format!(
            "GRANT ALL ON SCHEMA \"{schema}\" TO PUBLIC;
             GRANT ALL ON pgqrs_messages TO PUBLIC, pgqrs_producer;
             GRANT UPDATE (payload) ON pgqrs_messages TO pgqrs_consumer;
             GRANT EXECUTE ON FUNCTION pgqrs_dequeue TO PUBLIC, pgqrs_producer"
        ))
        .unwrap();
    client.batch_execute(ROLES).unwrap();
    let login = pg.login("b", &["pgqrs_producer", "pgqrs_consumer"]);
    writes_to_no_table(&mut login.client());
    let login = pg.login("p", &["pgqrs_producer"]);
    denied(dequeue(&login.store(), 1, 1), "function pgqrs_dequeue");
}

/// As people run it: with psql where there is one, twice, and what it says is nothing.
#[test]
fn psql_runs_it_as_often_as_one_likes() {
    let pg = Pg::with_tasks();
    assert!(!ROLES.lines().any(|line| line.starts_with('\\')));
    for _ in 0..2 {
        let psql = Command::new("psql")
            .args([pg.schema.dsn(), "-q", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/roles.sql"))
            .env("PGOPTIONS", format!("-c search_path={}", pg.schema.name()))
            .output();
        match psql {
            Ok(output) => {
                assert!(output.status.success(), "{output:?}");
                assert_eq!(String::from_utf8_lossy(&output.stderr), "");
            }
            Err(_) => pg.client().batch_execute(ROLES).unwrap(),
        }
        let login = pg.login("p", &["pgqrs_producer"]);
        let store = login.store();
        Producer::new(&store, "tasks")
            .unwrap()
            .enqueue("a")
            .unwrap();
        denied(dequeue(&store, 1, 1), "function pgqrs_dequeue");
    }
    // The owner's own work goes on as before.
    let consumer = Consumer::new(&pg.store, "tasks").unwrap();
    assert_eq!(
        consumer.archive_many(&consumer.dequeue().unwrap()).unwrap(),
        [true; 2]
    );
}

#[test]
fn it_says_where_it_should_have_been_run_and_by_whom() {
    let pg = Pg::with_roles();
    let said = |client: &mut Client| {
        let error = client.batch_execute(ROLES).unwrap_err();
        error.as_db_error().unwrap().message().to_owned()
    };
    let mut client = pg.client();
    client
        .batch_execute("SET search_path TO pg_catalog")
        .unwrap();
    assert_eq!(
        said(&mut client),
        "pgqrs is not installed in schema pg_catalog"
    );
    client.batch_execute("SET search_path TO nowhere").unwrap();
    assert_eq!(said(&mut client), "pgqrs is not installed in schema (none)");

    let login = pg.login("o", &["pgqrs_operator"]);
    assert!(said(&mut login.client()).contains("permission denied"));

    // The tables' owner, in somebody else's schema that is open to all: as `public` was before
    // PostgreSQL 15.
    let owner = pg.login("w", &[]);
    let (name, schema) = (&owner.name, pg.schema.name());
    let mut client = pg.client();
    let theirs = format!(
        "GRANT CREATE, USAGE ON SCHEMA \"{schema}\" TO PUBLIC;
         DO $$ DECLARE _it record; BEGIN
             FOR _it IN SELECT oid::regclass FROM pg_class
                        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v') LOOP
                 EXECUTE format('ALTER TABLE %s OWNER TO %I', _it.oid, '{name}');
             END LOOP;
             FOR _it IN SELECT oid::regprocedure FROM pg_proc
                        WHERE pronamespace = current_schema()::regnamespace LOOP
                 EXECUTE format('ALTER FUNCTION %s OWNER TO %I', _it.oid, '{name}');
             END LOOP;
         END $$"
    );
    client.batch_execute(&theirs).unwrap();
    assert!(said(&mut owner.client()).starts_with("everybody may create in schema"));
    let close = format!("REVOKE CREATE ON SCHEMA \"{schema}\" FROM PUBLIC");
    client.batch_execute(&close).unwrap();
    owner.client().batch_execute(ROLES).unwrap();

    // Their functions do it with their rights, which are not a superuser's.
    let login = pg.login("p", &["pgqrs_producer"]);
    let store = login.store();
    Producer::new(&store, "tasks")
        .unwrap()
        .enqueue("a")
        .unwrap();
}
