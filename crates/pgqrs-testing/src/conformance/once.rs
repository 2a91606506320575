//! Messages with keys: each is stored once, however often its enqueue is repeated.

use serde_json::json;

use super::scene::*;
use crate::Harness;
use pgqrs::{Counts, ErrorKind, IfNotEmpty, Message, NewMessage, Producer, State, Store};

/// Each with a key of its own: "key 0", "key 1" and so on.
fn keyed(numbers: impl IntoIterator<Item = usize>) -> Vec<(String, usize)> {
    let keyed = |number| (format!("key {number}"), number);
    numbers.into_iter().map(keyed).collect()
}

/// A key stores its message once, however often the call is repeated.
pub fn a_key_stores_its_message_once(h: &impl Harness) {
    let tasks = tasks(h);
    let first = tasks.producer.enqueue_once("a", "work").unwrap();
    for _ in 0..5 {
        let again = tasks.producer.enqueue_once("a", "work").unwrap();
        assert_eq!(again.id, first.id);
    }
    let other = tasks.producer.enqueue_once("b", "work").unwrap();
    assert!(other.id > first.id);
    assert_eq!(ids(&tasks.drain()), [first.id, other.id]);
}

/// The answer to a repeat is that to the first call, through whichever handle, and whatever time
/// has passed.
pub fn the_answer_to_a_repeat_is_the_first_one(h: &impl Harness) {
    let tasks = tasks(h);
    let first = tasks.producer.enqueue_once("a", "work").unwrap();
    assert_eq!(
        (first.vt, &first.payload),
        (first.enqueued_at, &json!("work"))
    );
    assert_eq!((reads(&first), first.worker), ((0, 0), None));
    assert_eq!(first.queue_id, tasks.producer.queue().id);
    let other = Producer::new(h.store(), "tasks").unwrap();
    assert_eq!(other.enqueue_once("a", "work").unwrap(), first);
    h.advance(HOUR);
    let again = other.enqueue_once("a", "work").unwrap();
    assert_eq!((again.id, again.vt), (first.id, again.enqueued_at));
    let got = tasks.lease_one(&tasks.consumer());
    assert_eq!((got.id, got.enqueued_at), (again.id, again.enqueued_at));
}

/// It is the key that counts: a repeat with another payload is answered with that payload, and
/// changes nothing.
pub fn a_repeat_with_another_payload_stores_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    let first = tasks.producer.enqueue_once("a", &1).unwrap();
    let again = tasks.producer.enqueue_once("a", &2).unwrap();
    assert_eq!((again.id, &again.payload), (first.id, &json!(2)));
    assert_eq!(only(tasks.drain()).payload, json!(1));
}

/// Another queue's keys are others.
pub fn keys_are_each_queues_own(h: &impl Harness) {
    let (one, two) = (queue(h, "one"), queue(h, "two"));
    let first = one.producer.enqueue_once("a", &1).unwrap();
    let second = two.producer.enqueue_once("a", &2).unwrap();
    assert_ne!(first.id, second.id);
    for tasks in [one, two] {
        assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
    }
}

/// Keys that differ in anything are different, and those of 1 to 255 bytes are good.
pub fn keys_are_told_apart_to_the_letter(h: &impl Harness) {
    let tasks = tasks(h);
    let long = "x".repeat(254);
    let umlauts = "ü".repeat(127);
    let keys = [
        "a",
        "A",
        " a",
        "a ",
        "á",
        "a\u{301}",
        "'\"\\",
        "\n",
        "%",
        "\u{1F980}",
        &long,
        &umlauts,
    ];
    let mut keys = keys.map(str::to_owned).to_vec();
    keys.push(long.clone() + "y");
    let batch = || keys.iter().map(|key| (key.clone(), key.clone()));
    let sent = tasks.producer.batch_enqueue_once(batch()).unwrap();
    assert!(ascending(&ids(&sent)));
    for ((key, payload), sent) in batch().zip(&sent) {
        assert_eq!(&tasks.producer.enqueue_once(key, &payload).unwrap(), sent);
    }
    assert_eq!(tasks.counts().ready, keys.len() as u64);
}

/// A key is remembered for its time, from the first call on, and then it is free again.
pub fn a_key_is_free_again_after_its_time(h: &impl Harness) {
    let tasks = tasks(h);
    let retention = tasks.store.settings().key_retention;
    let mut last = tasks.producer.enqueue_once("a", "work").unwrap().id;
    for _ in 0..3 {
        h.advance(retention - HOUR);
        assert_eq!(tasks.producer.enqueue_once("a", "work").unwrap().id, last);
        h.advance(HOUR);
        let next = tasks.producer.enqueue_once("a", "work").unwrap();
        assert!(next.id > last);
        assert_eq!(next.vt, next.enqueued_at);
        last = next.id;
    }
    assert_eq!(tasks.counts(), Counts { ready: 4, ..NONE });
}

/// A key is remembered whatever becomes of its message.
pub fn a_key_outlives_its_message(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = tasks.producer.batch_enqueue_once(keyed(0..4)).unwrap();
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    assert!(consumer.archive(&held[0]).unwrap());
    assert!(consumer.dead_letter(&held[1], "why").unwrap());
    assert!(consumer.delete(&held[2]).unwrap());
    assert_eq!(tasks.store.purge("tasks", &[State::Leased]).unwrap(), 1);
    let again = tasks.producer.batch_enqueue_once(keyed(0..4)).unwrap();
    assert_eq!(again, sent);
    tasks.store.purge("tasks", &State::ALL).unwrap();
    let again = tasks.producer.batch_enqueue_once(keyed(0..4)).unwrap();
    assert_eq!(again, sent);
    assert_eq!(tasks.counts(), NONE);
}

/// Of those with the same key in a batch the first is stored.
pub fn a_key_twice_in_a_batch_stores_one(h: &impl Harness) {
    let tasks = tasks(h);
    let batch = [("b", 1), ("a", 2), ("b", 3), ("a", 4), ("b", 5)];
    let sent = tasks.producer.batch_enqueue_once(batch).unwrap();
    let [b, a] = [sent[0].id, sent[1].id];
    assert!(b < a);
    assert_eq!(ids(&sent), [b, a, b, a, b]);
    let numbers = sent.iter().map(|message| message.json::<i32>().unwrap());
    assert!(numbers.eq(1..=5));
    let stored = tasks.drain();
    assert_eq!(payloads(&stored), [&json!(1), &json!(2)]);
    assert_eq!(tasks.producer.batch_enqueue_once(batch).unwrap(), sent);
    assert_eq!(tasks.counts(), Counts { leased: 2, ..NONE });
}

/// A batch may have new keys, known ones and messages without; what it stores is in order.
pub fn a_batch_mixes_new_keys_known_ones_and_none(h: &impl Harness) {
    let tasks = tasks(h);
    let known = tasks.producer.batch_enqueue_once(keyed([3, 6])).unwrap();
    let message = |number: usize| {
        let message = NewMessage::from(json!(number));
        match number % 3 {
            1 => message,
            _ => message.with_key(format!("key {number}")).unwrap(),
        }
    };
    let queue_id = tasks.producer.queue().id;
    let batch = || (0..9).rev().map(message).collect::<Vec<_>>();
    let sent = tasks.store.enqueue(queue_id, batch(), None).unwrap();
    let numbers = sent.iter().map(|message| message.json::<usize>().unwrap());
    assert!(numbers.eq((0..9).rev()));
    assert_eq!((sent[2].id, sent[5].id), (known[1].id, known[0].id));
    let is_new = |message: &&Message| message.id > known[1].id;
    let new: Vec<i64> = sent.iter().filter(is_new).map(|m| m.id).collect();
    assert!(new.len() == 7 && ascending(&new), "{new:?}");
    // Again, only those without a key are new.
    let again = tasks.store.enqueue(queue_id, batch(), None).unwrap();
    for (again, sent) in again.iter().zip(&sent) {
        let number: usize = sent.json().unwrap();
        assert_eq!(again.id != sent.id, number % 3 == 1, "{number}");
    }
    let got = tasks.drain();
    assert_eq!(got.len(), 2 + 7 + 3);
    assert!(ascending(&ids(&got)));
}

/// A batch stores as many as are new, however long it is.
pub fn a_batch_of_25000_keys_is_one_batch(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = tasks.producer.batch_enqueue_once(keyed(0..25_000)).unwrap();
    assert!(ascending(&ids(&sent)));
    let again = tasks.producer.batch_enqueue_once(keyed(0..25_001)).unwrap();
    assert_eq!(ids(&again[..25_000]), ids(&sent));
    assert_eq!(tasks.counts().ready, 25_001);
}

/// What is not a key is refused, and nothing of its batch is stored.
pub fn bad_keys_are_refused(h: &impl Harness) {
    let tasks = tasks(h);
    let long = "x".repeat(256);
    for (key, rule) in [
        ("", "0 bytes, which is not in 1..=255"),
        (&long, "256 bytes, which is not in 1..=255"),
        (&"ü".repeat(128), "256 bytes"),
        ("a\0b", r#""a\0b" has the character \u0000"#),
    ] {
        let refused = tasks.producer.enqueue_once(key, "work");
        assert_error(refused, ErrorKind::Invalid, rule);
        let refused = tasks.producer.batch_enqueue_once([("good", 1), (key, 2)]);
        assert_error(refused, ErrorKind::Invalid, "element 1 ");
    }
    assert_eq!(tasks.counts(), NONE);
}

/// A batch that is refused leaves its keys free.
pub fn a_refused_batch_leaves_its_keys_free(h: &impl Harness) {
    let tasks = tasks(h);
    let refused = tasks
        .producer
        .batch_enqueue_once([("a", "good"), ("b", "\0")]);
    assert_error(refused, ErrorKind::Payload, "element 1 ");
    let queue_id = tasks.producer.queue().id + 1;
    let message = NewMessage::from(json!(1)).with_key("a").unwrap();
    let refused = tasks.store.enqueue(queue_id, vec![message], None);
    assert_error(refused, ErrorKind::UnknownQueue, &queue_id.to_string());
    tasks
        .producer
        .batch_enqueue_once([("a", "good"), ("b", "good")])
        .unwrap();
    assert_eq!(tasks.counts(), Counts { ready: 2, ..NONE });
}

/// A delayed message is due a delay after the first call; a repeat does not put it off, and is
/// answered by its own delay.
pub fn a_repeat_does_not_put_a_delayed_message_off(h: &impl Harness) {
    let tasks = tasks(h);
    let once = |delay| tasks.producer.enqueue_once_delayed("a", "later", delay);
    let first = once(2 * HOUR).unwrap();
    assert_eq!(first.vt - first.enqueued_at, 2 * HOUR);
    assert_eq!(once(2 * HOUR).unwrap(), first);
    h.advance(HOUR);
    let again = once(3 * HOUR).unwrap();
    assert_eq!(again.id, first.id);
    assert_eq!(again.vt - again.enqueued_at, 3 * HOUR);
    assert_eq!(
        tasks.producer.enqueue_once("a", "now").unwrap().id,
        first.id
    );
    let waiting = Counts {
        scheduled: 1,
        ..NONE
    };
    assert_eq!(tasks.counts(), waiting);
    h.advance(HOUR);
    assert_eq!(ids(&tasks.drain()), [first.id]);
    assert_eq!(once(HOUR).unwrap().id, first.id);
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
}

/// Many threads that use one key at the same time store one message.
pub fn many_threads_with_one_key_store_one(h: &impl Harness) {
    let tasks = tasks(h);
    for round in 0..10 {
        let key = format!("key {round}");
        let sent = on_threads(8, |number| {
            tasks.producer.enqueue_once(&key, &number).unwrap().id
        });
        assert!(sent.iter().all(|id| *id == sent[0]), "{sent:?}");
    }
    assert_eq!(tasks.counts(), Counts { ready: 10, ..NONE });
}

/// Batches with the same keys in opposite orders do not wait for each other for ever, and store
/// each once: also where the keys were used before, and are free again.
pub fn batches_with_keys_in_any_order_store_each_once(h: &impl Harness) {
    let tasks = tasks(h);
    for _ in 0..2 {
        let sent = on_threads(8, |number| {
            let mut batch = keyed(0..400);
            batch.rotate_left(number * 50);
            if number % 2 == 0 {
                batch.reverse();
            }
            let mut sent = tasks.producer.batch_enqueue_once(batch).unwrap();
            sent.sort_by_key(|message| message.json::<usize>().unwrap());
            ids(&sent)
        });
        assert!(sent.iter().all(|ids| *ids == sent[0]));
        h.advance(tasks.store.settings().key_retention);
    }
    assert_eq!(tasks.counts(), Counts { ready: 800, ..NONE });
}

/// With a queue go its keys.
pub fn deleting_a_queue_forgets_its_keys(h: &impl Harness) {
    let (doomed, other) = (queue(h, "tasks"), queue(h, "other"));
    let sent = doomed.producer.enqueue_once("a", &1).unwrap();
    let kept = other.producer.enqueue_once("a", &1).unwrap();
    doomed
        .store
        .delete_queue("tasks", IfNotEmpty::Delete)
        .unwrap();
    let refused = doomed.producer.enqueue_once("a", &1);
    let id = sent.queue_id.to_string();
    assert_error(refused, ErrorKind::UnknownQueue, &id);
    let again = queue(h, "tasks").producer.enqueue_once("a", &1).unwrap();
    assert!(again.id > sent.id);
    assert_eq!(other.producer.enqueue_once("a", &1).unwrap(), kept);
}
