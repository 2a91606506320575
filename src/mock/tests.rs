//! The conformance suite on the in-memory store; what is that store's own stands in the
//! modules below.

mod clock;
mod fault;
mod tx;
mod view;
mod wait;

use super::*;
use crate::testing::{End, Harness, TransactionalHarness};
use crate::{Consumer, Producer};

#[derive(Default)]
struct InMemory(MockStore);

impl Harness for InMemory {
    type Store = MockStore;

    fn store(&self) -> MockStore {
        self.0.clone()
    }

    fn advance(&self, by: Duration) {
        self.0.advance(by);
    }
}

impl TransactionalHarness for InMemory {
    type Tx = MockTransaction;

    fn transaction<T>(&self, end: End, work: impl FnOnce(&mut MockTransaction) -> T) -> T {
        let mut tx = self.0.begin();
        let answer = work(&mut tx);
        match end {
            End::Commit => tx.commit(),
            End::Rollback => tx.rollback(),
        }
        answer
    }
}

/// The same store as nobody knows its type: every call goes through the forwarding.
#[derive(Default)]
struct Forwarded(MockStore);

impl Harness for Forwarded {
    type Store = Arc<dyn Store>;

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    fn advance(&self, by: Duration) {
        self.0.advance(by);
    }
}

mod conformance {
    crate::testing::conformance!(super::InMemory::default());
}

mod forwarded_conformance {
    crate::testing::conformance!(super::Forwarded::default());
}

mod transactional_conformance {
    crate::testing::transactional_conformance!(super::InMemory::default());
}

mod concurrent_transactional_conformance {
    crate::testing::concurrent_transactional_conformance!(super::InMemory::default());
}

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
