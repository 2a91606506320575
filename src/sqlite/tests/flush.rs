//! What is on the disk when a call is answered: read off the setting that the transaction ended
//! under.

use serde_json::json;

use super::*;
use crate::{Consumer, Producer};

const FULL: i64 = 2;
const NORMAL: i64 = 1;

/// SQLite's `synchronous`, as the last transaction left it.
fn last_commit(store: &SqliteStore) -> i64 {
    store
        .inner
        .line
        .with_writer(|db| db.query_row("PRAGMA synchronous", [], |row| row.get(0)))
        .unwrap()
}

/// Makes every call, and returns how each was committed.
fn all_calls(store: &SqliteStore) -> Vec<(&'static str, i64)> {
    let mut seen = Vec::new();
    let mut after = |call| seen.push((call, last_commit(store)));
    let queue_id = store.create_queue("tasks").unwrap().id;
    after("create_queue");
    let producer = Producer::new(store.clone(), "tasks").unwrap();
    let consumer = Consumer::new(store.clone(), "tasks").unwrap();
    after("register_worker");
    producer.batch_enqueue(0..6).unwrap();
    after("enqueue");
    let held = consumer.dequeue_many(5).unwrap();
    after("dequeue");
    producer
        .enqueue_delayed(&json!(1), Duration::from_secs(9))
        .unwrap();
    after("enqueue_delayed");
    consumer
        .extend_visibility(&held[0], Duration::from_secs(9))
        .unwrap();
    after("extend_visibility");
    consumer.archive(&held[0]).unwrap();
    after("archive");
    store.register_worker(queue_id, "another").unwrap();
    consumer.delete(&held[1]).unwrap();
    after("delete");
    store.register_worker(queue_id, "another").unwrap();
    consumer.release(&held[2], Duration::ZERO).unwrap();
    after("release");
    store.register_worker(queue_id, "another").unwrap();
    consumer.dead_letter(&held[3], "why").unwrap();
    after("dead_letter");
    consumer.dequeue_many(1).unwrap();
    consumer.archive_and_dequeue([&held[4]], 1).unwrap();
    after("archive_and_dequeue");
    store.register_worker(queue_id, "another").unwrap();
    store.purge("tasks", &[State::Dead]).unwrap();
    after("purge");
    store.register_worker(queue_id, "another").unwrap();
    store.delete_queue("tasks", IfNotEmpty::Delete).unwrap();
    after("delete_queue");
    seen
}

#[test]
fn all_but_leases_is_flushed() {
    let file = InFile::new();
    let leases = ["register_worker", "dequeue", "extend_visibility"];
    for (call, committed) in all_calls(&file.store) {
        let expected = match leases.contains(&call) {
            true => NORMAL,
            false => FULL,
        };
        assert_eq!(committed, expected, "{call}");
    }
}

#[test]
fn nothing_is_flushed_where_that_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::builder(directory.path().join("queue.db"))
        .durability(Durability::Normal)
        .build()
        .unwrap();
    for (call, committed) in all_calls(&store) {
        assert_eq!(committed, NORMAL, "{call}");
    }
}
