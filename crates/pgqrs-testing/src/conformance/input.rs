//! Bad input gets an error that names the value and the rule, and nothing is done.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::scene::*;
use crate::Harness;
use pgqrs::{
    Consumer, Counts, Dequeue, ErrorKind, IfNotEmpty, NewMessage, Outcome, Producer, Receipt,
    Settlement, State, Store,
};

const OVER_I32: usize = 1 << 31;

/// A queue's name must not be empty.
pub fn an_empty_queue_name_is_refused(h: &impl Harness) {
    let store = h.store();
    assert_error(store.create_queue(""), ErrorKind::Invalid, "empty");
    assert_eq!(store.queues().unwrap(), []);
}

/// A queue's name has at most 63 bytes.
pub fn a_queue_name_of_64_bytes_is_refused(h: &impl Harness) {
    let store = h.store();
    for length in [64, 65, 1_000] {
        let name = "x".repeat(length);
        assert_error(store.create_queue(&name), ErrorKind::Invalid, "63");
        assert_error(store.create_queue(&name), ErrorKind::Invalid, &name);
    }
    assert_eq!(store.queues().unwrap(), []);
}

/// A queue's name has no characters but `A-Z a-z 0-9 _ . -`.
pub fn other_characters_in_a_queue_name_are_refused(h: &impl Harness) {
    let store = h.store();
    let odd = " !\"#$%&'()*+,/:;<=>?@[\\]^`{|}~\0\t\n\r\u{7f}\u{a0}äßéК世🦀\u{200b}\u{301}";
    for odd in odd.chars() {
        for name in [
            format!("{odd}"),
            format!("{odd}x"),
            format!("x{odd}"),
            format!("x{odd}x"),
        ] {
            let names = format!("{name:?}");
            assert_error(store.create_queue(&name), ErrorKind::Invalid, &names);
        }
    }
    assert_eq!(store.queues().unwrap(), []);
}

/// An unknown queue's name is an error that names it, whatever is asked for.
pub fn an_unknown_queue_is_an_error(h: &impl Harness) {
    let tasks = tasks(h);
    let (store, unknown) = (tasks.store.clone(), ErrorKind::UnknownQueue);
    for name in ["nowhere", "Tasks", "task", "tasks2"] {
        assert_error(store.queue(name), unknown, name);
        assert_error(store.counts(name), unknown, name);
        assert_error(store.purge(name, &State::ALL), unknown, name);
        assert_error(store.purge(name, &[]), unknown, name);
        assert_error(store.delete_queue(name, IfNotEmpty::Refuse), unknown, name);
        assert_error(store.delete_queue(name, IfNotEmpty::Delete), unknown, name);
        assert_error(Producer::new(store.clone(), name), unknown, name);
        assert_error(Consumer::new(store.clone(), name), unknown, name);
    }
    assert_eq!(store.queues().unwrap(), [tasks.producer.queue().clone()]);
}

/// An unknown queue's id is an error that names it; no receipt is good for it.
pub fn an_unknown_queue_id_is_an_error(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    let unknown = ErrorKind::UnknownQueue;
    for queue_id in [message.queue_id + 1, 0, -1, i64::MIN, i64::MAX] {
        let (store, id) = (&tasks.store, &queue_id.to_string());
        let batch = || vec![NewMessage::from(json!(1))];
        assert_error(store.enqueue(queue_id, batch(), None), unknown, id);
        assert_error(store.enqueue(queue_id, batch(), Some(HOUR)), unknown, id);
        assert_error(store.register_worker(queue_id, "worker"), unknown, id);
        let dequeued = store.dequeue(&Dequeue {
            queue_id,
            worker: consumer.worker(),
            limit: 1,
            lock_time: HOUR,
        });
        assert_error(dequeued, unknown, id);
        let receipt = Receipt::from(&message);
        let outcome = Outcome::Archive;
        let settled = store.settle(queue_id, &[Settlement { receipt, outcome }]);
        assert_eq!(settled.unwrap(), [false]);
        let extended = store.extend_visibility(queue_id, &[receipt], HOUR);
        assert_eq!(extended.unwrap(), [false]);
    }
    assert_eq!(
        tasks.counts(),
        Counts {
            ready: 1,
            leased: 1,
            ..NONE
        }
    );
}

/// A name that no queue can have is refused where a queue is looked for, too.
pub fn looking_for_an_impossible_name_is_refused(h: &impl Harness) {
    let store = h.store();
    for name in ["", "a queue", "nul\0"] {
        assert_error(store.queue(name), ErrorKind::Invalid, "name");
        assert_error(store.counts(name), ErrorKind::Invalid, "name");
        assert_error(store.purge(name, &[]), ErrorKind::Invalid, "name");
        let deleted = store.delete_queue(name, IfNotEmpty::Delete);
        assert_error(deleted, ErrorKind::Invalid, "name");
        assert_error(
            Producer::new(store.clone(), name),
            ErrorKind::Invalid,
            "name",
        );
        assert_error(
            Consumer::new(store.clone(), name),
            ErrorKind::Invalid,
            "name",
        );
    }
}

/// A payload may be as long as the limit, in bytes of JSON text, and no longer.
pub fn a_payload_over_the_limit_is_refused(h: &impl Harness) {
    let tasks = tasks(h);
    let limit = tasks.store.settings().payload_limit;
    // Two quotes belong to the text; ü takes two bytes, a quote inside takes two as well.
    let exact = [
        "x".repeat(limit - 2),
        "ü".repeat(limit / 2 - 1),
        "\"".repeat(limit / 2 - 1),
    ];
    for text in exact {
        let over = format!("{text}x");
        let refused = tasks.producer.enqueue(&over);
        assert_error(refused, ErrorKind::Payload, &(limit + 1).to_string());
        let refused = tasks.producer.enqueue_delayed(&over, HOUR);
        assert_error(refused, ErrorKind::Payload, &limit.to_string());
        tasks.producer.enqueue(&text).unwrap();
        assert_eq!(only(tasks.drain()).json::<String>().unwrap(), text);
    }
    assert_eq!(tasks.counts(), Counts { leased: 3, ..NONE });
}

/// The character U+0000 cannot be stored, wherever in a payload it is.
pub fn a_payload_with_a_nul_is_refused(h: &impl Harness) {
    let tasks = tasks(h);
    let payloads = [
        json!("\0"),
        json!("in \0 between"),
        json!([1, ["text", "\0"]]),
        json!({"key": "\0"}),
        json!({"\0": "value"}),
        json!({"a": [{"b\0": 1}]}),
        json!([r"\u0000", "\\\0"]),
    ];
    for payload in payloads {
        let refused = tasks.producer.enqueue(&payload);
        assert_error(refused, ErrorKind::Payload, r"\u0000");
        let refused = tasks.producer.enqueue_delayed(&payload, HOUR);
        assert_error(refused, ErrorKind::Payload, r"\u0000");
    }
    assert_eq!(tasks.counts(), NONE);
}

/// What is not JSON cannot be stored.
pub fn a_payload_that_is_not_json_is_refused(h: &impl Harness) {
    let tasks = tasks(h);
    let not_json = HashMap::from([((1, 2), 3)]);
    let refused = tasks.producer.enqueue(&not_json);
    assert_error(refused, ErrorKind::Payload, "HashMap");
    let refused = tasks.producer.batch_enqueue([&HashMap::new(), &not_json]);
    assert_error(refused, ErrorKind::Payload, "1");
    assert_eq!(tasks.counts(), NONE);
}

/// A batch with one bad element stores nothing, and the error says which it is.
pub fn a_batch_with_a_bad_element_stores_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    let limit = tasks.store.settings().payload_limit;
    let too_deep = (0..128).fold(json!([]), |inner, _| json!([inner]));
    for bad in [json!("\0"), json!("x".repeat(limit)), too_deep] {
        for position in [0, 37, 59] {
            let mut batch = vec![json!("good"); 60];
            batch[position] = bad.clone();
            let element = format!("element {position} ");
            let refused = tasks.producer.batch_enqueue(&batch);
            assert_error(refused, ErrorKind::Payload, &element);
            let refused = tasks.producer.batch_enqueue_delayed(&batch, HOUR);
            assert_error(refused, ErrorKind::Payload, &element);
        }
    }
    assert_eq!(tasks.counts(), NONE);
    assert_eq!(tasks.drain(), []);
}

/// Also when it stands at the end of a very long one.
pub fn a_long_batch_with_a_bad_element_stores_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    let mut batch = vec![json!(1); 25_000];
    batch.push(json!("\0"));
    let refused = tasks.producer.batch_enqueue(&batch);
    assert_error(refused, ErrorKind::Payload, "25000");
    assert_eq!(tasks.counts(), NONE);
}

/// A limit is 1 to `i32::MAX`.
pub fn a_limit_out_of_range_is_refused(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    for limit in [0, OVER_I32, usize::MAX] {
        let limit_is = &format!("limit is {limit}");
        assert_error(consumer.dequeue_many(limit), ErrorKind::Invalid, limit_is);
        let refused = consumer.dequeue_many_with_delay(limit, HOUR);
        assert_error(refused, ErrorKind::Invalid, limit_is);
        assert_error(consumer.poll(limit, HOUR), ErrorKind::Invalid, limit_is);
        let refused = tasks.store.dequeue(&Dequeue {
            queue_id: consumer.queue().id,
            worker: consumer.worker(),
            limit,
            lock_time: HOUR,
        });
        assert_error(refused, ErrorKind::Invalid, limit_is);
    }
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
}

/// A lock time is not zero.
pub fn a_lock_time_of_zero_is_refused(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let refused = consumer.dequeue_many_with_delay(1, Duration::ZERO);
    assert_error(refused, ErrorKind::Invalid, "lock_time is zero");
    let refused = tasks.store.dequeue(&Dequeue {
        queue_id: consumer.queue().id,
        worker: consumer.worker(),
        limit: 1,
        lock_time: Duration::ZERO,
    });
    assert_error(refused, ErrorKind::Invalid, "lock_time is zero");
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
}

/// A consumer is not made with settings that break a rule.
pub fn a_consumer_with_bad_settings_is_refused(h: &impl Harness) {
    let tasks = tasks(h);
    let builder = || tasks.builder();
    let (invalid, zero) = (ErrorKind::Invalid, Duration::ZERO);
    assert_error(
        builder().lock_time(zero).build(),
        invalid,
        "lock_time is zero",
    );
    assert_error(
        builder().poll_interval(zero).build(),
        invalid,
        "poll_interval is zero",
    );
    assert_error(builder().batch(0).build(), invalid, "batch is 0");
    for batch in [OVER_I32, usize::MAX] {
        let refused = builder().batch(batch).build();
        assert_error(refused, invalid, &format!("batch is {batch}"));
    }
    let unknown = Consumer::builder(tasks.store.clone(), "nowhere").build();
    assert_error(unknown, ErrorKind::UnknownQueue, "nowhere");
}

/// A number that JSON has no place for is an error, or null: never another number.
pub fn odd_numbers_are_not_changed(h: &impl Harness) {
    let tasks = tasks(h);
    assert_error(
        tasks.producer.enqueue(&u128::MAX),
        ErrorKind::Payload,
        "u128",
    );
    assert_error(
        tasks.producer.enqueue(&i128::MIN),
        ErrorKind::Payload,
        "i128",
    );
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        tasks.producer.enqueue(&odd).unwrap();
        assert_eq!(only(tasks.drain()).payload, Value::Null);
    }
}
