//! Consumers that wait are woken: these would look again in an hour.

use super::*;
use pgqrs_testing::in_time::{Begun, begin};

/// A poll for one message, by a consumer of its own.
fn polling(store: &MockStore) -> Begun<Vec<Message>> {
    let consumer = Consumer::builder(store.clone(), "tasks").poll_interval(HOUR);
    let consumer = consumer.build().unwrap();
    let polling = begin(move || consumer.poll(1, HOUR).unwrap());
    // From the moment when its bell hangs, it waits.
    while store.lock().ringing.is_empty() {
        std::thread::yield_now();
    }
    polling
}

#[test]
fn an_enqueue_wakes() {
    let (store, producer, _) = tasks();
    let polling = polling(&store);
    let sent = producer.enqueue("work").unwrap();
    assert_eq!(ids(&polling.end()), [sent.id]);
}

#[test]
fn a_release_wakes() {
    let (store, producer, other) = tasks();
    producer.enqueue("work").unwrap();
    let held = other.dequeue().unwrap();
    let polling = polling(&store);
    assert!(other.release(&held[0], Duration::ZERO).unwrap());
    assert_eq!(ids(&polling.end()), ids(&held));
}

#[test]
fn a_delayed_message_wakes_when_it_is_due() {
    let (store, producer, _) = tasks();
    let polling = polling(&store);
    let sent = producer.enqueue_delayed("later", HOUR).unwrap();
    store.advance(HOUR);
    assert_eq!(ids(&polling.end()), [sent.id]);
}

#[test]
fn a_lease_that_runs_out_wakes() {
    let (store, producer, other) = tasks();
    producer.enqueue("work").unwrap();
    let held = other.dequeue().unwrap();
    let polling = polling(&store);
    store.advance(HOUR);
    assert_eq!(ids(&polling.end()), ids(&held));
}

#[test]
fn a_commit_wakes() {
    let (store, producer, _) = tasks();
    let polling = polling(&store);
    let mut tx = store.begin();
    let sent = producer.enqueue_in(&mut tx, "work").unwrap();
    tx.commit();
    assert_eq!(ids(&polling.end()), [sent.id]);
}

#[test]
fn an_iterator_is_woken() {
    let (store, producer, _) = tasks();
    let consumer = Consumer::builder(store.clone(), "tasks").poll_interval(HOUR);
    let consumer = consumer.build().unwrap();
    let waiting = begin(move || consumer.iter().next().unwrap().unwrap());
    while store.lock().ringing.is_empty() {
        std::thread::yield_now();
    }
    let sent = producer.enqueue("work").unwrap();
    assert_eq!(waiting.end().id, sent.id);
}

#[test]
fn nothing_hangs_when_nobody_waits() {
    let (store, producer, consumer) = tasks();
    producer.batch_enqueue(0..2).unwrap();
    assert_eq!(consumer.poll(1, HOUR).unwrap().len(), 1);
    let mut messages = consumer.iter();
    assert!(messages.next().is_some());
    // Neither of the two had to wait.
    assert!(store.lock().ringing.is_empty());
    drop(messages);
    assert_eq!(consumer.poll(1, Duration::from_millis(1)).unwrap(), []);
    assert!(store.lock().ringing.is_empty());
}
