//! Leases that run out.

use std::time::Duration;

use super::scene::*;
use crate::Harness;
use pgqrs::{Consumer, Counts, Message};

/// A lease that runs out makes a plain dequeue hand the message out again, to anyone.
pub fn an_expired_lease_is_redelivered(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let (crashed, other) = (tasks.consumer(), tasks.consumer());
    let first = tasks.lease_one(&crashed);
    h.advance(HOUR);
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
    let second = tasks.lease_one(&other);
    assert_eq!((second.id, &second.payload), (first.id, &first.payload));
    assert_eq!(reads(&second), (2, 2));
    assert_eq!(second.worker, Some(other.worker()));
    assert!(second.vt >= second.enqueued_at + HOUR);
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
}

/// Also to the consumer that let it run out.
pub fn an_expired_lease_is_redelivered_to_the_same_consumer(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let first = tasks.expired(h, &consumer);
    let second = tasks.lease_one(&consumer);
    assert_eq!(second.id, first.id);
    assert_eq!(reads(&second), (2, 2));
    assert!(consumer.archive(&second).unwrap());
}

/// Until it ends, a lease holds.
pub fn a_lease_holds_until_its_end(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    tasks.lease_one(&consumer);
    h.advance(HOUR / 2);
    assert_eq!(consumer.dequeue().unwrap(), []);
    assert_eq!(tasks.drain(), []);
    h.advance(HOUR / 2);
    assert_eq!(tasks.drain().len(), 1);
}

/// Each lease ends at its own time.
pub fn each_lease_ends_at_its_own_time(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(3));
    let consumer = tasks.consumer();
    for hours in [3, 1, 2] {
        let got = consumer.dequeue_many_with_delay(1, HOUR * hours).unwrap();
        assert_eq!(got.len(), 1);
    }
    h.advance(HOUR / 2);
    for expected in [sent[1], sent[2], sent[0]] {
        h.advance(HOUR);
        let got = consumer.dequeue_many_with_delay(10, DAY).unwrap();
        assert_eq!(ids(&got), [expected]);
    }
}

/// A redelivery has a lock time of its own, shorter or longer than the one before.
pub fn a_redelivered_lease_ends_at_its_own_time(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    for lock_time in [2 * HOUR, HOUR, DAY, HOUR, 2 * HOUR] {
        let got = consumer.dequeue_many_with_delay(1, lock_time).unwrap();
        assert_eq!(got.len(), 1);
        assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
        h.advance(lock_time);
        assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
    }
}

/// Every delivery counts, and none is lost count of.
pub fn every_delivery_counts(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumers = [tasks.consumer(), tasks.consumer(), tasks.consumer()];
    for delivery in 1..=9 {
        let consumer = &consumers[delivery % 3];
        let got = tasks.lease_one(consumer);
        let count = i32::try_from(delivery).unwrap();
        assert_eq!(reads(&got), (count, count));
        assert_eq!(got.worker, Some(consumer.worker()));
        h.advance(HOUR);
    }
}

/// What a crashed consumer held is older than the rest, so it comes first again.
pub fn expired_leases_come_before_newer_messages(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(10));
    tasks.consumer().dequeue_many(5).unwrap();
    h.advance(HOUR);
    let consumer = tasks.consumer();
    assert_eq!(ids(&consumer.dequeue_many(3).unwrap()), sent[..3]);
    let rest = consumer.dequeue_many(10).unwrap();
    assert_eq!(ids(&rest), sent[3..]);
    let counts: Vec<i32> = rest.iter().map(|message| message.read_ct).collect();
    assert_eq!(counts, [2, 2, 1, 1, 1, 1, 1]);
}

/// Wherever a consumer has got to, it comes back for leases that run out behind it.
pub fn an_expired_lease_behind_a_consumer_is_found(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(100);
    let (crashed, consumer) = (tasks.consumer(), tasks.consumer());
    let lost = ids(&crashed.dequeue_many(10).unwrap());
    let done = consumer.dequeue_many(100).unwrap();
    assert_eq!(done.len(), 90);
    consumer.archive_many(&done).unwrap();
    for _ in 0..20 {
        assert_eq!(consumer.dequeue().unwrap(), []);
    }
    h.advance(HOUR);
    assert_eq!(ids(&drain(&consumer)), lost);
}

/// The same where the two work with handles of their own, as processes do.
pub fn an_expired_lease_of_another_handle_is_found(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(4);
    let crashed = Consumer::builder(h.store(), "tasks").lock_time(HOUR);
    let crashed = crashed.build().unwrap();
    let consumer = tasks.consumer();
    let lost = only(crashed.dequeue_many(1).unwrap());
    assert_eq!(drain(&consumer).len(), 3);
    h.advance(HOUR / 2);
    assert_eq!(consumer.dequeue().unwrap(), []);
    h.advance(HOUR / 2);
    assert!(ids(&drain(&consumer)).contains(&lost.id));
}

/// `extend_visibility` keeps the lease: to `by` from now, not from its end.
pub fn extend_keeps_the_lease(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    h.advance(HOUR / 2);
    assert!(consumer.extend_visibility(&message, 2 * HOUR).unwrap());
    h.advance(HOUR);
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
    assert_eq!(tasks.drain(), []);
    h.advance(HOUR);
    assert_eq!(reads(&only(tasks.drain())), (2, 2));
}

/// It can be done again and again, and the delivery stays what it is.
pub fn a_lease_can_be_extended_for_ever(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    for _ in 0..20 {
        h.advance(HOUR / 2);
        assert!(consumer.extend_visibility(&message, HOUR).unwrap());
        assert_eq!(tasks.drain(), []);
    }
    assert!(consumer.archive(&message).unwrap());
}

/// A lease that has longer to go is not shortened.
pub fn extend_never_shortens_a_lease(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    assert!(consumer.extend_visibility(&message, MINUTE).unwrap());
    h.advance(HOUR / 2);
    assert_eq!(tasks.drain(), []);
    h.advance(HOUR / 2);
    assert_eq!(tasks.drain().len(), 1);
}

/// Extending by nothing asks whether the lease is owned, and changes nothing.
pub fn extend_by_zero_changes_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    assert!(
        consumer
            .extend_visibility(&message, Duration::ZERO)
            .unwrap()
    );
    assert_eq!(tasks.drain(), []);
    h.advance(HOUR);
    assert!(
        consumer
            .extend_visibility(&message, Duration::ZERO)
            .unwrap()
    );
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
    assert_eq!(tasks.drain().len(), 1);
    assert!(
        !consumer
            .extend_visibility(&message, Duration::ZERO)
            .unwrap()
    );
}

/// A lease that ran out and that nobody took over is still owned, and can be revived.
pub fn extend_revives_an_expired_lease(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let message = tasks.expired(h, &consumer);
    assert!(consumer.extend_visibility(&message, HOUR).unwrap());
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
    assert_eq!(tasks.drain(), []);
    h.advance(HOUR);
    assert_eq!(tasks.lease_one(&consumer).read_ct, 2);
}

/// Many leases are extended by one call, each to the same time.
pub fn extend_many_extends_each(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1_000);
    let consumer = tasks.consumer();
    let held = consumer.dequeue_many(1_000).unwrap();
    let (some, others) = held.split_at(700);
    let answers = consumer.extend_visibility_many(some, DAY).unwrap();
    assert_eq!(answers, [true; 700]);
    h.advance(HOUR);
    assert_eq!(ids(&drain(&consumer)), ids(others));
}

/// Extending nothing is fine.
pub fn extending_nothing_is_fine(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let none: [i64; 0] = [];
    let answers = consumer.extend_visibility_many(none, HOUR).unwrap();
    assert!(answers.is_empty());
}

/// Extending is no settlement: the same receipt twice in a batch owns its message twice.
pub fn a_receipt_twice_in_a_batch_extends_twice(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    let twice = [&held[0], &held[1], &held[0]];
    let answers = consumer.extend_visibility_many(twice, DAY).unwrap();
    assert_eq!(answers, [true, true, true]);
    h.advance(HOUR);
    assert_eq!(tasks.counts(), Counts { leased: 2, ..NONE });
}

/// A delivery says whether the one before it ended by its lease running out; nothing else
/// that brings a message again makes it say so.
pub fn a_redelivery_says_whether_a_lease_lapsed(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = only(tasks.put(1));
    assert!(!sent.lapsed);
    let consumer = tasks.consumer();
    let next = |expected: bool| {
        let message = tasks.lease_one(&consumer);
        assert_eq!(message.lapsed, expected, "delivery {}", message.read_ct);
        message
    };
    next(false);
    h.advance(HOUR);
    let message = next(true);
    assert!(consumer.retry(&message, Duration::ZERO).unwrap());
    let message = next(false);
    assert!(consumer.release(&message, Duration::ZERO).unwrap());
    let message = next(false);
    assert!(consumer.extend_visibility(&message, DAY).unwrap());
    h.advance(DAY);
    let message = next(true);
    assert!(consumer.release(&message, HOUR).unwrap());
    h.advance(HOUR);
    next(false);
    let later = tasks.producer.enqueue_delayed("later", HOUR).unwrap();
    assert!(!later.lapsed);
    h.advance(HOUR);
    let both = consumer.dequeue().unwrap();
    let lapsed = |message: &Message| (message.id, message.lapsed);
    let both: Vec<_> = both.iter().map(lapsed).collect();
    assert_eq!(both, [(later.id, false), (sent.id, true)]);
}
