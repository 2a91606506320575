//! Delayed messages.

use std::time::Duration;

use serde_json::json;

use super::scene::*;
use crate::Harness;
use pgqrs::{Consumer, Counts};

/// A delayed message is not there until it is due.
pub fn a_delayed_message_is_hidden_until_due(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let sent = tasks.producer.enqueue_delayed("later", HOUR).unwrap();
    assert_eq!(
        tasks.counts(),
        Counts {
            scheduled: 1,
            ..NONE
        }
    );
    assert_eq!(consumer.dequeue().unwrap(), []);
    h.advance(HOUR / 2);
    assert_eq!(consumer.dequeue().unwrap(), []);
    h.advance(HOUR / 2);
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
    assert_eq!(tasks.lease_one(&consumer).id, sent.id);
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
}

/// The answer says when the message is due, to the microsecond.
pub fn a_delayed_message_says_when_it_is_due(h: &impl Harness) {
    let tasks = tasks(h);
    let delays = [
        DAY,
        HOUR,
        Duration::from_millis(1),
        Duration::from_micros(1),
        Duration::ZERO,
    ];
    for delay in delays {
        let sent = tasks.producer.enqueue_delayed(&1, delay).unwrap();
        assert_eq!(sent.vt - sent.enqueued_at, delay);
        assert_eq!(reads(&sent), (0, 0));
        assert_eq!(sent.worker, None);
    }
    for sent in tasks.producer.batch_enqueue_delayed(0..3, MINUTE).unwrap() {
        assert_eq!(sent.vt - sent.enqueued_at, MINUTE);
    }
}

/// Once due, it goes ahead of what was ready long before.
pub fn a_due_message_goes_ahead_of_the_backlog(h: &impl Harness) {
    let tasks = tasks(h);
    let backlog = ids(&tasks.put(2));
    let later = tasks.producer.enqueue_delayed("later", HOUR).unwrap().id;
    let newer = ids(&tasks.put(2));
    h.advance(HOUR);
    let expected = [vec![later], backlog, newer].concat();
    assert_eq!(ids(&tasks.consumer().dequeue().unwrap()), expected);
}

/// Several due ones come in the order in which they came due, whoever was enqueued first.
pub fn due_messages_come_in_the_order_of_their_times(h: &impl Harness) {
    let tasks = tasks(h);
    let after = |minutes: u32| tasks.producer.enqueue_delayed(&minutes, MINUTE * minutes);
    for minutes in [30, 10, 50, 20, 40] {
        after(minutes).unwrap();
    }
    h.advance(HOUR);
    let got = tasks.consumer().dequeue().unwrap();
    let minutes: Vec<u32> = got.iter().map(|message| message.json().unwrap()).collect();
    assert_eq!(minutes, [10, 20, 30, 40, 50]);
}

/// Of those only what is due comes.
pub fn only_what_is_due_comes(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    for hours in [1, 2, 3] {
        tasks
            .producer
            .enqueue_delayed(&hours, HOUR * hours)
            .unwrap();
    }
    h.advance(HOUR / 2);
    for hours in [1, 2, 3] {
        h.advance(HOUR);
        let got = tasks.lease_one(&consumer);
        assert_eq!(got.payload, json!(hours));
        assert!(consumer.archive(&got).unwrap());
    }
}

/// A batch with one delay keeps its order.
pub fn a_delayed_batch_keeps_its_order(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = tasks.producer.batch_enqueue_delayed(0..50, HOUR).unwrap();
    assert!(ascending(&ids(&sent)));
    h.advance(HOUR);
    assert_eq!(ids(&tasks.drain()), ids(&sent));
}

/// No delay is due at once: a way to the front of the queue.
pub fn a_delay_of_zero_is_due_at_once_and_ahead(h: &impl Harness) {
    let tasks = tasks(h);
    let backlog = ids(&tasks.put(3));
    let urgent = tasks.producer.enqueue_delayed("now", Duration::ZERO);
    let urgent = urgent.unwrap().id;
    assert_eq!(tasks.counts(), Counts { ready: 4, ..NONE });
    let got = tasks.consumer().dequeue().unwrap();
    assert_eq!(ids(&got), [vec![urgent], backlog].concat());
}

/// Due and ready messages share the limit.
pub fn the_limit_covers_due_and_ready_together(h: &impl Harness) {
    let tasks = tasks(h);
    let due = ids(&tasks.producer.batch_enqueue_delayed(0..5, HOUR).unwrap());
    let ready = ids(&tasks.put(5));
    h.advance(HOUR);
    let consumer = tasks.consumer();
    assert_eq!(ids(&consumer.dequeue_many(3).unwrap()), due[..3]);
    let next = [&due[3..], &ready[..2]].concat();
    assert_eq!(ids(&consumer.dequeue_many(4).unwrap()), next);
}

/// From its first lease on, a message that was delayed is like any other.
pub fn a_delayed_message_is_leased_like_any_other(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.producer.enqueue_delayed("later", HOUR).unwrap();
    h.advance(HOUR);
    let consumer = tasks.consumer();
    let first = tasks.lease_one(&consumer);
    assert_eq!(
        (reads(&first), first.worker),
        ((1, 1), Some(consumer.worker()))
    );
    assert!(first.vt >= first.enqueued_at + HOUR);
    assert_eq!(tasks.drain(), []);

    h.advance(HOUR);
    let second = tasks.lease_one(&consumer);
    assert_eq!(reads(&second), (2, 2));
    assert!(!consumer.archive(&first).unwrap());
    assert!(consumer.archive(&second).unwrap());
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 1,
            ..NONE
        }
    );
}

/// However often a consumer has looked in vain, it finds the message when that is due:
/// also one that somebody else put there, with a handle of their own.
pub fn a_due_message_is_found_after_many_looks(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = Consumer::new(h.store(), "tasks").unwrap();
    assert_eq!(consumer.dequeue().unwrap(), []);
    let sent = tasks.producer.enqueue_delayed("later", HOUR).unwrap();
    for _ in 0..20 {
        assert_eq!(consumer.dequeue().unwrap(), []);
    }
    h.advance(HOUR);
    assert_eq!(only(consumer.dequeue().unwrap()).id, sent.id);
}

/// A message that is due sooner than those which wait already is found first.
pub fn a_message_due_sooner_is_not_overlooked(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    tasks.producer.enqueue_delayed("in a day", DAY).unwrap();
    assert_eq!(consumer.dequeue().unwrap(), []);
    let sooner = tasks.producer.enqueue_delayed("in an hour", HOUR).unwrap();
    assert_eq!(consumer.dequeue().unwrap(), []);
    h.advance(HOUR);
    assert_eq!(tasks.lease_one(&consumer).id, sooner.id);
}

/// What was given back waits among the delayed messages: all come in the order of their
/// times.
pub fn given_back_messages_wait_among_the_delayed(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(3));
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    let delayed = |minutes| tasks.producer.enqueue_delayed(&1, MINUTE * minutes);
    let (third, first) = (delayed(30).unwrap().id, delayed(10).unwrap().id);
    assert!(consumer.release(&held[0], MINUTE * 40).unwrap());
    assert!(consumer.retry(&held[1], MINUTE * 20).unwrap());
    assert!(consumer.retry(&held[2], MINUTE * 50).unwrap());
    h.advance(HOUR);
    let expected = [first, sent[1], third, sent[0], sent[2]];
    assert_eq!(ids(&tasks.drain()), expected);
}
