//! What a case needs of a store besides its methods.

use std::time::Duration;

use pgqrs::{Store, Transactional};

/// A fresh, private store for one case, and a hand on its clock.
///
/// Made anew for every case, with no queues in it and the default
/// [`Settings`](pgqrs::Settings); many exist at once, as tests run side by side. Dropping
/// it removes every trace.
pub trait Harness {
    /// The store under test.
    type Store: Store + Clone + 'static;

    /// Returns a handle to the store; the same store each time.
    ///
    /// Where handles keep something in memory, such as hints where to look, return one
    /// that was not cloned from another: some cases work with two, as two processes would.
    fn store(&self) -> Self::Store;

    /// Moves the store's clock forward, at once: leases run out, delayed messages come due.
    /// Never sleeps.
    ///
    /// By up to [`MAX_SPAN`](pgqrs::MAX_SPAN), and never while a transaction of the case is
    /// open; but the threads of a pool may be using the store. A
    /// store without a clock of its own can move everything that it holds back in time
    /// instead.
    fn advance(&self, by: Duration);
}

/// A harness for stores that work inside the caller's transactions.
pub trait TransactionalHarness:
    Harness<Store: Transactional<<Self as TransactionalHarness>::Tx>>
{
    /// What the store's calls are given to work in.
    type Tx: ?Sized;

    /// Does the work in a transaction of its own, ends that, and returns what the work did.
    fn transaction<T>(&self, end: End, work: impl FnOnce(&mut Self::Tx) -> T) -> T;
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All that was done in it comes true.
    Commit,
    /// Nothing of it does.
    Rollback,
}
