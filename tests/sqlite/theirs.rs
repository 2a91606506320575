//! Transactions of the caller's own, beside others who write.

use std::sync::mpsc::channel;
use std::thread;

use pgqrs::rusqlite::{Connection, TransactionBehavior};
use pgqrs::{Consumer, ErrorKind, Producer, SqliteStore, Store};

use crate::file::InFile;
use pgqrs_test_support::{MINUTE, wait_until};

/// Has another connection write until somebody waits for it: a deferred transaction, and a
/// connection in none, wait as an immediate one does.
fn waits_for_who_writes(work: impl FnOnce(&mut Connection) + Send) {
    let file = InFile::with_tasks();
    let mut mine = file.foreign();
    let other = file.foreign();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (begins, begun) = channel();
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            begins.send(()).unwrap();
            work(&mut mine);
        });
        begun.recv().unwrap();
        // Longer than it takes to fail; however slow the machine is, it must not be over.
        thread::yield_now();
        let mut looks = 0;
        wait_until("some looks", MINUTE, || {
            looks += 1;
            looks > 20
        });
        assert!(!waiting.is_finished(), "it did not wait");
        other.execute_batch("COMMIT").unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn a_settlement_in_a_deferred_transaction_waits_for_who_writes() {
    waits_for_who_writes(|mine| {
        let store = SqliteStore::open(mine.path().unwrap()).unwrap();
        let mut tx = mine
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .unwrap();
        let queue_id = 1;
        let receipt = pgqrs::Receipt::from(1);
        let outcome = pgqrs::Outcome::Archive;
        let settlement = pgqrs::Settlement { receipt, outcome };
        let settled = pgqrs::Transactional::settle_in(&store, &mut tx, queue_id, &[settlement]);
        assert_eq!(settled.unwrap(), [false]);
        tx.commit().unwrap();
    });
}

#[test]
fn an_enqueue_in_no_transaction_waits_for_who_writes() {
    waits_for_who_writes(|mine| {
        let store = SqliteStore::open(mine.path().unwrap()).unwrap();
        let producer = Producer::new(store.clone(), "tasks").unwrap();
        producer.enqueue_in(&mut &*mine, "mine").unwrap();
        assert_eq!(store.counts("tasks").unwrap().ready, 1);
    });
}

#[test]
fn a_transaction_on_another_database_is_refused() {
    let (one, other) = (InFile::with_tasks(), InFile::with_tasks());
    let memory = SqliteStore::in_memory().unwrap();
    memory.create_queue("tasks").unwrap();
    for store in [&one.store, &memory] {
        let producer = Producer::new(store.clone(), "tasks").unwrap();
        for connection in [other.foreign(), Connection::open_in_memory().unwrap()] {
            let error = producer.enqueue_in(&mut &connection, "lost").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(
                error.to_string().contains("the transaction is on"),
                "{error}"
            );
        }
    }
    for store in [&one.store, &other.store, &memory] {
        assert_eq!(store.counts("tasks").unwrap().total(), 0);
    }
}

#[test]
fn a_connection_by_another_name_is_to_the_same_database() {
    let file = InFile::with_tasks();
    let link = file.path().with_file_name("link.db");
    std::os::unix::fs::symlink(file.path(), &link).unwrap();
    let by_link = SqliteStore::open(&link).unwrap();
    let producer = Producer::new(&by_link, "tasks").unwrap();
    producer.enqueue_in(&mut &file.foreign(), "one").unwrap();
    producer.enqueue("two").unwrap();
    assert_eq!(
        Consumer::new(&file.store, "tasks")
            .unwrap()
            .dequeue()
            .unwrap()
            .len(),
        2
    );
    assert!(!link.with_file_name("link.db-turn").exists());
}
