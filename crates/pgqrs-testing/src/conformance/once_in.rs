//! Messages with keys inside the caller's own transaction.

use serde_json::json;

use super::scene::*;
use crate::in_time::begin;
use crate::{End, TransactionalHarness};
use pgqrs::{Counts, ErrorKind, Message, Producer, Store};

/// A rollback frees the keys that were used in the transaction.
pub fn a_rollback_frees_the_key(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    h.transaction(End::Rollback, |tx| {
        tasks.producer.enqueue_once_in(tx, "a", &1).unwrap();
    });
    let sent = tasks.producer.enqueue_once("a", &2).unwrap();
    let got = only(tasks.drain());
    assert_eq!((got.id, &got.payload), (sent.id, &json!(2)));
}

/// After the commit the key is known, inside and outside of transactions.
pub fn a_commit_keeps_the_key(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let once = |tx: &mut _| tasks.producer.enqueue_once_in(tx, "a", &1).unwrap();
    let sent = h.transaction(End::Commit, once);
    assert_eq!(sent.vt, sent.enqueued_at);
    assert_eq!(tasks.producer.enqueue_once("a", &1).unwrap(), sent);
    for end in [End::Rollback, End::Commit] {
        assert_eq!(h.transaction(end, once), sent);
    }
    assert_eq!(ids(&tasks.drain()), [sent.id]);
    h.advance(tasks.store.settings().key_retention);
    assert!(h.transaction(End::Commit, once).id > sent.id);
    assert_eq!(tasks.counts().total(), 2);
}

/// A key twice in a transaction stores one message.
pub fn a_key_twice_in_a_transaction_stores_one(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    let sent = h.transaction(End::Commit, |tx| {
        let first = tasks.producer.enqueue_once_in(tx, "a", &1).unwrap();
        let other = tasks.producer.enqueue_once_in(tx, "b", &2).unwrap();
        let again = tasks.producer.enqueue_once_in(tx, "a", &3).unwrap();
        assert_eq!((again.id, again.vt), (first.id, first.vt));
        assert!(other.id > first.id);
        [first.id, other.id]
    });
    assert_eq!(ids(&tasks.drain()), sent);
}

/// Who uses a key that an open transaction has used is told of its message after the commit,
/// and stores one after a rollback. (A store may make such a call wait, or refuse it meanwhile.)
pub fn the_key_of_an_open_transaction_is_waited_for(h: &impl TransactionalHarness) {
    let tasks = tasks(h);
    for (key, end) in [("a", End::Commit), ("b", End::Rollback)] {
        let (sent, beside) = h.transaction(end, |tx| {
            let sent = tasks.producer.enqueue_once_in(tx, key, &1).unwrap();
            let producer = tasks.producer.clone();
            (sent, begin(move || insistent(&producer, key)))
        });
        assert_eq!(beside.end().id == sent.id, end == End::Commit);
    }
    assert_eq!(tasks.counts(), Counts { ready: 2, ..NONE });
}

fn insistent<S: Store>(producer: &Producer<S>, key: &str) -> Message {
    loop {
        match producer.enqueue_once(key, &2) {
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            other => return other.unwrap(),
        }
    }
}
