//! Consumers that wait are woken: these would look again in an hour.

use super::*;
use crate::{Consumer, Producer};
use pgqrs_testing::in_time::{Begun, begin};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Long enough to be waited for, short enough to wait for it.
const SHORT: Duration = Duration::from_millis(30);

/// The store that waits, and the one that does something: as of two processes in a file, the
/// same one in memory.
fn everywhere(case: impl Fn(&SqliteStore, &SqliteStore)) {
    let file = InFile::new();
    file.store.create_queue("tasks").unwrap();
    case(&file.store, &file.store);
    let file = InFile::new();
    file.store.create_queue("tasks").unwrap();
    case(&file.store, &file.another());
    let memory = InMemory::new();
    memory.0.create_queue("tasks").unwrap();
    case(&memory.0, &memory.0);
}

fn consumer(store: &SqliteStore) -> Consumer<SqliteStore> {
    let consumer = Consumer::builder(store.clone(), "tasks");
    consumer
        .lock_time(HOUR)
        .poll_interval(HOUR)
        .build()
        .unwrap()
}

fn producer(store: &SqliteStore) -> Producer<SqliteStore> {
    Producer::new(store.clone(), "tasks").unwrap()
}

/// A poll for one message that has found nothing yet.
fn polling(store: &SqliteStore) -> Begun<i64> {
    let consumer = consumer(store);
    let polling = begin(move || consumer.poll(1, HOUR).unwrap()[0].id);
    waits(store);
    polling
}

/// Waits until somebody waits.
fn waits(store: &SqliteStore) {
    while !store.inner.watch.is_waited_for() {
        std::thread::yield_now();
    }
}

#[test]
fn an_enqueue_wakes() {
    everywhere(|here, there| {
        let polling = polling(here);
        let sent = producer(there).enqueue("work").unwrap();
        assert_eq!(polling.end(), sent.id);
    });
}

#[test]
fn a_release_wakes() {
    everywhere(|here, there| {
        let sent = producer(there).enqueue("work").unwrap();
        let other = consumer(there);
        let held = other.dequeue().unwrap();
        let polling = polling(here);
        assert!(other.release(&held[0], Duration::ZERO).unwrap());
        assert_eq!(polling.end(), sent.id);
    });
}

#[test]
fn a_delayed_message_wakes_when_it_is_due() {
    everywhere(|here, there| {
        let polling = polling(here);
        let sent = producer(there).enqueue_delayed("later", SHORT).unwrap();
        assert_eq!(polling.end(), sent.id);
    });
}

#[test]
fn a_message_that_was_delayed_before_wakes_when_it_is_due() {
    everywhere(|here, there| {
        let sent = producer(there).enqueue_delayed("later", SHORT).unwrap();
        let consumer = consumer(here);
        let polling = begin(move || consumer.poll(1, HOUR).unwrap()[0].id);
        assert_eq!(polling.end(), sent.id);
    });
}

#[test]
fn a_lease_that_runs_out_wakes() {
    everywhere(|here, there| {
        let sent = producer(there).enqueue("work").unwrap();
        let lost = consumer(there).dequeue_many_with_delay(1, SHORT).unwrap();
        assert_eq!(lost.len(), 1);
        let consumer = consumer(here);
        let polling = begin(move || consumer.poll(1, HOUR).unwrap()[0].id);
        assert_eq!(polling.end(), sent.id);
    });
}

#[test]
fn an_iterator_is_woken_each_time() {
    everywhere(|here, there| {
        let consumer = consumer(here);
        let (got, found) = std::sync::mpsc::channel();
        let waiting = begin(move || {
            for message in consumer.iter().take(3) {
                let message = message.unwrap();
                assert!(consumer.archive(&message).unwrap());
                got.send(message.id).unwrap();
            }
        });
        for number in 0..3 {
            waits(here);
            let sent = producer(there).enqueue(&number).unwrap();
            assert_eq!(found.recv_timeout(Duration::from_secs(60)), Ok(sent.id));
        }
        waiting.end();
        assert!(!here.inner.watch.is_waited_for());
    });
}

#[test]
fn nobody_watches_for_those_who_do_not_wait() {
    everywhere(|here, there| {
        producer(there).batch_enqueue(0..2).unwrap();
        let consumer = consumer(here);
        assert_eq!(consumer.poll(1, HOUR).unwrap().len(), 1);
        let mut messages = consumer.iter();
        assert!(messages.next().is_some());
        assert!(!here.inner.watch.is_waited_for());
        drop(messages);
        assert_eq!(consumer.poll(1, Duration::from_millis(1)).unwrap(), []);
        assert!(!here.inner.watch.is_waited_for());
    });
}
