//! What a producer may rely on.

use std::time::Duration;

use serde_json::json;
use time::UtcOffset;

use super::scene::*;
use crate::Harness;
use pgqrs::{Counts, Message, NewMessage, Store};

/// What goes in comes out, body and all.
pub fn an_enqueued_message_is_dequeued(h: &impl Harness) {
    let tasks = tasks(h);
    let payload = json!({"action": "send_email", "to": ["ann", "bob"]});
    let sent = tasks.producer.enqueue(&payload).unwrap();
    let got = tasks.lease_one(&tasks.consumer());
    assert_eq!(got.id, sent.id);
    assert_eq!(got.queue_id, sent.queue_id);
    assert_eq!(got.enqueued_at, sent.enqueued_at);
    assert_eq!(got.payload, payload);
}

/// The answer of `enqueue` is the message as it stands in the store: ready, and nobody's.
pub fn enqueue_returns_the_message(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = tasks.producer.enqueue("work").unwrap();
    assert_eq!(sent.payload, json!("work"));
    assert_eq!(sent.queue_id, tasks.producer.queue().id);
    assert_eq!(sent.vt, sent.enqueued_at);
    assert_eq!(reads(&sent), (0, 0));
    assert_eq!(sent.worker, None);
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
}

/// Times are UTC, in whole microseconds, wherever they come from.
pub fn times_are_utc_in_whole_microseconds(h: &impl Harness) {
    let tasks = tasks(h);
    let odd = Duration::from_nanos(123_456_789);
    let sent = tasks.producer.enqueue(&1).unwrap();
    let delayed = tasks.producer.enqueue_delayed(&2, odd).unwrap();
    let consumer = tasks.consumer();
    let got = consumer.dequeue_many_with_delay(1, HOUR + odd).unwrap();
    for message in [sent, delayed, only(got)] {
        for time in [message.enqueued_at, message.vt] {
            assert_eq!(time.offset(), UtcOffset::UTC);
            assert_eq!(time.nanosecond() % 1_000, 0);
        }
    }
}

/// A batch comes back in input order, with ascending ids, and is dequeued in that order.
pub fn a_batch_keeps_its_order(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = tasks.producer.batch_enqueue(["c", "a", "b"]).unwrap();
    assert_eq!(payloads(&sent), [&json!("c"), &json!("a"), &json!("b")]);
    assert!(ascending(&ids(&sent)));
    let got = tasks.consumer().dequeue().unwrap();
    assert_eq!(ids(&got), ids(&sent));
    assert_eq!(payloads(&got), payloads(&sent));
}

/// Later batches come after earlier ones.
pub fn batches_follow_one_another(h: &impl Harness) {
    let tasks = tasks(h);
    let mut sent = Vec::new();
    for size in [3, 1, 5] {
        sent.extend(ids(&tasks.put(size)));
        sent.push(tasks.producer.enqueue("between").unwrap().id);
    }
    assert!(ascending(&sent));
    assert_eq!(ids(&tasks.drain()), sent);
}

/// Every message of a batch is as complete as one enqueued alone.
pub fn every_message_of_a_batch_is_complete(h: &impl Harness) {
    let tasks = tasks(h);
    for sent in tasks.put(3) {
        assert_eq!(sent.queue_id, tasks.producer.queue().id);
        assert_eq!(sent.vt, sent.enqueued_at);
        assert_eq!(reads(&sent), (0, 0));
        assert_eq!(sent.worker, None);
    }
}

/// Ids are unique in the whole store, and later messages have higher ones.
pub fn ids_ascend_across_queues(h: &impl Harness) {
    let (one, two) = (queue(h, "one"), queue(h, "two"));
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.extend(ids(&one.put(2)));
        sent.extend(ids(&two.put(2)));
    }
    assert!(ascending(&sent), "{sent:?}");
}

/// Ids are not used again, also when the messages are gone.
pub fn ids_are_never_used_again(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let first = tasks.producer.enqueue("first").unwrap();
    assert!(consumer.delete(&tasks.lease_one(&consumer)).unwrap());
    let second = tasks.producer.enqueue("second").unwrap();
    assert!(second.id > first.id);
}

/// Nothing can be enqueued, which stores nothing.
pub fn an_empty_batch_is_fine(h: &impl Harness) {
    let tasks = tasks(h);
    let none: [u8; 0] = [];
    assert_eq!(tasks.producer.batch_enqueue(none).unwrap(), []);
    let sent = tasks.producer.batch_enqueue_delayed(none, HOUR).unwrap();
    assert_eq!(sent, []);
    assert_eq!(tasks.counts(), NONE);
}

/// A call takes any number of messages, whatever the store's own portions are.
pub fn a_batch_of_25000_messages_is_one_batch(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = tasks.put(25_000);
    assert!(ascending(&ids(&sent)));
    let numbers = sent.iter().map(|message| message.json::<u32>().unwrap());
    assert!(numbers.eq(0..25_000));

    let consumer = tasks.consumer();
    let got = consumer.dequeue_many(30_000).unwrap();
    assert_eq!(ids(&got), ids(&sent));
    assert_eq!(payloads(&got), payloads(&sent));
}

/// The same for delayed messages, which keep their order while they wait.
pub fn a_delayed_batch_of_25000_messages_is_one_batch(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = tasks.producer.batch_enqueue_delayed(0..25_000, HOUR);
    let sent = sent.unwrap();
    assert!(ascending(&ids(&sent)));
    h.advance(HOUR);
    let got = tasks.consumer().dequeue_many(30_000).unwrap();
    assert_eq!(ids(&got), ids(&sent));
}

/// Payloads near the limit fit into one batch, and into one answer.
pub fn a_batch_of_20_large_payloads_is_one_batch(h: &impl Harness) {
    let tasks = tasks(h);
    let large = |number: usize| number.to_string().repeat(1_000_000)[..999_998].to_owned();
    let sent = tasks.producer.batch_enqueue((0..20).map(large)).unwrap();
    let got = tasks.consumer().dequeue_many(20).unwrap();
    assert_eq!(ids(&got), ids(&sent));
    let text = |message: &Message| message.json::<String>().unwrap();
    assert!(got.iter().map(text).eq((0..20).map(large)));
}

/// The trait's own call works like the producer's.
pub fn the_store_itself_enqueues(h: &impl Harness) {
    let tasks = tasks(h);
    let queue = tasks.store.queue("tasks").unwrap();
    let batch = || vec![NewMessage::from(json!(1)), NewMessage::new("two").unwrap()];
    let ready = tasks.store.enqueue(queue.id, batch(), None).unwrap();
    let later = tasks.store.enqueue(queue.id, batch(), Some(HOUR)).unwrap();
    for sent in [ready, later] {
        assert_eq!(payloads(&sent), [&json!(1), &json!("two")]);
    }
    let counts = Counts {
        ready: 2,
        scheduled: 2,
        ..NONE
    };
    assert_eq!(tasks.counts(), counts);
}
