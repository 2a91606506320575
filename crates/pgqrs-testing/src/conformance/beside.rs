//! What others do while a transaction of the caller's is open, where it keeps nobody from writing.

use serde_json::json;

use super::scene::*;
use crate::{End, TransactionalHarness};
use pgqrs::Counts;

/// What is enqueued in a transaction goes to nobody before that commits.
pub fn enqueue_in_is_not_to_be_had_before_the_commit(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let sent = h.transaction(End::Commit, |tx| {
        let sent = tasks.producer.enqueue_in(tx, &json!({"n": 1})).unwrap();
        assert_eq!(tasks.counts(), NONE);
        assert_eq!(tasks.drain(), []);
        sent
    });
    let got = tasks.lease_one(&tasks.consumer());
    assert_eq!((got.id, &got.payload), (sent.id, &json!({"n": 1})));
    assert_eq!(got.enqueued_at, sent.enqueued_at);
}

/// A message committed late has a lower id than some which were taken already: it is found.
pub fn a_late_commit_is_not_overlooked(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let late = h.transaction(End::Commit, |tx| {
        let late = tasks.producer.enqueue_in(tx, "late").unwrap();
        let others = ids(&tasks.put(150));
        assert!(others.iter().all(|other| *other > late.id));
        assert_eq!(ids(&drain(&consumer)), others);
        assert_eq!(consumer.dequeue().unwrap(), []);
        late
    });
    // A store may look for latecomers at its leisure, as long as it does.
    let found = consumer.poll(1, HOUR).unwrap();
    assert_eq!(ids(&found), [late.id]);
}

/// An answer of `true` holds to the commit: though the lease has run out, nobody gets the
/// message while the transaction is open.
pub fn archive_in_locks_the_message(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let message = tasks.expired(h, &consumer);
    let newer = ids(&tasks.put(1));
    h.transaction(End::Commit, |tx| {
        assert!(consumer.archive_in(tx, &message).unwrap());
        assert_eq!(ids(&drain(&tasks.consumer())), newer);
    });
    assert_eq!(tasks.drain(), []);
    assert_eq!(
        tasks.counts(),
        Counts {
            leased: 1,
            archived: 1,
            ..NONE
        }
    );
}

/// Nor does anybody get it before a rollback; after that it is free again.
pub fn delete_in_locks_the_message_until_the_rollback(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let message = tasks.expired(h, &consumer);
    h.transaction(End::Rollback, |tx| {
        assert!(consumer.delete_in(tx, &message).unwrap());
        assert_eq!(tasks.consumer().dequeue().unwrap(), []);
    });
    let again = only(tasks.drain());
    assert_eq!((again.id, reads(&again)), (message.id, (2, 2)));
    assert!(!consumer.archive(&message).unwrap());
}

/// While a transaction settles one message, the leases of others are extended without
/// waiting for it; the message itself is still its consumer's.
pub fn leases_are_extended_beside_an_open_settlement(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    h.transaction(End::Commit, |tx| {
        assert!(consumer.archive_in(tx, &held[0]).unwrap());
        let extended = consumer.extend_visibility_many(&held, DAY).unwrap();
        assert_eq!(extended, [true, true]);
    });
    assert!(!consumer.extend_visibility(&held[0], DAY).unwrap());
    h.advance(HOUR);
    assert_eq!(tasks.drain(), []);
    assert_eq!(consumer.archive_many(&held).unwrap(), [false, true]);
}
