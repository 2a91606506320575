//! Threads that fetch, handle, settle and renew: the consumer that most programs want.
//!
//! ```text
//!  fetch (1 thread) ──bounded channel──▶ handlers (N threads) ──bounded channel──▶ settle (1 thread)
//!       ▲  as many as there is room for                              batches the outcomes
//!       └── woken, or every so often      renew (1 thread): extends the leases of all that is held
//! ```
//!
//! Each thread's loop is a file. What they share is [`Shared`]; what the pool holds, from the
//! dequeue to the settlement, is in [`Holding`]. A stop ends the fetch loop, which drops its
//! end of the first channel; that ends the handlers once it is empty, and so on.

mod backoff;
mod builder;
mod caution;
mod context;
mod fetch;
mod handler;
mod held;
mod jobs;
mod launch;
mod renew;
mod run;
mod settle;
mod turns;

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, after, select_biased};

use crate::bell::Bell;
use crate::error::{Error, Result};
use crate::event::{Counters, Report, Reporter};
use crate::message::Outcome;
use crate::retry::RetryPolicy;
use crate::stop::StopHandle;
use crate::store::Store;

use self::held::Holding;

pub use self::builder::WorkerPoolBuilder;
pub use self::context::Context;
pub use self::handler::{Batch, Failure, FromMessage, Handled};

/// How many outcomes are settled in one call at most.
const SETTLE_BATCH: usize = 1_000;

/// What the settling of finished work is given once the grace of a shutdown is over.
const LAST_SETTLEMENT: Duration = Duration::from_secs(5);

/// Threads that work on the messages of one queue, or of several.
///
/// The pool fetches messages ahead, hands them to the handler on its threads, renews their
/// leases while they wait and run, and settles them in batches: what succeeded is archived,
/// what failed is retried by the [`RetryPolicy`] and goes to the dead letters in the end. A
/// handler that panics, a payload that does not decode, a database that restarts: none of
/// that ends a thread.
///
/// See the [guide](crate#the-worker-pool) for lock time, prefetch, retries and idempotence.
///
/// # Stopping
///
/// [`stop`](Self::stop), or the [`stop_handle`](Self::stop_handle) from elsewhere, asks for
/// it: nothing is started any more, and what was fetched and not started is given back
/// without charging an attempt. [`join`](Self::join) waits for the end;
/// [`shutdown`](Self::shutdown) does both, with a limit. Dropping the pool stops it and waits,
/// without a limit. No thread outlives the pool, except where a shutdown abandoned a handler
/// that would not end.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use pgqrs::{Context, Failure, MockStore, Producer, RetryPolicy, Store, WorkerPool};
///
/// let store = MockStore::new(); // or PgStore::connect("postgresql://localhost/mydb")?
/// store.create_queue("tasks")?;
/// Producer::new(store.clone(), "tasks")?.batch_enqueue(["a", "b", "c"])?;
///
/// let pool = WorkerPool::builder(store.clone(), "tasks")
///     .threads(2)
///     .lock_time(Duration::from_secs(30))
///     .retry(RetryPolicy::exponential(Duration::from_secs(1)..=Duration::from_secs(600)))
///     .handle(|text: String, context: &Context| -> Result<(), Failure> {
///         println!("attempt {} at {text}", context.attempt());
///         Ok(())
///     })
///     .start()?;
/// # assert!(pool.counters().wait(Duration::from_secs(60), |seen| seen.finished == 3));
/// let report = pool.shutdown(Duration::from_secs(10))?;
/// assert_eq!(report.finished, 3);
/// assert_eq!(store.archived("tasks").len(), 3);
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping a pool stops it"]
pub struct WorkerPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Disconnects when the last thread has ended.
    ended: Receiver<Infallible>,
}

impl WorkerPool {
    /// Asks the pool to stop; does not wait for it. More than once is fine.
    pub fn stop(&self) {
        self.shared.stop.stop();
    }

    /// Returns a handle that does the same from elsewhere: a signal handler's thread, say.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.shared.stop.clone()
    }

    /// Returns the numbers of what the pool does, to read or to wait on.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.reporter.counters.clone()
    }

    /// Waits until the pool has ended, because somebody stopped it or because of an error,
    /// and returns what it did.
    ///
    /// Waits for the running handlers, however long they take. While the store cannot be
    /// reached, it goes on trying to settle what they did for the lock time (or 5 seconds, if
    /// that is longer), and as long as the last call takes; what is not settled by then counts
    /// as abandoned.
    ///
    /// # Errors
    ///
    /// What ended the pool, if that was no stop: an error that trying again does not help,
    /// such as [`UnknownQueue`](crate::ErrorKind::UnknownQueue) when a queue is deleted. The
    /// report is then what the [`counters`](Self::counters) say, if they were asked for before.
    pub fn join(mut self) -> Result<Report> {
        self.wait();
        self.report()
    }

    /// Stops the pool, waits for its running handlers up to `grace`, and returns what it did.
    ///
    /// Handlers that are still running then are abandoned: their threads end when they
    /// return, what they answer is ignored, and their messages come again, here or elsewhere,
    /// when the leases run out. What was finished by then is settled, which may take up to 5
    /// seconds more where the store does not answer.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub fn shutdown(mut self, grace: Duration) -> Result<Report> {
        self.stop();
        let deadline = Instant::now().checked_add(grace);
        let over = |received| received == Err(RecvTimeoutError::Disconnected);
        let in_time = match deadline {
            Some(deadline) => over(self.ended.recv_deadline(deadline)),
            None => self.ended.recv().is_err(),
        };
        if !in_time {
            self.shared.abandon.stop();
            if !self.shared.settled.wait_timeout(LAST_SETTLEMENT) {
                self.shared.abandon_the_rest();
            }
            self.threads.clear(); // not waited for
        }
        self.wait();
        self.report()
    }

    fn report(&self) -> Result<Report> {
        match self.shared.take_error() {
            Some(error) => Err(error),
            None => Ok(self.shared.reporter.counters.read()),
        }
    }

    /// Waits for all threads, except where one of them is the one that waits.
    fn wait(&mut self) {
        let me = thread::current().id();
        if self.threads.iter().any(|thread| thread.thread().id() == me) {
            return;
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has a defect, and said so itself.
            let _ = thread.join();
        }
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.stop();
        if !thread::panicking() {
            self.wait();
        }
    }
}

/// What the threads of a pool share.
struct Shared {
    store: Arc<dyn Store>,
    threads: usize,
    prefetch: usize,
    lock_time: Duration,
    poll_interval: Duration,
    poll_only: bool,
    until_empty: bool,
    retry: RetryPolicy,
    /// What becomes of what succeeds.
    done: Outcome,
    reporter: Reporter,
    holding: Holding,
    /// How many messages wait for a handler or are with one.
    unfinished: AtomicUsize,
    /// Rung when there may be room for more.
    room: Bell,
    stop: StopHandle,
    /// The caller's, which others may share: the pool listens to it, and never stops it.
    asked: StopHandle,
    /// Stopped when the fetch thread has given back what no handler has.
    drained: StopHandle,
    /// Stopped when handlers are not waited for any more.
    abandon: StopHandle,
    /// Stopped when everything is settled that will be.
    settled: StopHandle,
    error: Mutex<Option<Error>>,
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stop.is_stopped() || self.asked.is_stopped()
    }

    /// Waits, but not longer than until a stop.
    fn pause(&self, at_most: Duration) {
        select_biased! {
            recv(self.stop.stopped()) -> _ => {}
            recv(self.asked.stopped()) -> _ => {}
            recv(after(at_most)) -> _ => {}
        }
    }

    /// How many messages may wait or run.
    fn capacity(&self) -> usize {
        self.prefetch.saturating_add(self.threads)
    }

    /// How many messages the pool holds at most: those, and what is being settled.
    fn most_held(&self) -> usize {
        self.capacity().saturating_add(SETTLE_BATCH)
    }

    /// Fetching is worth a call when no more than this many wait or run.
    fn low_water(&self) -> usize {
        let half = self.threads.saturating_add(self.prefetch / 2);
        half.min(self.capacity() - 1)
    }

    /// Notes that handlers are through with this many.
    fn finished(&self, count: usize) {
        let before = self.unfinished.fetch_sub(count, Ordering::SeqCst);
        let low = self.low_water();
        if before > low && before - count <= low {
            self.room.ring();
        }
    }

    /// Ends the pool by an error that trying again does not help.
    fn fail(&self, error: Error) {
        self.lock_error().get_or_insert(error);
        self.stop.stop();
    }

    fn take_error(&self) -> Option<Error> {
        self.lock_error().take()
    }

    fn lock_error(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accounts for what nobody will settle.
    fn abandon_the_rest(&self) {
        let left = self.holding.abandon();
        if left > 0 {
            self.reporter.tell(|events| events.abandoned(left));
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("store", &self.store)
            .field("threads", &self.threads)
            .field("prefetch", &self.prefetch)
            .field("lock_time", &self.lock_time)
            .field("report", &self.reporter.counters.read())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
