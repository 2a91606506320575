//! The conformance suite on the in-memory store. What only its insides show is tested beside the
//! code, in `src/mock/tests`.

use std::sync::Arc;
use std::time::Duration;

use pgqrs::{Layer, MockStore, MockTransaction, Store};
use pgqrs_testing::{End, Harness, TransactionalHarness};

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

/// The same store behind `Arc<dyn Store>`, which passes every call on.
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

/// A layer that changes nothing.
#[derive(Clone, Debug)]
struct Nothing(MockStore);

impl Layer for Nothing {
    type Inner = MockStore;

    fn inner(&self) -> &MockStore {
        &self.0
    }
}

#[derive(Default)]
struct BehindALayer(InMemory);

impl Harness for BehindALayer {
    type Store = Nothing;

    fn store(&self) -> Nothing {
        Nothing(self.0.store())
    }

    fn advance(&self, by: Duration) {
        self.0.advance(by);
    }
}

impl TransactionalHarness for BehindALayer {
    type Tx = MockTransaction;

    fn transaction<T>(&self, end: End, work: impl FnOnce(&mut MockTransaction) -> T) -> T {
        self.0.transaction(end, work)
    }
}

mod conformance {
    pgqrs_testing::conformance!(super::InMemory::default());
}

mod forwarded_conformance {
    pgqrs_testing::conformance!(super::Forwarded::default());
}

mod transactional_conformance {
    pgqrs_testing::transactional_conformance!(super::InMemory::default());
}

mod concurrent_transactional_conformance {
    pgqrs_testing::concurrent_transactional_conformance!(super::InMemory::default());
}

mod behind_a_layer {
    pgqrs_testing::conformance!(super::BehindALayer::default());
    pgqrs_testing::transactional_conformance!(super::BehindALayer::default());
    pgqrs_testing::concurrent_transactional_conformance!(super::BehindALayer::default());
}
