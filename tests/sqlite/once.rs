//! Messages with keys: those that other programs put in, and what is left behind.

use std::time::Duration;

use pgqrs::{IfNotEmpty, Producer, SqliteStore, Store};

use crate::audit::value;
use crate::file::InFile;

const COUNT: &str = "SELECT count(*) FROM pgqrs_keys";

#[test]
fn what_sql_inserts_with_a_key_is_stored_once() {
    let file = InFile::with_tasks();
    let db = file.foreign();
    let insert = "INSERT INTO pgqrs_enqueue (queue, payload, key) VALUES ('tasks', ?1, ?2)";
    for payload in ["1", "2"] {
        db.execute(insert, [payload, "order 17"]).unwrap();
    }
    let later = "INSERT INTO pgqrs_enqueue (queue, payload, delay, key)
                 VALUES ('tasks', '3', '+1 hour', 'order 18')";
    for _ in 0..2 {
        db.execute(later, []).unwrap();
    }
    let counts = file.store.counts("tasks").unwrap();
    assert_eq!((counts.ready, counts.scheduled), (1, 1));
    let producer = Producer::new(&file.store, "tasks").unwrap();
    for (key, id) in [("order 17", 1), ("order 18", 2)] {
        assert_eq!(producer.enqueue_once(key, "again").unwrap().id, id);
    }
    // And the other way round.
    let sent = producer.enqueue_once("order 19", "first").unwrap();
    db.execute(insert, ["4", "order 19"]).unwrap();
    assert_eq!(file.store.counts("tasks").unwrap().ready, 2);

    // Free again.
    db.execute_batch("UPDATE pgqrs_keys SET expires_at = 1")
        .unwrap();
    db.execute(insert, ["5", "order 19"]).unwrap();
    assert_eq!(file.store.counts("tasks").unwrap().ready, 3);
    let again = producer.enqueue_once("order 19", "again").unwrap();
    assert!(again.id > sent.id);

    let refused = |payload: &str, key: &str| db.execute(insert, [payload, key]).unwrap_err();
    assert!(refused("1", "").to_string().contains("CHECK"));
    assert!(refused("no JSON", "order 20").to_string().contains("JSON"));
    let nowhere = insert.replace("'tasks'", "'nowhere'");
    let error = db.execute(&nowhere, ["1", "a"]).unwrap_err();
    assert!(error.to_string().contains("no such queue"), "{error}");
    assert_eq!(file.store.counts("tasks").unwrap().ready, 3);
}

/// Twice as fast as they come, and those of other queues are let alone.
#[test]
fn keys_that_are_free_again_go() {
    let file = InFile::with_tasks();
    file.store.create_queue("other").unwrap();
    let short = SqliteStore::builder(file.path()).key_retention(Duration::from_nanos(1));
    let short = short.build().unwrap();
    let keyed = |numbers: std::ops::Range<u32>| numbers.map(|n| (format!("key {n}"), n));
    for queue in ["tasks", "other"] {
        let producer = Producer::new(&short, queue).unwrap();
        producer.batch_enqueue_once(keyed(0..100)).unwrap();
    }
    let producer = Producer::new(&file.store, "tasks").unwrap();
    let mut left = 200;
    for n in 0..20 {
        producer
            .batch_enqueue_once(keyed(1_000 + n..1_001 + n))
            .unwrap();
        left -= 1; // one comes, two go
        assert_eq!(value::<i64>(&file.foreign(), COUNT), left);
    }
    producer.batch_enqueue_once(keyed(2_000..2_100)).unwrap();
    assert_eq!(value::<i64>(&file.foreign(), COUNT), 100 + 20 + 100);
    file.store
        .delete_queue("other", IfNotEmpty::Delete)
        .unwrap();
    assert_eq!(value::<i64>(&file.foreign(), COUNT), 20 + 100);
}
