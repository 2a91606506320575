//! What a pool tells while it works: a trait of no-ops, and counters that are always there.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;

/// Which delivery an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery<'a> {
    /// The name of the queue.
    pub queue: &'a str,
    /// The message's id.
    pub id: i64,
    /// Which attempt it is, counted from 1.
    pub attempt: i32,
}

impl<'a> Delivery<'a> {
    pub(crate) fn new(queue: &'a str, id: i64, attempt: i32) -> Self {
        Self { queue, id, attempt }
    }
}

/// Told of everything that a [`WorkerPool`](crate::WorkerPool) does: for logs and metrics.
///
/// Every method does nothing unless it is overridden. They are called by the pool's own
/// threads, which wait for them, so let them be quick; a panic in one is ignored. For plain
/// numbers, [`Counters`] are there already.
///
/// # Examples
///
/// ```
/// use pgqrs::{Delivery, Events};
///
/// struct Log;
///
/// impl Events for Log {
///     fn dead_lettered(&self, delivery: &Delivery<'_>, reason: &str) {
///         eprintln!("{} {} is given up: {reason}", delivery.queue, delivery.id);
///     }
/// }
/// ```
#[allow(unused_variables, reason = "the names are for those who override them")]
pub trait Events: Send + Sync {
    /// The pool leased this many messages of a queue.
    fn fetched(&self, queue: &str, messages: usize) {}
    /// A handler begins with a message.
    fn started(&self, delivery: &Delivery<'_>) {}
    /// A message is done: the store has archived or deleted it.
    fn finished(&self, delivery: &Delivery<'_>) {}
    /// A message failed and will come again after `wait`: the store has it so.
    fn retried(&self, delivery: &Delivery<'_>, wait: Duration, reason: &str) {}
    /// A message was given back without charging an attempt.
    fn given_back(&self, delivery: &Delivery<'_>) {}
    /// A message was given up: it is among the dead letters.
    fn dead_lettered(&self, delivery: &Delivery<'_>, reason: &str) {}
    /// A delivery is no longer the pool's: its lease ran out and the message was delivered again,
    /// or somebody settled it by other means. What the handler answers for it does not count,
    /// unless it was this pool that got it again: then the handler goes on under the new lease.
    fn lease_lost(&self, delivery: &Delivery<'_>) {}
    /// A message was settled, or its lease was lost: the connection broke in the middle of
    /// the call, and nobody can tell.
    fn fate_unknown(&self, delivery: &Delivery<'_>) {}
    /// The pool extended this many leases.
    fn renewed(&self, leases: usize) {}
    /// A call failed, and the pool tries again after `pause`. `doing`: "dequeue", "settle"
    /// or "renew".
    fn reconnecting(&self, doing: &str, error: &Error, pause: Duration) {}
    /// After failures, a call of this sort succeeded again.
    fn reconnected(&self, doing: &str) {}
    /// The pool has looked and found nothing, and sleeps until it is woken or until its next
    /// look; told each time. `woken`: whether the store tells of new messages.
    fn asleep(&self, woken: bool) {}
    /// The pool was asked to stop, and starts nothing any more.
    fn stopping(&self) {}
    /// The pool has ended without settling this many messages, which are left to their leases:
    /// their handlers were still running when the grace of a shutdown was over, or the store
    /// could not be reached.
    fn abandoned(&self, messages: usize) {}
}

macro_rules! report {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What a pool did: the numbers of its events.
        ///
        /// Once a pool has ended, everything that it fetched is accounted for:
        ///
        /// ```text
        /// fetched = finished + retried + given_back + dead_lettered
        ///         + lost + fate_unknown + abandoned
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Report { $($(#[$doc])* pub $name: u64,)+ }

        #[derive(Debug, Default)]
        struct Numbers { $($name: AtomicU64,)+ }

        impl Numbers {
            fn read(&self) -> Report {
                Report { $($name: self.$name.load(Ordering::SeqCst),)+ }
            }
        }
    };
}

report! {
    /// Leased by the pool; a message that came several times counts each time.
    fetched,
    /// Given to a handler.
    started,
    /// Archived, or deleted.
    finished,
    /// To come again after a failure.
    retried,
    /// Given back without charging an attempt.
    given_back,
    /// Given up.
    dead_lettered,
    /// Deliveries that somebody else got, or the pool once more; see [`Events::lease_lost`].
    lost,
    /// Settled or lost, nobody can tell; see [`Events::fate_unknown`].
    fate_unknown,
    /// Not settled when the pool ended; see [`Events::abandoned`].
    abandoned,
    /// Extensions of leases.
    renewed,
    /// Calls that failed and were tried again.
    reconnecting,
    /// Times that it looked in vain.
    asleep,
}

impl Report {
    /// Returns how many of the fetched messages are accounted for: all, once the pool has
    /// ended.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.finished
            + self.retried
            + self.given_back
            + self.dead_lettered
            + self.lost
            + self.fate_unknown
            + self.abandoned
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} fetched: {} finished, {} retried, {} given back, {} dead-lettered, {} lost, \
             {} of unknown fate, {} abandoned",
            self.fetched,
            self.finished,
            self.retried,
            self.given_back,
            self.dead_lettered,
            self.lost,
            self.fate_unknown,
            self.abandoned
        )
    }
}

/// The numbers of a pool's events, to be read, or waited on, at any time. Clones are the
/// same counters.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use pgqrs::{Context, MockStore, Producer, Store, WorkerPool};
/// # let store = MockStore::new();
/// # store.create_queue("tasks")?;
/// let pool = WorkerPool::builder(store.clone(), "tasks")
///     .handle(|_: String, _: &Context| Ok(()))
///     .start()?;
/// Producer::new(store, "tasks")?.enqueue("work")?;
/// assert!(pool.counters().wait(Duration::from_secs(60), |seen| seen.finished == 1));
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    numbers: Numbers,
    /// Nobody takes the lock while nobody waits.
    waiters: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Counters {
    /// Returns the numbers as they are now.
    #[must_use]
    pub fn read(&self) -> Report {
        self.0.numbers.read()
    }

    /// Waits until the numbers are as wanted, but at most `at_most`; returns whether they
    /// came to be.
    ///
    /// `wanted` is asked at every change, while the pool waits for the answer: let it be quick,
    /// and not wait on the same counters.
    pub fn wait(&self, at_most: Duration, wanted: impl Fn(&Report) -> bool) -> bool {
        let deadline = Instant::now().checked_add(at_most);
        self.0.waiters.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let came = loop {
            if wanted(&self.read()) {
                break true;
            }
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                break false;
            }
            let waited = self.0.changed.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        self.0.waiters.fetch_sub(1, Ordering::SeqCst);
        came
    }

    fn add(&self, count: impl FnOnce(&Numbers) -> &AtomicU64, by: usize) {
        count(&self.0.numbers).fetch_add(by as u64, Ordering::SeqCst);
        if self.0.waiters.load(Ordering::SeqCst) > 0 {
            let _guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.changed.notify_all();
        }
    }
}

impl Events for Counters {
    fn fetched(&self, _: &str, messages: usize) {
        self.add(|n| &n.fetched, messages);
    }
    fn started(&self, _: &Delivery<'_>) {
        self.add(|n| &n.started, 1);
    }
    fn finished(&self, _: &Delivery<'_>) {
        self.add(|n| &n.finished, 1);
    }
    fn retried(&self, _: &Delivery<'_>, _: Duration, _: &str) {
        self.add(|n| &n.retried, 1);
    }
    fn given_back(&self, _: &Delivery<'_>) {
        self.add(|n| &n.given_back, 1);
    }
    fn dead_lettered(&self, _: &Delivery<'_>, _: &str) {
        self.add(|n| &n.dead_lettered, 1);
    }
    fn lease_lost(&self, _: &Delivery<'_>) {
        self.add(|n| &n.lost, 1);
    }
    fn fate_unknown(&self, _: &Delivery<'_>) {
        self.add(|n| &n.fate_unknown, 1);
    }
    fn renewed(&self, leases: usize) {
        self.add(|n| &n.renewed, leases);
    }
    fn reconnecting(&self, _: &str, _: &Error, _: Duration) {
        self.add(|n| &n.reconnecting, 1);
    }
    fn asleep(&self, _: bool) {
        self.add(|n| &n.asleep, 1);
    }
    fn abandoned(&self, messages: usize) {
        self.add(|n| &n.abandoned, messages);
    }
}

/// Tells the counters, and whoever else wants to know.
pub(crate) struct Reporter {
    pub(crate) counters: Counters,
    pub(crate) others: Vec<Arc<dyn Events>>,
}

impl Reporter {
    pub(crate) fn tell(&self, what: impl Fn(&dyn Events)) {
        // The others first: whoever waits on a counter may rely on them having been told.
        for other in &self.others {
            // Theirs to get right, and not worth a thread of the pool.
            let _ = catch_unwind(AssertUnwindSafe(|| what(&**other)));
        }
        what(&self.counters);
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
