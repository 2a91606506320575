//! Another program keeps the file locked.

use std::time::Duration;

use pgqrs::{Consumer, ErrorKind, Producer, SqliteStore, Store};

use crate::file::InFile;

#[test]
fn a_call_that_waits_in_vain_has_done_nothing_and_reads_go_on() {
    let file = InFile::with_tasks();
    let timeout = Duration::from_millis(50);
    let store = SqliteStore::builder(file.path()).busy_timeout(timeout);
    let store = store.build().unwrap();
    let producer = Producer::new(&store, "tasks").unwrap();
    let consumer = Consumer::new(&store, "tasks").unwrap();
    producer.enqueue("held").unwrap();
    let held = consumer.dequeue().unwrap();
    assert!(consumer.dequeue().unwrap().is_empty());

    let foreign = file.foreign();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let errors = [
        producer.enqueue("no").map(drop).unwrap_err(),
        consumer.archive(&held[0]).map(drop).unwrap_err(),
        store.create_queue("no").map(drop).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        let text = error.to_string();
        assert!(text.contains("queue.db") && text.contains("50ms"), "{text}");
    }
    let counts = store.counts("tasks").unwrap();
    assert_eq!((counts.leased, counts.total()), (1, 1));
    assert_eq!(store.queues().unwrap().len(), 1);
    assert_eq!(store.queue("tasks").unwrap().name, "tasks");
    assert!(consumer.dequeue().unwrap().is_empty(), "known to be empty");

    foreign.execute_batch("ROLLBACK").unwrap();
    producer.enqueue("yes").unwrap();
    assert!(consumer.archive(&held[0]).unwrap());
    let counts = file.store.counts("tasks").unwrap();
    assert_eq!((counts.ready, counts.archived, counts.total()), (1, 1, 2));
}

/// A process that is stopped while it is its turn (as by Ctrl-Z) keeps nobody from writing.
#[test]
fn a_turn_that_nobody_gives_back_is_done_without() {
    let file = InFile::with_tasks();
    let turn = std::fs::File::open(format!("{}-turn", file.path().display())).unwrap();
    turn.lock().unwrap();
    let producer = Producer::new(&file.store, "tasks").unwrap();
    for number in 0..20 {
        producer.enqueue(&number).unwrap();
    }
    assert_eq!(file.store.counts("tasks").unwrap().ready, 20);
}

#[test]
fn any_busy_timeout_but_zero_will_do() {
    let file = InFile::with_tasks();
    for timeout in [Duration::from_nanos(1), Duration::MAX] {
        let store = SqliteStore::builder(file.path()).busy_timeout(timeout);
        let store = store.build().unwrap();
        Producer::new(&store, "tasks")
            .unwrap()
            .enqueue("in")
            .unwrap();
    }
    assert_eq!(file.store.counts("tasks").unwrap().ready, 2);
    let refused = SqliteStore::builder(file.path()).busy_timeout(Duration::ZERO);
    assert_eq!(refused.build().unwrap_err().kind(), ErrorKind::Invalid);
}
