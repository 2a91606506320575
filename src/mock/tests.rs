//! The in-memory store's own clock, faults, views and transactions. The conformance suite runs on it
//! in `tests/mock`.

mod clock;
mod fault;
mod tx;
mod view;
mod wait;

use super::*;
use crate::{Consumer, Producer};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A store with the queue "tasks", a producer, and a consumer with leases of an hour.
fn tasks() -> (MockStore, Producer<MockStore>, Consumer<MockStore>) {
    let store = MockStore::new();
    store.create_queue("tasks").unwrap();
    let producer = Producer::new(store.clone(), "tasks").unwrap();
    let consumer = Consumer::builder(store.clone(), "tasks").lock_time(HOUR);
    (store, producer, consumer.build().unwrap())
}

fn ids(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.id).collect()
}

/// Whether the call was refused since something is in the way.
#[track_caller]
fn assert_unavailable<T: fmt::Debug>(result: Result<T>, names: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains(names), "{error}");
}

/// Everything that a call can change.
fn snapshot(store: &MockStore) -> String {
    let inner = store.lock();
    format!(
        "{:?} {:?} {}",
        inner.queues, inner.shelves, inner.last_worker
    )
}
