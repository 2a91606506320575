//! Enqueueing inside the caller's own transaction.

use serde_json::json;

use super::scene::*;
use crate::{End, TransactionalHarness};
use pgqrs::{Counts, ErrorKind, NewMessage, Store, Transactional};

/// What is enqueued in a transaction exists when that commits, and not before.
pub fn enqueue_in_exists_after_the_commit(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let sent = h.transaction(End::Commit, |tx| {
        let sent = tasks.producer.enqueue_in(tx, &json!({"n": 1})).unwrap();
        assert_eq!(tasks.counts(), NONE);
        sent
    });
    assert_eq!(sent.vt, sent.enqueued_at);
    assert_eq!((reads(&sent), sent.worker), ((0, 0), None));
    let got = tasks.lease_one(&tasks.consumer());
    assert_eq!((got.id, &got.payload), (sent.id, &json!({"n": 1})));
    assert_eq!(got.enqueued_at, sent.enqueued_at);
}

/// What is enqueued in a transaction never exists if that rolls back.
pub fn enqueue_in_never_exists_after_a_rollback(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    h.transaction(End::Rollback, |tx| {
        tasks.producer.enqueue_in(tx, "one").unwrap();
        tasks
            .producer
            .batch_enqueue_in(tx, ["two", "three"])
            .unwrap();
    });
    assert_eq!(tasks.counts(), NONE);
    assert_eq!(tasks.drain(), []);
}

/// A batch is enqueued in order, also together with others.
pub fn batch_enqueue_in_keeps_its_order(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let sent = h.transaction(End::Commit, |tx| {
        let mut sent = tasks.producer.batch_enqueue_in(tx, 0..50).unwrap();
        sent.push(tasks.producer.enqueue_in(tx, &50).unwrap());
        sent.extend(tasks.producer.batch_enqueue_in(tx, 51..100).unwrap());
        sent
    });
    assert!(ascending(&ids(&sent)));
    let got = tasks.drain();
    assert_eq!(ids(&got), ids(&sent));
    let numbers = got.iter().map(|message| message.json::<u32>().unwrap());
    assert!(numbers.eq(0..100));
}

/// Nothing can be enqueued and settled in a transaction.
pub fn nothing_in_a_transaction_is_fine(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let none: [u8; 0] = [];
    h.transaction(End::Commit, |tx| {
        assert_eq!(tasks.producer.batch_enqueue_in(tx, none).unwrap(), []);
        let queue_id = tasks.producer.queue().id;
        let answers = tasks.store.settle_in(tx, queue_id, &[]).unwrap();
        assert!(answers.is_empty());
    });
    h.transaction(End::Commit, |_| {});
    h.transaction(End::Rollback, |_| {});
    assert_eq!(tasks.counts(), NONE);
}

/// A very long batch is no different.
pub fn a_batch_of_25000_messages_in_a_transaction(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    for (end, stored) in [(End::Rollback, 0), (End::Commit, 25_000)] {
        h.transaction(end, |tx| {
            let sent = tasks.producer.batch_enqueue_in(tx, 0..25_000).unwrap();
            assert!(ascending(&ids(&sent)));
        });
        assert_eq!(
            tasks.counts(),
            Counts {
                ready: stored,
                ..NONE
            }
        );
    }
}

/// The trait's own call takes a delay.
pub fn enqueue_in_with_a_delay_waits(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let queue_id = tasks.producer.queue().id;
    let sent = h.transaction(End::Commit, |tx| {
        let batch = vec![NewMessage::from(json!("later"))];
        tasks
            .store
            .enqueue_in(tx, queue_id, batch, Some(HOUR))
            .unwrap()
    });
    assert_eq!(sent[0].vt - sent[0].enqueued_at, HOUR);
    assert_eq!(
        tasks.counts(),
        Counts {
            scheduled: 1,
            ..NONE
        }
    );
    h.advance(HOUR);
    assert_eq!(ids(&tasks.drain()), ids(&sent));
}

/// A bad payload is refused as it is outside; the transaction can go on.
pub fn bad_payloads_are_refused_in_a_transaction(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let limit = tasks.store.settings().payload_limit;
    h.transaction(End::Commit, |tx| {
        let refused = tasks.producer.enqueue_in(tx, "\0");
        assert_error(refused, ErrorKind::Payload, r"\u0000");
        let refused = tasks.producer.enqueue_in(tx, &"x".repeat(limit - 1));
        assert_error(refused, ErrorKind::Payload, &limit.to_string());
        let batch = ["good", "good", "\0", "good"];
        let refused = tasks.producer.batch_enqueue_in(tx, batch);
        assert_error(refused, ErrorKind::Payload, "element 2 ");
        tasks.producer.enqueue_in(tx, "good").unwrap();
    });
    assert_eq!(only(tasks.drain()).payload, json!("good"));
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
}

/// An unknown queue is an error in a transaction too.
pub fn an_unknown_queue_in_a_transaction_is_an_error(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let queue_id = tasks.producer.queue().id + 1;
    let batch = vec![NewMessage::from(json!(1))];
    let refused = h.transaction(End::Rollback, |tx| {
        tasks.store.enqueue_in(tx, queue_id, batch, None)
    });
    assert_error(refused, ErrorKind::UnknownQueue, &queue_id.to_string());
    assert_eq!(tasks.counts(), NONE);
}
