//! Messages with keys, on PostgreSQL: answers that are lost, what is left behind, and who is told.

use std::thread;
use std::time::Duration;

use pgqrs::{ErrorKind, IfNotEmpty, PgStore, Producer, Store};
use pgqrs_testing::Harness;
use postgres::Client;

use crate::counted::Counting;
use crate::ear::Ear;
use crate::pg::Pg;
use crate::reconnect::{DEADLINE, store_on};
use pgqrs_test_support::{Cluster, private_server, wait_until};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Each with a key of its own.
fn keyed(numbers: std::ops::Range<usize>) -> impl Iterator<Item = (String, usize)> {
    numbers.map(|number| (format!("key {number}"), number))
}

/// Has commits wait for a replica, or no more.
fn set_replica(client: &mut Client, name: &str) {
    let sql = format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'");
    client.batch_execute(&sql).unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
}

/// Ends the sessions whose commit waits for a replica, and returns whether there were some.
fn cut_off(client: &mut Client) -> bool {
    let sql = "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity
               WHERE wait_event = 'SyncRep'";
    client.query_one(sql, &[]).unwrap().get(0)
}

/// Has commits wait for a replica that there is not. It takes the server a moment: until one does.
fn have_commits_wait(server: &Cluster, client: &mut Client) {
    set_replica(client, "nobody");
    let mut probe = server.connect();
    thread::scope(|scope| {
        let commit = "SELECT pg_logical_emit_message(true, 'probe', '')";
        scope.spawn(move || while probe.batch_execute(commit).is_ok() {});
        wait_until("a commit to wait", DEADLINE, || cut_off(client));
    });
}

/// Makes a call that is committed, and whose answer is lost.
fn losing_the_answer<T: Send>(server: &Cluster, call: impl FnOnce() -> T + Send) -> T {
    let mut client = server.connect();
    have_commits_wait(server, &mut client);
    thread::scope(|scope| {
        let lost = scope.spawn(call);
        wait_until("a commit that waits to be cut off", DEADLINE, || {
            cut_off(&mut client)
        });
        set_replica(&mut client, "");
        lost.join().unwrap()
    })
}

#[test]
fn a_lost_answer_is_asked_for_again_if_all_have_keys() {
    let server = private_server();
    let store = store_on(&server);
    let producer = Producer::new(&store, "tasks").unwrap();
    producer.enqueue("before").unwrap();

    let lost = losing_the_answer(&server, || producer.enqueue("lost"));
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::FateUnknown);
    assert_eq!(store.counts("tasks").unwrap().ready, 2, "it was stored");

    let once = losing_the_answer(&server, || producer.enqueue_once("key", "once"));
    let once = once.unwrap();
    assert_eq!(store.counts("tasks").unwrap().ready, 3);
    assert_eq!(producer.enqueue_once("key", "once").unwrap(), once);

    // In several statements and a commit.
    let batch = losing_the_answer(&server, || producer.batch_enqueue_once(keyed(0..10_001)));
    let batch = batch.unwrap();
    assert_eq!(store.counts("tasks").unwrap().ready, 10_004);
    assert_eq!(
        producer.batch_enqueue_once(keyed(0..10_001)).unwrap(),
        batch
    );

    // One without a key would be stored twice.
    let mixed = losing_the_answer(&server, || {
        let with_key = |key: &str| pgqrs::NewMessage::new(key).unwrap().with_key(key).unwrap();
        let messages = vec![with_key("other"), pgqrs::NewMessage::new("none").unwrap()];
        store.enqueue(1, messages, None)
    });
    assert_eq!(mixed.unwrap_err().kind(), ErrorKind::FateUnknown);
    assert_eq!(store.counts("tasks").unwrap().ready, 10_006);
}

/// Not even a lock on the table of keys is taken.
#[test]
fn who_uses_no_keys_pays_nothing_for_them() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let mut other = pg.client();
    let mut tx = other.transaction().unwrap();
    tx.batch_execute("LOCK TABLE pgqrs_keys IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    producer.enqueue(&1).unwrap();
    producer.batch_enqueue([2, 3]).unwrap();
    producer.enqueue_delayed(&4, DAY).unwrap();
    tx.rollback().unwrap();
}

#[test]
fn whoever_waits_is_told_of_what_is_stored_and_not_of_repeats() {
    let pg = Pg::with_tasks();
    let mut ear = Ear::new(&pg);
    let mut waiting = pg.client();
    waiting.query("SELECT pgqrs_wait(1)", &[]).unwrap();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    producer.enqueue_once("a", &1).unwrap();
    assert_eq!(ear.heard(), ["ready"]);
    producer.enqueue_once("a", &1).unwrap();
    producer.enqueue_once_delayed("a", &1, DAY).unwrap();
    assert_eq!(ear.heard(), [""; 0]);
    producer.enqueue_once_delayed("b", &1, DAY).unwrap();
    assert_eq!(ear.heard(), ["scheduled"]);
    producer.batch_enqueue_once([("a", 1), ("c", 2)]).unwrap();
    assert_eq!(ear.heard(), ["ready"]);
}

/// At least twice as fast as they come, and those of other queues are let alone.
#[test]
fn keys_that_are_free_again_go() {
    let pg = Pg::with_tasks();
    pg.store.create_queue("other").unwrap();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let other = Producer::new(&pg.store, "other").unwrap();
    let old = "SELECT count(*) FROM pgqrs_keys WHERE expires_at <= now()";
    producer.batch_enqueue_once(keyed(0..1_000)).unwrap();
    other.batch_enqueue_once(keyed(0..100)).unwrap();
    pg.advance(DAY);
    producer.batch_enqueue_once(keyed(1_000..1_064)).unwrap();
    assert_eq!(pg.value::<i64>(old), 1_100 - 128 - 2 * 64);
    // One by one, which is left to chance.
    let mut number = 1_064;
    wait_until("the old keys to go", DEADLINE, || {
        producer
            .batch_enqueue_once(keyed(number..number + 1))
            .unwrap();
        number += 1;
        pg.value::<i64>(old) == 100
    });
    let all: i64 = pg.value("SELECT count(*) FROM pgqrs_keys");
    assert_eq!(all, 100 + number as i64 - 1_000);
}

#[test]
fn no_key_is_left_of_a_deleted_queue() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    producer.batch_enqueue_once(keyed(0..10)).unwrap();
    let refused = pg.store.delete_queue("tasks", IfNotEmpty::Refuse);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::QueueNotEmpty);
    assert_eq!(pg.value::<i64>("SELECT count(*) FROM pgqrs_keys"), 10);
    pg.store.delete_queue("tasks", IfNotEmpty::Delete).unwrap();
    assert_eq!(pg.value::<i64>("SELECT count(*) FROM pgqrs_keys"), 0);
}

#[test]
fn people_can_give_a_key() {
    let pg = Pg::with_tasks();
    let once = "SELECT pgqrs_enqueue('tasks', '{\"a\": 1}', NULL, 'order 17')";
    let id: i64 = pg.value(once);
    assert_eq!(pg.value::<i64>(once), id);
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    assert_eq!(producer.enqueue_once("order 17", "a").unwrap().id, id);
    let later = "SELECT pgqrs_enqueue('tasks', '1', _delay => '1 hour', _key => 'order 18')";
    assert_eq!(pg.value::<i64>(later), pg.value::<i64>(later));
    let counts = pg.store.counts("tasks").unwrap();
    assert_eq!((counts.ready, counts.scheduled), (1, 1));
    let refused = pg
        .client()
        .batch_execute("SELECT pgqrs_enqueue('tasks', '1', NULL, '')");
    assert!(refused.is_err());
}

/// What an old snapshot keeps from being removed is not walked over each time.
#[test]
fn removing_keys_behind_dead_ones_touches_as_few_pages() {
    const DATABASE: &str = "keys";
    let mut counting = Counting::new();
    drop(counting.store(DATABASE, &["tasks"]));
    let soon = PgStore::builder(&counting.dsn(DATABASE)).key_retention(Duration::from_nanos(1));
    let store = soon.build().unwrap();
    let producer = Producer::new(&store, "tasks").unwrap();
    let mut old = counting.client(DATABASE);
    let mut snapshot = old
        .build_transaction()
        .isolation_level(postgres::IsolationLevel::RepeatableRead)
        .start()
        .unwrap();
    snapshot.query("SELECT FROM pg_class", &[]).unwrap();

    let mut number = 0;
    let mut middle = |calls: usize| {
        let mut pages = || {
            let batch: Vec<_> = keyed(number..number + 100).collect();
            number += 100;
            let (cost, _) = counting.cost(DATABASE, || producer.batch_enqueue_once(batch).unwrap());
            cost.pages
        };
        let mut each: Vec<f64> = (0..calls).map(|_| pages()).collect();
        each.sort_by(f64::total_cmp);
        each[calls / 2]
    };
    let at_first = middle(51);
    middle(300);
    let behind = middle(51);
    assert!(
        behind < 1.5 * at_first,
        "{at_first} pages, and then {behind}"
    );
    snapshot.rollback().unwrap();
    let mut client = counting.client(DATABASE);
    let left = client.query_one("SELECT count(*) FROM pgqrs_keys", &[]);
    let left: i64 = left.unwrap().get(0);
    assert!(left < 300, "{left} were not removed");
}

/// It may have been put in after the snapshot was taken: so it can be seen by nobody in there.
#[test]
fn an_older_snapshot_cannot_use_a_key_that_came_since() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    producer.enqueue_once("known", &1).unwrap();
    let mut client = pg.client();
    let level = postgres::IsolationLevel::RepeatableRead;
    let mut tx = client
        .build_transaction()
        .isolation_level(level)
        .start()
        .unwrap();
    producer.enqueue_once_in(&mut tx, "known", &2).unwrap();
    producer.enqueue_once_in(&mut tx, "new", &2).unwrap();
    producer.enqueue_once("since", &1).unwrap();
    let error = producer.enqueue_once_in(&mut tx, "since", &2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    drop(tx);
    assert_eq!(pg.store.counts("tasks").unwrap().ready, 2);
}
