//! Absurd durations are cut to [`MAX_SPAN`] or rounded up to a microsecond; nothing wraps.

use std::time::Duration;

use super::scene::*;
use crate::Harness;
use pgqrs::{Counts, MAX_SPAN};

const NANO: Duration = Duration::from_nanos(1);
const MICRO: Duration = Duration::from_micros(1);

/// The longest delay is a thousand years, and ends after them.
pub fn an_endless_delay_ends_after_the_longest_span(h: &impl Harness) {
    let tasks = tasks(h);
    for delay in [Duration::MAX, MAX_SPAN + NANO, MAX_SPAN] {
        let sent = tasks.producer.enqueue_delayed("later", delay).unwrap();
        assert_eq!(sent.vt - sent.enqueued_at, MAX_SPAN);
    }
    h.advance(MAX_SPAN - DAY);
    assert_eq!(tasks.drain(), []);
    h.advance(DAY);
    assert_eq!(tasks.drain().len(), 3);
}

/// The longest lock time is a thousand years, and ends after them.
pub fn an_endless_lease_ends_after_the_longest_span(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.builder().lock_time(Duration::MAX).build().unwrap();
    let message = tasks.lease_one(&consumer);
    assert!(message.vt >= message.enqueued_at + MAX_SPAN);
    assert!(message.vt <= message.enqueued_at + MAX_SPAN + DAY);
    h.advance(MAX_SPAN - DAY);
    assert_eq!(tasks.drain(), []);
    h.advance(DAY);
    assert_eq!(tasks.drain().len(), 1);
    assert!(!consumer.archive(&message).unwrap());
}

/// A lease can be extended by the longest span, again and again.
pub fn an_endless_extension_holds(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    for by in [Duration::MAX, MAX_SPAN, Duration::MAX, NANO] {
        assert!(consumer.extend_visibility(&message, by).unwrap());
        h.advance(DAY);
        assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
    }
    assert!(consumer.archive(&message).unwrap());
}

/// A message can be given back for the longest span.
pub fn an_endless_release_holds(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    assert!(consumer.release(&held[0], Duration::MAX).unwrap());
    assert!(consumer.retry(&held[1], Duration::MAX).unwrap());
    h.advance(MAX_SPAN - DAY);
    assert_eq!(
        tasks.counts(),
        Counts {
            scheduled: 2,
            ..NONE
        }
    );
    h.advance(DAY);
    assert_eq!(tasks.drain().len(), 2);
}

/// Spans are counted in microseconds, rounded up: what is not zero does not become so.
pub fn the_shortest_delay_is_a_microsecond(h: &impl Harness) {
    let tasks = tasks(h);
    for (delay, micros) in [(NANO, 1), (MICRO, 1), (MICRO + NANO, 2), (999 * NANO, 1)] {
        let sent = tasks.producer.enqueue_delayed("soon", delay).unwrap();
        assert_eq!(sent.vt - sent.enqueued_at, MICRO * micros);
    }
    h.advance(2 * MICRO);
    assert_eq!(tasks.drain().len(), 4);
}

/// The shortest lease is a lease: the message is the consumer's until somebody takes it.
pub fn the_shortest_lease_is_a_lease(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let first = only(consumer.dequeue_many_with_delay(1, NANO).unwrap());
    assert!(first.vt > first.enqueued_at);
    h.advance(MICRO);
    let second = only(consumer.dequeue_many_with_delay(1, NANO).unwrap());
    assert_eq!((second.id, reads(&second)), (first.id, (2, 2)));
    h.advance(MICRO);
    assert!(!consumer.archive(&first).unwrap());
    assert!(consumer.archive(&second).unwrap());
}

/// The shortest extension and the shortest release are fine.
pub fn the_shortest_spans_are_fine(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    assert!(consumer.extend_visibility(&held[0], NANO).unwrap());
    assert!(consumer.release(&held[0], NANO).unwrap());
    assert!(consumer.retry(&held[1], NANO).unwrap());
    h.advance(MICRO);
    assert_eq!(ids(&tasks.drain()), ids(&held));
}
