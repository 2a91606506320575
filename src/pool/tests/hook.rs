//! A store that calls back.

use super::*;
use crate::bell::Bell;
use crate::message::{Receipt, Settlement};
use crate::store::{Dequeue, Layer, Wakeups};

/// What is called before a call is carried out, or after that and before its answer is given.
pub(super) trait Hooks: std::fmt::Debug + Send + Sync {
    fn dequeued(&self, _: &[Message]) {}
    fn extending(&self) {}
    fn extended(&self) {}
    fn settling(&self) {}
    fn settled(&self) {}
    fn asked_for_wakeups(&self) {}
    fn wakes_consumers(&self) -> bool {
        true
    }
}

/// A [`MockStore`] with hooks.
#[derive(Debug)]
pub(super) struct Hooked<H>(pub(super) MockStore, pub(super) Arc<H>);

impl<H: Hooks> Layer for Hooked<H> {
    type Inner = MockStore;

    fn inner(&self) -> &MockStore {
        &self.0
    }
    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        let messages = self.0.dequeue(dequeue)?;
        self.1.dequeued(&messages);
        Ok(messages)
    }
    fn extend_visibility(
        &self,
        queue_id: i64,
        receipts: &[Receipt],
        by: Duration,
    ) -> Result<Vec<bool>> {
        self.1.extending();
        let answers = self.0.extend_visibility(queue_id, receipts, by);
        self.1.extended();
        answers
    }
    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        self.1.settling();
        let answers = self.0.settle(queue_id, settlements);
        self.1.settled();
        answers
    }
    fn wakeups(&self, bells: Vec<(i64, Bell)>) -> Option<Box<dyn Wakeups>> {
        self.1.asked_for_wakeups();
        self.0.wakeups(bells)
    }
    fn wakes_consumers(&self) -> bool {
        self.1.wakes_consumers()
    }
}

#[derive(Debug)]
struct NoHooks;

impl Hooks for NoHooks {}

/// A consumer on a store that archives and dequeues in two calls, which holds one of two
/// messages.
fn two_calls() -> (MockStore, Consumer<Hooked<NoHooks>>, Message) {
    let store = MockStore::new();
    store.create_queue("tasks").unwrap();
    let producer = Producer::new(store.clone(), "tasks").unwrap();
    producer.batch_enqueue(["held", "next"]).unwrap();
    let hooked = Hooked(store.clone(), Arc::new(NoHooks));
    let consumer = Consumer::new(hooked, "tasks").unwrap();
    let held = consumer.dequeue_many(1).unwrap().remove(0);
    (store, consumer, held)
}

#[test]
fn a_store_may_archive_and_dequeue_in_two_calls() {
    let (store, consumer, held) = two_calls();
    let (archived, next) = consumer.archive_and_dequeue([&held], 10).unwrap();
    assert_eq!((archived, next.len()), (vec![true], 1));
    assert_eq!(store.archived("tasks").len(), 1);
}

#[test]
fn what_fails_after_the_first_of_two_calls_is_of_unknown_fate() {
    let (store, consumer, held) = two_calls();
    store.fail_next(Call::Dequeue, ErrorKind::Unavailable);
    let error = consumer.archive_and_dequeue([&held], 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FateUnknown, "{error}");
    assert_eq!(store.archived("tasks").len(), 1);
    // Nothing was archived: then it is what it is.
    store.fail_next(Call::Dequeue, ErrorKind::Unavailable);
    let error = consumer.archive_and_dequeue([&held], 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[test]
fn what_fails_before_the_two_calls_does_nothing() {
    let (store, consumer, held) = two_calls();
    let error = consumer.archive_and_dequeue([&held], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    store.fail_next(Call::Archive, ErrorKind::Unavailable);
    let error = consumer.archive_and_dequeue([&held], 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(store.leased("tasks").len(), 1);
}
