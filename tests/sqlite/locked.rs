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
