//! Installing, and telling what is installed.

use std::process::Command;
use std::thread;

use pgqrs::{
    Consumer, ErrorKind, Outcome, PgStore, Producer, SCHEMA, SCHEMA_VERSION, Settlement, Store,
};

use crate::pg::Pg;
use pgqrs_test_support::Schema;

fn store_in(schema: &Schema) -> PgStore {
    PgStore::builder(schema.dsn())
        .schema(schema.name())
        .build()
        .unwrap()
}

/// How many tables, views, functions and indexes are in the schema.
fn objects(schema: &Schema) -> (i64, i64) {
    let row = schema
        .connect()
        .query_one(
            "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = n.oid),
                    (SELECT count(*) FROM pg_proc WHERE pronamespace = n.oid)
             FROM pg_namespace n WHERE nspname = $1",
            &[&schema.name()],
        )
        .unwrap();
    (row.get(0), row.get(1))
}

/// A complete round through the queue.
fn works(store: &PgStore) {
    store.create_queue("tasks").unwrap();
    Producer::new(store, "tasks").unwrap().enqueue("a").unwrap();
    let consumer = Consumer::new(store, "tasks").unwrap();
    let messages = consumer.dequeue().unwrap();
    assert!(consumer.archive(&messages[0]).unwrap());
    assert_eq!(store.counts("tasks").unwrap().archived, 1);
}

#[test]
fn eight_installs_at_once() {
    let schema = Schema::new();
    thread::scope(|scope| {
        let install = || store_in(&schema).install().unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(install)).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    works(&store_in(&schema));
}

#[test]
fn installing_twice_changes_nothing() {
    let schema = Schema::new();
    let store = store_in(&schema);
    store.install().unwrap();
    works(&store);
    let before = objects(&schema);
    store.install().unwrap();
    assert_eq!(objects(&schema), before);
    assert_eq!(store.counts("tasks").unwrap().archived, 1);
}

#[test]
fn a_fresh_database_says_run_install() {
    let schema = Schema::new();
    let store = store_in(&schema);
    let client = schema.connect().batch_execute("CREATE TABLE pgqrs_x ()");
    assert!(client.is_err(), "the schema is not there yet");
    let missing = |error: pgqrs::Error| {
        assert_eq!(error.kind(), ErrorKind::Schema);
        assert!(
            error.to_string().contains("run PgStore::install()"),
            "{error}"
        );
    };
    missing(store.create_queue("tasks").unwrap_err());
    missing(store.queues().unwrap_err());
    missing(Producer::new(&store, "tasks").unwrap_err());
    missing(Consumer::new(&store, "tasks").unwrap_err());
    missing(
        store
            .delete_queue("tasks", pgqrs::IfNotEmpty::Refuse)
            .unwrap_err(),
    );
    missing(
        store
            .enqueue(1, vec![serde_json::json!(1).into()], None)
            .unwrap_err(),
    );
    store.install().unwrap();
    works(&store);
}

#[test]
fn a_newer_and_an_older_schema_are_refused() {
    let pg = Pg::new();
    let set_version = |version: i32| {
        pg.client()
            .batch_execute(&format!(
                "CREATE OR REPLACE FUNCTION pgqrs_schema_version() RETURNS integer
                 LANGUAGE sql IMMUTABLE AS 'SELECT {version}'"
            ))
            .unwrap();
    };
    let newer = "newer than the 1 that this program knows: update the program";
    let older = "older than the 1 that this program needs: run PgStore::install()";
    let too_old = "older than the 1 that this program needs, and knows no way from there";
    for (version, says, install_says) in [
        (SCHEMA_VERSION + 1, newer, newer),
        (SCHEMA_VERSION - 1, older, too_old),
    ] {
        set_version(version);
        let store = store_in(&pg.schema); // has not looked at the version yet
        for (error, says) in [
            (store.queues().unwrap_err(), says),
            (store.install().unwrap_err(), install_says),
        ] {
            assert_eq!(error.kind(), ErrorKind::Schema);
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

#[test]
fn a_schema_with_an_odd_name() {
    works(&Pg::in_schema(Schema::named("weird \"name\""), |builder| builder).store);
}

#[test]
fn tables_of_the_same_name_that_are_not_ours_are_left_alone() {
    let schema = Schema::new();
    let mut client = schema.connect();
    let quoted = schema.name().replace('"', "\"\"");
    client
        .batch_execute(&format!(
            "CREATE SCHEMA \"{quoted}\"; CREATE TABLE pgqrs_messages (theirs int)"
        ))
        .unwrap();
    let error = store_in(&schema).install().unwrap_err();
    assert!(error.to_string().contains("pgqrs_messages"), "{error}");
    assert_eq!(objects(&schema), (1, 0), "nothing is half installed");
}

#[test]
fn psql_installs_the_same() {
    let (by_psql, by_store) = (Schema::new(), Pg::new());
    let name = by_psql.name();
    let mut client = by_psql.connect();
    client
        .batch_execute(&format!("CREATE SCHEMA \"{name}\""))
        .unwrap();
    // With psql itself where there is one, and its protocol where there is none.
    let psql = Command::new("psql")
        .args([by_psql.dsn(), "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../schema.sql"))
        .env("PGOPTIONS", format!("-c search_path=\"$user\",{name}"))
        .output();
    match psql {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(_) => client.batch_execute(SCHEMA).unwrap(),
    }
    assert_eq!(objects(&by_psql), objects(&by_store.schema));
    for schema in [&by_psql, &by_store.schema] {
        let mut settings = settings_of_functions(schema);
        settings.dedup();
        let expected = format!(
            "search_path={}, pg_temp;plan_cache_mode=force_generic_plan;enable_seqscan=off;\
             enable_bitmapscan=off;enable_sort=off;max_parallel_workers_per_gather=0;jit=off",
            schema.name()
        );
        assert_eq!(settings, [expected]);
    }
    works(&store_in(&by_psql));
}

/// What each of the PL/pgSQL functions has after SET, but for the one that has its callers'.
fn settings_of_functions(schema: &Schema) -> Vec<String> {
    let rows = schema.connect().query(
        "SELECT array_to_string(p.proconfig, ';')
         FROM pg_proc p JOIN pg_language l ON l.oid = prolang JOIN pg_namespace n ON n.oid = pronamespace
         WHERE l.lanname = 'plpgsql' AND n.nspname = $1 AND p.proname <> 'pgqrs_take_owned'",
        &[&schema.name()],
    );
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// The functions find their own tables, whatever the caller's are called.
#[test]
fn tables_of_the_callers_do_not_get_in_the_way_of_the_functions() {
    let pg = Pg::with_tasks();
    let mut client = pg.client();
    client
        .batch_execute("CREATE TEMPORARY TABLE pgqrs_queues (id bigint, name text)")
        .unwrap();
    let schema = pg.schema.name();
    let sql = format!("SELECT \"{schema}\".pgqrs_enqueue('tasks', '1')");
    client.query_one(&sql, &[]).unwrap();
    assert_eq!(pg.store.counts("tasks").unwrap().ready, 1);
}

/// What the library never sends, and a hand at psql may.
#[test]
fn what_a_careless_hand_sends_is_refused_or_changes_nothing() {
    let pg = Pg::with_tasks();
    let mut client = pg.client();
    let message = Producer::new(&pg.store, "tasks")
        .unwrap()
        .enqueue("a")
        .unwrap();
    for limit in ["NULL", "0", "-1"] {
        let sql = format!("SELECT * FROM pgqrs_dequeue(1, 7, {limit}, '1 hour')");
        let error = client.query(&sql, &[]).unwrap_err();
        let said = error.as_db_error().unwrap().message();
        assert!(said.contains("must be at least 1"), "{said}");
    }
    // Nobody's worker is nobody: this message was not dequeued.
    let sql = format!(
        "SELECT pgqrs_archive(1, '{{{}}}', '{{0}}', '{{-1}}')",
        message.id
    );
    let changed: Option<Vec<i64>> = client.query_one(&sql, &[]).unwrap().get(0);
    assert_eq!(changed, None);
    assert_eq!(pg.store.counts("tasks").unwrap().ready, 1);
}

#[test]
fn every_column_of_a_view_and_every_table_is_there_for_psql() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let messages = producer
        .batch_enqueue(["done", "dead", "leased", "ready"])
        .unwrap();
    let hour = std::time::Duration::from_secs(3600);
    producer.enqueue_delayed("scheduled", hour).unwrap();
    let consumer = Consumer::builder(&pg.store, "tasks")
        .lock_time(hour)
        .name("mailer 3")
        .build()
        .unwrap();
    assert_eq!(consumer.dequeue_many(3).unwrap().len(), 3);
    consumer.archive(messages[0].id).unwrap();
    consumer
        .dead_letter(messages[1].id, "no such address")
        .unwrap();

    let contents: Vec<(String, String, Option<String>, i32)> = pg
        .client()
        .query(
            "SELECT payload #>> '{}', state, worker, read_ct FROM pgqrs_queue_contents
             WHERE queue = 'tasks' ORDER BY id",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect();
    let row = |payload: &str, state: &str, worker: Option<&str>, read_ct| {
        (
            payload.to_owned(),
            state.to_owned(),
            worker.map(str::to_owned),
            read_ct,
        )
    };
    assert_eq!(
        contents,
        [
            row("dead", "dead", None, 1),
            row("leased", "leased", Some("mailer 3"), 1),
            row("ready", "ready", None, 0),
            row("scheduled", "scheduled", None, 0),
        ]
    );
    let archived: String = pg.value("SELECT payload #>> '{}' FROM pgqrs_archive WHERE read_ct = 1");
    assert_eq!(archived, "done");
    let error: String =
        pg.value("SELECT error FROM pgqrs_dead_letters WHERE payload #>> '{}' = 'dead'");
    assert_eq!(error, "no such address");
}

#[test]
fn a_trigger_can_enqueue() {
    let pg = Pg::with_tasks();
    let mut client = pg.client();
    client
        .batch_execute(
            "CREATE TABLE orders (id int);
             CREATE FUNCTION announce() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 PERFORM pgqrs_enqueue('tasks', to_jsonb(NEW));
                 PERFORM pgqrs_enqueue('tasks', '\"later\"', interval '1 hour');
                 RETURN NEW;
             END $$;
             CREATE TRIGGER announce AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION announce();
             INSERT INTO orders VALUES (17)",
        )
        .unwrap();
    let messages = Consumer::new(&pg.store, "tasks")
        .unwrap()
        .dequeue()
        .unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].payload, serde_json::json!({"id": 17}));
    assert_eq!(pg.store.counts("tasks").unwrap().scheduled, 1);
    let unknown = client.batch_execute("SELECT pgqrs_enqueue('nowhere', '1')");
    assert_eq!(unknown.unwrap_err().code().unwrap().code(), "PQ001");
}

#[test]
fn workers_that_were_not_seen_for_a_day_are_forgotten() {
    let pg = Pg::with_tasks();
    let old = Consumer::new(&pg.store, "tasks").unwrap();
    let gone = Consumer::new(&pg.store, "tasks").unwrap();
    pg.client()
        .batch_execute("UPDATE pgqrs_workers SET seen_at = seen_at - interval '2 days'")
        .unwrap();
    pg.store.forget_scan_hints();
    old.dequeue().unwrap(); // is seen again
    Consumer::new(&pg.store, "tasks").unwrap();
    let ids: Vec<i64> = pg.value("SELECT array_agg(id ORDER BY id) FROM pgqrs_workers");
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&old.worker()) && !ids.contains(&gone.worker()));
}

/// One statement writes the reasons of a whole batch.
#[test]
fn each_dead_letter_keeps_its_own_reason() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let consumer = Consumer::new(&pg.store, "tasks").unwrap();
    producer.batch_enqueue(0..60).unwrap();
    let held = consumer.dequeue().unwrap();
    // Neighbours, and messages far apart.
    for chosen in [[0, 1, 2], [20, 40, 59]] {
        let settlements = chosen.map(|at: usize| Settlement {
            receipt: (&held[at]).into(),
            outcome: Outcome::DeadLetter(format!("reason {at}")),
        });
        let settled = pg.store.settle(held[0].queue_id, &settlements);
        assert_eq!(settled.unwrap(), [true; 3]);
    }
    let wrong: i64 = pg
        .value("SELECT count(*) FROM pgqrs_dead_letters WHERE error <> 'reason ' || payload::text");
    assert_eq!(wrong, 0);
    assert_eq!(pg.store.counts("tasks").unwrap().dead, 6);
}
