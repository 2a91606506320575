//! What a handler can ask and do besides its work.

use std::fmt;
use std::time::{Duration, Instant};

use super::Shared;
use super::held::Held;
use crate::error::Result;
use crate::message::Receipt;
use crate::queue::Queue;

/// One delivery, as its handler sees it.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use pgqrs::{Context, Failure, Handled};
/// fn import(rows: Vec<String>, context: &Context) -> Handled {
///     for row in rows {
///         if context.is_stopping() || context.is_lost() {
///             return Err(Failure::give_back(Duration::ZERO));
///         }
///         println!("{row}");
///     }
///     Ok(())
/// }
/// ```
pub struct Context<'a> {
    pub(super) shared: &'a Shared,
    pub(super) held: &'a Held,
}

impl Context<'_> {
    /// Returns the message's id.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.held.id
    }

    /// Returns the queue that the message came from.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.held.queue
    }

    /// Returns which attempt this is, counted from 1.
    #[must_use]
    pub fn attempt(&self) -> i32 {
        self.held.attempt
    }

    /// Whether a failure of this attempt will be the last: the message goes to the dead
    /// letters then.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.shared.retry.delay(self.attempt(), 0.0).is_none()
    }

    /// Returns until when nobody else can have the message, by this process's clock. The pool
    /// renews the lease as long as the handler runs, so it moves on; once it is past, the
    /// store could not be reached for too long.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.held.until()
    }

    /// Whether the lease is known to be lost: somebody else has the message, or it is gone,
    /// and whatever the handler answers will change nothing.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.held.is_lost()
    }

    /// Whether the pool was asked to stop: a long handler may want to end early, with
    /// [`Failure::give_back`](crate::Failure::give_back).
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.is_stopping()
    }

    /// Returns the receipt of this delivery, for a [`Consumer`](crate::Consumer) of the same
    /// queue: to archive the message in a transaction of the handler's own, say.
    ///
    /// # Examples
    ///
    /// ```
    /// use pgqrs::{Consumer, Context, MockStore, Producer, Store, WorkerPool};
    ///
    /// let store = MockStore::new(); // on PostgreSQL, with a postgres::Transaction
    /// store.create_queue("orders")?;
    /// store.create_queue("invoices")?;
    /// Producer::new(store.clone(), "orders")?.enqueue("order 17")?;
    ///
    /// let orders = Consumer::new(store.clone(), "orders")?;
    /// let invoices = Producer::new(store.clone(), "invoices")?;
    /// let report = WorkerPool::builder(store.clone(), "orders")
    ///     .handle(move |order: String, context: &Context| {
    ///         let mut tx = store.begin();
    ///         invoices.enqueue_in(&mut tx, &order)?;
    ///         if !orders.archive_in(&mut tx, context.receipt())? {
    ///             return Err("the lease is lost; dropping tx rolls back".into());
    ///         }
    ///         tx.commit();
    ///         context.settled(); // the pool has nothing left to do
    ///         Ok(())
    ///     })
    ///     .run_until_empty()?;
    /// assert_eq!(report.finished, 1);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        self.held.receipt()
    }

    /// Says that the handler has settled the message itself. When it then returns `Ok(())`,
    /// the pool leaves the message alone, and counts it as finished; an error is dealt with
    /// as ever.
    pub fn settled(&self) {
        self.held.settle();
    }

    /// Moves the end of the lease to `by` from now, never to an earlier time than it was; the
    /// answer is whether the message was still ours.
    ///
    /// The pool renews leases by itself: this is for a handler that is about to stop its own
    /// process for longer than the lock time, for example.
    ///
    /// # Errors
    ///
    /// As [`Store::extend_visibility`](crate::Store::extend_visibility).
    pub fn extend(&self, by: Duration) -> Result<bool> {
        let since = Instant::now();
        let (store, queue) = (&self.shared.store, self.held.queue.id);
        let receipt = self.held.receipt();
        let owned = store.extend_visibility(queue, &[receipt], by)?;
        let owned = owned.first().is_some_and(|owned| *owned);
        if owned {
            self.held.extended(since, by);
        } else if self.held.receipt() == receipt {
            self.held.lose();
        }
        Ok(owned)
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("queue", &self.held.queue.name)
            .field("id", &self.held.id)
            .field("attempt", &self.held.attempt)
            .field("lost", &self.is_lost())
            .field("stopping", &self.is_stopping())
            .finish_non_exhaustive()
    }
}
