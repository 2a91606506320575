//! Settling inside the caller's own transaction.

use std::sync::Arc;

use super::scene::*;
use crate::{End, TransactionalHarness};
use pgqrs::{Consumer, Counts, Outcome, Producer, Receipt, Settlement, Transactional};

/// What is archived in a transaction is archived when that commits.
pub fn archive_in_is_done_after_the_commit(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    h.transaction(End::Commit, |tx| {
        assert!(consumer.archive_in(tx, &held[0]).unwrap());
        assert_eq!(tasks.counts(), Counts { leased: 2, ..NONE });
    });
    assert_eq!(
        tasks.counts(),
        Counts {
            leased: 1,
            archived: 1,
            ..NONE
        }
    );
    assert!(!consumer.archive(&held[0]).unwrap());
    assert!(consumer.archive(&held[1]).unwrap());
}

/// What is archived in a transaction that rolls back is leased as it was.
pub fn archive_in_is_undone_by_a_rollback(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    let archived = h.transaction(End::Rollback, |tx| consumer.archive_in(tx, &message));
    assert!(archived.unwrap());
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
    assert!(consumer.extend_visibility(&message, HOUR).unwrap());
    assert!(consumer.archive(&message).unwrap());
}

/// What is deleted in a transaction is gone when that commits.
pub fn delete_in_is_done_after_the_commit(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    h.transaction(End::Commit, |tx| {
        assert!(consumer.delete_in(tx, &message).unwrap());
        assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
    });
    assert_eq!(tasks.counts(), NONE);
    assert!(!consumer.delete(&message).unwrap());
}

/// What is deleted in a transaction that rolls back is leased as it was, body and all.
pub fn delete_in_is_undone_by_a_rollback(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    let deleted = h.transaction(End::Rollback, |tx| consumer.delete_in(tx, message.id));
    assert!(deleted.unwrap());
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
    h.advance(HOUR);
    let again = tasks.lease_one(&consumer);
    assert_eq!((again.id, &again.payload), (message.id, &message.payload));
    assert!(consumer.delete(&again).unwrap());
}

/// Every outcome can be part of a transaction.
pub fn every_outcome_works_in_a_transaction(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    tasks.put(5);
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    let back = |charged| Outcome::Release {
        delay: HOUR,
        charged,
    };
    let dead = Outcome::DeadLetter("why".to_owned());
    let outcomes = [
        Outcome::Archive,
        Outcome::Delete,
        back(true),
        back(false),
        dead,
    ];
    let settlements: Vec<_> = held
        .iter()
        .zip(outcomes)
        .map(|(message, outcome)| Settlement {
            receipt: Receipt::from(message),
            outcome,
        })
        .collect();
    let queue_id = tasks.producer.queue().id;
    for end in [End::Rollback, End::Commit] {
        assert_eq!(tasks.counts(), Counts { leased: 5, ..NONE });
        let answers = h.transaction(end, |tx| tasks.store.settle_in(tx, queue_id, &settlements));
        assert_eq!(answers.unwrap(), [true; 5]);
    }
    let counts = Counts {
        scheduled: 2,
        archived: 1,
        dead: 1,
        ..NONE
    };
    assert_eq!(tasks.counts(), counts);
    h.advance(HOUR);
    let back = tasks.drain();
    assert_eq!(ids(&back), [held[2].id, held[3].id]);
    assert_eq!((reads(&back[0]), reads(&back[1])), ((2, 2), (2, 1)));
}

/// A lost lease is told at once, before the commit, and nothing is changed.
pub fn a_lost_lease_is_told_before_the_commit(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let (consumer, other) = (tasks.consumer(), tasks.consumer());
    let late = tasks.expired(h, &consumer);
    let current = tasks.lease_one(&other);
    h.transaction(End::Commit, |tx| {
        assert!(!consumer.archive_in(tx, &late).unwrap());
        assert!(!consumer.delete_in(tx, &late).unwrap());
        assert!(!consumer.archive_in(tx, late.id).unwrap());
        assert!(!consumer.archive_in(tx, i64::MAX).unwrap());
    });
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
    assert!(other.archive(&current).unwrap());
}

/// The same receipt settles once in a transaction.
pub fn a_receipt_twice_in_a_transaction_settles_once(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    h.transaction(End::Commit, |tx| {
        assert!(consumer.archive_in(tx, &message).unwrap());
        assert!(!consumer.archive_in(tx, &message).unwrap());
        assert!(!consumer.delete_in(tx, &message).unwrap());
    });
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 1,
            ..NONE
        }
    );
}

/// A lease that has run out and that nobody has taken over is still owned, here too.
pub fn an_expired_lease_can_be_settled_in_a_transaction(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let message = tasks.expired(h, &consumer);
    h.transaction(End::Commit, |tx| {
        assert!(consumer.archive_in(tx, &message).unwrap());
    });
    assert_eq!(tasks.drain(), []);
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 1,
            ..NONE
        }
    );
}

/// After a rollback the message is free again.
pub fn a_rollback_frees_the_message(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let message = tasks.expired(h, &consumer);
    h.transaction(End::Rollback, |tx| {
        assert!(consumer.delete_in(tx, &message).unwrap());
    });
    let again = only(tasks.drain());
    assert_eq!((again.id, reads(&again)), (message.id, (2, 2)));
    assert!(!consumer.archive(&message).unwrap());
}

/// The point of it: one message done and the next one enqueued, both or neither.
pub fn archive_and_enqueue_happen_together(h: &impl TransactionalHarness) {
    let (first, second) = (queue(h, "first"), queue(h, "second"));
    first.put(1);
    let consumer = first.consumer();
    let message = first.lease_one(&consumer);
    let step = |end| {
        h.transaction(end, |tx| {
            assert!(consumer.archive_in(tx, &message).unwrap());
            second.producer.enqueue_in(tx, "next step").unwrap();
        });
    };
    step(End::Rollback);
    assert_eq!(first.counts(), Counts { leased: 1, ..NONE });
    assert_eq!(second.counts(), NONE);
    step(End::Commit);
    assert_eq!(
        first.counts(),
        Counts {
            archived: 1,
            ..NONE
        }
    );
    assert_eq!(second.counts(), Counts { ready: 1, ..NONE });
}

/// A handle to a transactional store is one as well.
pub fn handles_work_in_transactions(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let shared = Arc::new(h.store());
    let producer = Producer::new(Arc::clone(&shared), "tasks").unwrap();
    let consumer = Consumer::new(&*shared, "tasks").unwrap();
    h.transaction(End::Commit, |tx| {
        producer.enqueue_in(tx, "work").unwrap();
    });
    let message = only(consumer.dequeue().unwrap());
    let done = h.transaction(End::Commit, |tx| consumer.archive_in(tx, &message));
    assert!(done.unwrap());
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 1,
            ..NONE
        }
    );
}
