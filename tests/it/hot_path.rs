//! What the hot path promises, counted rather than timed.

use std::collections::HashSet;
use std::time::Duration;

use pgqrs::{Consumer, PgStoreBuilder, Producer, Store};
use serde_json::json;

use crate::pg::Pg;
use pgqrs_test_support::wait_until;

const HOUR: Duration = Duration::from_secs(3600);
/// Too short for what is blocked, long enough for what is not.
const MOMENT: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(60);

fn consumer(pg: &Pg) -> Consumer<pgqrs::PgStore> {
    Consumer::builder(pg.store.clone(), "tasks")
        .lock_time(HOUR)
        .build()
        .unwrap()
}

#[test]
fn every_lease_is_a_heap_only_update() {
    let pg = Pg::with_tasks();
    for _ in 0..20 {
        let producer = Producer::new(&pg.store, "tasks").unwrap();
        producer
            .batch_enqueue(std::iter::repeat_n("x", 1_000))
            .unwrap();
    }
    let consumer = consumer(&pg);
    let mut leased = 0;
    while leased < 20_000 {
        let messages = consumer.dequeue().unwrap();
        leased += messages.len();
        consumer.archive_many(&messages).unwrap();
    }
    // A session reports its statistics when it ends.
    let Pg { store, schema, .. } = pg;
    drop((consumer, store));
    let mut monitor = schema.connect();
    let mut counted = || -> (i64, i64) {
        let row = monitor
            .query_one(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
                 WHERE schemaname = $1 AND relname = 'pgqrs_live'",
                &[&schema.name()],
            )
            .unwrap();
        (row.get(0), row.get(1))
    };
    wait_until("the server to count the leases", DEADLINE, || {
        counted().0 >= 20_000
    });
    assert_eq!(counted(), (20_000, 20_000));
}

#[test]
fn what_commits_late_is_delivered_in_full_batches() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let mut slow = pg.client();
    let mut tx = slow.transaction().unwrap();
    let late = producer.batch_enqueue_in(&mut tx, 0..10_000).unwrap();
    let newer = producer.batch_enqueue(0..20_000).unwrap();
    assert!(late.last().unwrap().id < newer[0].id);

    let consumer = consumer(&pg);
    let mut seen = HashSet::new();
    while seen.len() < 20_000 {
        let messages = consumer.dequeue().unwrap();
        assert_eq!(messages.len(), 100);
        consumer.archive_many(&messages).unwrap();
        assert!(messages.iter().all(|message| seen.insert(message.id)));
    }
    assert!(consumer.dequeue().unwrap().is_empty());
    tx.commit().unwrap();

    // The sweep that finds the first of them has to wait its turn; from then on the hint
    // is with them, and no batch is short.
    let mut batches = 0;
    wait_until("the late ones", DEADLINE, || {
        loop {
            let messages = consumer.dequeue().unwrap();
            if messages.is_empty() {
                return seen.len() == 30_000;
            }
            assert!(messages.iter().all(|message| seen.insert(message.id)));
            batches += 1;
        }
    });
    assert_eq!(batches, 100);
}

#[test]
fn what_commits_late_is_found_while_there_is_a_backlog() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let mut slow = pg.client();
    let mut tx = slow.transaction().unwrap();
    let late = producer.enqueue_in(&mut tx, "late").unwrap();
    producer.batch_enqueue(0..1_000).unwrap();
    let consumer = consumer(&pg);
    assert_eq!(consumer.dequeue_many(1).unwrap().len(), 1);
    tx.commit().unwrap();
    // New messages keep coming, so that no look ever comes up short.
    wait_until("the late one", DEADLINE, || {
        producer.batch_enqueue(0..10).unwrap();
        let messages = consumer.dequeue_many(1).unwrap();
        messages[0].id == late.id
    });
}

/// On the clock as it is: no step of the test moves it.
#[test]
fn a_lease_that_runs_out_is_handed_out_again() {
    let pg = Pg::with_tasks();
    Producer::new(&pg.store, "tasks")
        .unwrap()
        .enqueue("a")
        .unwrap();
    let consumer = consumer(&pg);
    let first = consumer
        .dequeue_many_with_delay(10, Duration::from_millis(50))
        .unwrap();
    assert_eq!(first[0].read_ct, 1);
    let again = consumer.poll(10, DEADLINE).unwrap();
    assert_eq!((again[0].id, again[0].read_ct), (first[0].id, 2));
    assert!(!consumer.archive(&first[0]).unwrap());
    assert!(consumer.archive(&again[0]).unwrap());
}

#[test]
fn a_delayed_message_comes_by_itself_and_ahead_of_the_backlog() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    // Scheduled by another process, as far as this store knows.
    pg.client()
        .batch_execute("SELECT pgqrs_enqueue('tasks', '\"delayed\"', interval '100 ms')")
        .unwrap();
    producer.batch_enqueue(0..100).unwrap();
    let consumer = consumer(&pg);
    wait_until("the delayed one", DEADLINE, || {
        producer.batch_enqueue(0..10).unwrap();
        let messages = consumer.dequeue_many(1).unwrap();
        messages[0].payload == json!("delayed")
    });
}

#[test]
fn a_dequeue_in_a_transaction_of_ones_own_leaves_its_commit_synchronous() {
    let pg = Pg::with_tasks();
    let mut client = pg.client();
    let mut tx = client.transaction().unwrap();
    tx.execute("SELECT * FROM pgqrs_dequeue(1, 7, 10, '1 hour')", &[])
        .unwrap();
    let setting: String = tx.query_one("SHOW synchronous_commit", &[]).unwrap().get(0);
    assert_eq!(setting, "on");
}

/// As it is at the commit, whatever was set before.
#[test]
fn whatever_archives_commits_synchronously() {
    let pg = Pg::with_tasks();
    pg.client()
        .batch_execute(
            "CREATE TABLE commits (about text, setting text);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
             BEGIN
                 INSERT INTO commits VALUES (TG_TABLE_NAME, current_setting('synchronous_commit'));
                 RETURN NULL;
             END $$;
             CREATE CONSTRAINT TRIGGER note AFTER INSERT ON pgqrs_done
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();
             CREATE CONSTRAINT TRIGGER note AFTER UPDATE ON pgqrs_live
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()",
        )
        .unwrap();
    let settings = |about: &str| -> Vec<String> {
        let sql = "SELECT DISTINCT setting FROM commits WHERE about = $1 ORDER BY setting";
        let rows = pg.client().query(sql, &[&about]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    producer.batch_enqueue(0..100).unwrap();
    let consumer = consumer(&pg);
    let held = consumer.dequeue_many(1).unwrap();
    assert_eq!(settings("pgqrs_live"), ["off"], "a lease may be lost");
    assert!(consumer.archive(&held[0]).unwrap());
    // Plain looks, sweeps and looks for due ones among them; and an id that comes twice.
    let mut held = consumer.dequeue_many(1).unwrap();
    for _ in 0..50 {
        pg.store.forget_scan_hints();
        held = consumer.archive_and_dequeue(&held, 1).unwrap().1;
        held = consumer.archive_and_dequeue(&held, 1).unwrap().1;
        if let [message] = &held[..] {
            let twice = [message, message];
            let (archived, next) = consumer.archive_and_dequeue(twice, 1).unwrap();
            assert_eq!(archived, [true, false]);
            held = next;
        }
    }
    assert_eq!(settings("pgqrs_done"), ["on"]);
    assert_eq!(pg.store.counts("tasks").unwrap().archived, 100);
}

/// An empty answer would be taken for the end.
#[test]
fn a_failure_after_the_archive_is_told() {
    let pg = Pg::with_tasks();
    let store = pg.another(|builder| builder.statement_timeout(Some(MOMENT)));
    Producer::new(&store, "tasks")
        .unwrap()
        .enqueue("a")
        .unwrap();
    let consumer = Consumer::new(&store, "tasks").unwrap();
    let held = consumer.dequeue_many(1).unwrap();
    let mut blocker = pg.client();
    let mut tx = blocker.transaction().unwrap();
    // Nothing is left: so it makes sure that nothing has come due, and cannot.
    tx.batch_execute("LOCK TABLE pgqrs_scheduled").unwrap();
    let error = consumer.archive_and_dequeue(&held, 1).unwrap_err();
    tx.rollback().unwrap();
    let archived = store.counts("tasks").unwrap().archived;
    // If its first look was for due ones as well, nothing was done at all.
    let kind = match archived {
        0 => pgqrs::ErrorKind::Unavailable,
        _ => pgqrs::ErrorKind::FateUnknown,
    };
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(consumer.archive_many(&held).unwrap(), [archived == 0]);
}

/// Who settles several messages and who purges their queue may come to wait for each other.
#[test]
fn what_a_deadlock_has_undone_is_tried_again() {
    let pg = Pg::with_tasks();
    let mut client = pg.client();
    let mut fail_if = |condition: &str| {
        let fail = format!(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF {condition} THEN
                     RAISE EXCEPTION 'by a trigger' USING ERRCODE = 'deadlock_detected';
                 END IF;
                 RETURN NULL;
             END $$"
        );
        client.batch_execute(&fail).unwrap();
    };
    // A number that was drawn stays so, whatever is undone.
    fail_if("nextval('tries') < 3");
    pg.client()
        .batch_execute(
            "CREATE SEQUENCE tries;
             CREATE TRIGGER fail AFTER INSERT ON pgqrs_done EXECUTE FUNCTION fail()",
        )
        .unwrap();
    Producer::new(&pg.store, "tasks")
        .unwrap()
        .batch_enqueue(["a", "b"])
        .unwrap();
    let messages = consumer(&pg).dequeue().unwrap();
    assert!(consumer(&pg).archive(&messages[0]).unwrap());
    assert_eq!(pg.value::<i64>("SELECT last_value FROM tries"), 3);

    fail_if("true");
    let error = consumer(&pg).archive(&messages[1]).unwrap_err();
    assert_eq!(error.kind(), pgqrs::ErrorKind::Unavailable, "{error}");
    let counts = pg.store.counts("tasks").unwrap();
    assert_eq!((counts.archived, counts.leased), (1, 1));
}

#[test]
fn a_statement_timeout_is_told_and_nothing_is_done() {
    let pg = Pg::with_tasks();
    let hasty = |builder: PgStoreBuilder| builder.statement_timeout(Some(MOMENT));
    let producer = Producer::new(pg.another(hasty), "tasks").unwrap();
    let mut blocker = pg.client();
    let mut tx = blocker.transaction().unwrap();
    tx.batch_execute("LOCK TABLE pgqrs_messages").unwrap();
    let error = producer.enqueue("a").unwrap_err();
    assert_eq!(error.kind(), pgqrs::ErrorKind::Unavailable, "{error}");
    assert!(error.is_transient());
    tx.rollback().unwrap();
    assert_eq!(pg.store.counts("tasks").unwrap().total(), 0);
}
