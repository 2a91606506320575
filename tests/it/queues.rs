//! Queues that are deleted while they are in use.

use std::thread;
use std::time::{Duration, Instant};

use pgqrs::{Consumer, ErrorKind, IfNotEmpty, Producer, Result, Store};

use crate::pg::Pg;
use pgqrs_test_support::wait_until;

const DEADLINE: Duration = Duration::from_secs(60);

/// Repeats a call until the queue is gone.
fn until_gone<T>(mut call: impl FnMut() -> Result<T>) {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        if let Err(error) = call() {
            assert_eq!(error.kind(), ErrorKind::UnknownQueue, "{error}");
            return;
        }
    }
    panic!("the queue is still there");
}

#[test]
fn a_queue_that_is_deleted_under_load_leaves_nothing_behind() {
    let pg = Pg::with_tasks();
    let store = &pg.store;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let producer = Producer::new(store, "tasks").unwrap();
                until_gone(|| producer.batch_enqueue(0..10));
            });
            scope.spawn(|| {
                let consumer = Consumer::builder(store, "tasks").batch(20).build().unwrap();
                until_gone(|| {
                    let messages = consumer.dequeue()?;
                    let half = messages.len() / 2;
                    consumer.archive_many(&messages[..half])?;
                    consumer.release_many(&messages[half..], Duration::ZERO)
                });
            });
        }
        wait_until("the load", DEADLINE, || {
            store.counts("tasks").unwrap().archived > 200
        });
        store.delete_queue("tasks", IfNotEmpty::Delete).unwrap();
    });
    for table in [
        "queues",
        "workers",
        "messages",
        "live",
        "scheduled",
        "done",
        "dead",
    ] {
        let left: i64 = pg.value(&format!("SELECT count(*) FROM pgqrs_{table}"));
        assert_eq!(left, 0, "in pgqrs_{table}");
    }
}

#[test]
fn a_queue_is_not_deleted_under_an_open_transaction_that_enqueued() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let mut client = pg.client();
    thread::scope(|scope| {
        let mut tx = client.transaction().unwrap();
        producer.enqueue_in(&mut tx, "a").unwrap();
        let deleting = scope.spawn(|| pg.store.delete_queue("tasks", IfNotEmpty::Refuse));
        let mut monitor = pg.client();
        wait_until("the delete to wait", DEADLINE, || {
            let waiting = "SELECT count(*) > 0 FROM pg_locks
                           WHERE locktype = 'advisory' AND NOT granted";
            monitor.query_one(waiting, &[]).unwrap().get(0)
        });
        tx.commit().unwrap();
        let error = deleting.join().unwrap().unwrap_err();
        // It waited, and saw the message; where the commit took longer than its patience,
        // it did not.
        let told = [ErrorKind::QueueNotEmpty, ErrorKind::Unavailable];
        assert!(told.contains(&error.kind()), "{error}");
    });
    assert_eq!(pg.store.counts("tasks").unwrap().ready, 1);
}
