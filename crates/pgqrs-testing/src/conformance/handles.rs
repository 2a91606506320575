//! A store is a handle, and a handle to a store is a store.

use std::fmt::Debug;
use std::sync::Arc;

use super::scene::*;
use crate::Harness;
use pgqrs::{
    Consumer, Counts, Dequeue, IfNotEmpty, MAX_SPAN, Outcome, Producer, Receipt, Settlement, State,
    Store,
};

/// A reference to a store is a store.
pub fn a_reference_to_a_store_is_a_store(h: &impl Harness) {
    a_whole_life(&h.store());
}

/// A box with a store in it is a store.
pub fn a_boxed_store_is_a_store(h: &impl Harness) {
    a_whole_life(Box::new(h.store()));
}

/// A shared store is a store.
pub fn a_shared_store_is_a_store(h: &impl Harness) {
    a_whole_life(Arc::new(h.store()));
}

/// So is one whose type nobody knows any more.
pub fn a_store_of_unknown_type_is_a_store(h: &impl Harness) {
    let store: Arc<dyn Store> = Arc::new(h.store());
    a_whole_life(store);
    let store: Box<dyn Store> = Box::new(h.store());
    a_whole_life(&store);
    let store: &dyn Store = &h.store();
    a_whole_life(store);
}

/// Calls every method of the trait through the handle.
fn a_whole_life<S: Store + Clone>(store: S) {
    store.settings().check().unwrap();
    store.install().unwrap();
    let queue = store.create_queue("life").unwrap();
    assert_eq!(store.queue("life").unwrap(), queue);
    assert_eq!(store.queues().unwrap().len(), 1);

    let producer = Producer::new(store.clone(), "life").unwrap();
    let sent = producer.batch_enqueue(0..4).unwrap();
    producer.enqueue_delayed("later", MAX_SPAN).unwrap();
    let consumer = Consumer::builder(store.clone(), "life").lock_time(HOUR);
    let consumer = consumer.build().unwrap();
    let held = consumer.dequeue_many(2).unwrap();
    assert!(consumer.extend_visibility(&held[0], DAY).unwrap());
    assert!(consumer.archive(&held[0]).unwrap());

    let worker = store.register_worker(queue.id, "by hand").unwrap();
    let got = store.dequeue(&Dequeue {
        queue_id: queue.id,
        worker,
        limit: 1,
        lock_time: HOUR,
    });
    let got = only(got.unwrap());
    assert_eq!(got.id, sent[2].id);
    let settlement = Settlement {
        receipt: Receipt::from(&got),
        outcome: Outcome::DeadLetter("why".to_owned()),
    };
    assert_eq!(store.settle(queue.id, &[settlement]).unwrap(), [true]);
    let one_each = Counts {
        ready: 1,
        leased: 1,
        scheduled: 1,
        archived: 1,
        dead: 1,
    };
    assert_eq!(store.counts("life").unwrap(), one_each);
    assert_eq!(store.purge("life", &[State::Dead]).unwrap(), 1);
    store.delete_queue("life", IfNotEmpty::Delete).unwrap();
    assert_eq!(store.queues().unwrap(), []);
}

/// Handles, clones of handles, producers and consumers can be used from any thread.
pub fn everything_can_be_shared_by_threads(h: &impl Harness) {
    fn shared<T: Send + Sync + Debug>(value: T) -> T {
        value
    }
    let tasks = tasks(h);
    let store = shared(tasks.store.clone());
    let (producer, consumer) = (shared(tasks.producer.clone()), shared(tasks.consumer()));
    let stop = shared(consumer.stop_handle());
    let done = on_threads(4, |number| {
        producer.enqueue(&number).unwrap();
        // One worker on four threads: each settles what it took.
        let messages = consumer.dequeue_many(1).unwrap();
        let answers = consumer.archive_many(&messages).unwrap();
        assert!(answers.iter().all(|owned| *owned));
        assert!(!stop.is_stopped());
        answers.len()
    });
    let done: usize = done.iter().sum();
    let archived = store.counts("tasks").unwrap().archived;
    assert_eq!(archived, u64::try_from(done).unwrap());
    assert_eq!(done + tasks.drain().len(), 4);
}

/// A clone of a store means the same queues.
pub fn a_clone_of_a_store_is_the_same_store(h: &impl Harness) {
    let store = h.store();
    let clone = store.clone();
    let queue = store.create_queue("tasks").unwrap();
    assert_eq!(clone.queue("tasks").unwrap(), queue);
    assert_eq!(clone.settings(), store.settings());
    drop(store);
    Producer::new(clone.clone(), "tasks")
        .unwrap()
        .enqueue("work")
        .unwrap();
    assert_eq!(
        h.store().counts("tasks").unwrap(),
        Counts { ready: 1, ..NONE }
    );
}

/// Stores, producers, consumers and iterators say what they are.
pub fn everything_can_be_printed(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let printed = [
        format!("{:?}", tasks.store),
        format!("{:?}", tasks.producer),
        format!("{consumer:?}"),
        format!("{:?}", consumer.iter()),
    ];
    assert!(printed.iter().all(|text| !text.is_empty()));
}
