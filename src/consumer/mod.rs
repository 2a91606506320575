//! The side that takes messages out, and everything that is done to a delivery.

mod builder;
mod iter;
mod settle;
mod wait;

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::message::Message;
use crate::queue::Queue;
use crate::settings::Settings;
use crate::stop::StopHandle;
use crate::store::{Dequeue, Store};

use self::wait::Wait;

pub use self::builder::ConsumerBuilder;
pub use self::iter::Messages;

/// Takes messages out of one queue, under a lease, and settles them.
///
/// A dequeued message is hidden from all other consumers for the lock time. Whoever is done
/// with it says so: [`archive`](Self::archive) or [`delete`](Self::delete) if it is done,
/// [`retry`](Self::retry) or [`release`](Self::release) if it is to come again,
/// [`dead_letter`](Self::dead_letter) if it never will be. Whoever says nothing, because it
/// crashed or was too slow, loses the lease, and a plain `dequeue` hands the message out
/// again: **at least once, so let the work be idempotent.**
///
/// All of these take a [`Receipt`](crate::Receipt) (a `&Message`, or a bare id), and answer whether the
/// delivery still owned the message; `false` means that somebody else has it by now, or
/// that it was settled before, and that nothing was changed. The `_many` forms answer by
/// position, as if the calls were made one after the other, and are carried out wholly or
/// not at all.
///
/// A consumer is `Send + Sync`: use one from many threads, or clone it. Each one made by
/// [`new`](Self::new) or the builder is a worker of its own; clones are the same worker.
///
/// # Examples
///
/// ```
/// # use pgqrs::{Consumer, MockStore, Producer, Store};
/// # let store = MockStore::new();
/// # store.create_queue("tasks")?;
/// # Producer::new(store.clone(), "tasks")?.batch_enqueue(["a", "b", "c"])?;
/// let consumer = Consumer::new(store.clone(), "tasks")?;
/// for message in consumer.dequeue()? {
///     let text: String = message.json()?;
///     // … the work …
/// #   drop(text);
///     consumer.archive(&message)?;
/// }
/// assert_eq!(store.counts("tasks")?.archived, 3);
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Consumer<S> {
    store: S,
    queue: Queue,
    worker: i64,
    settings: Settings,
    stop: StopHandle,
}

/// What reaches the store can fail with [`Unavailable`](crate::ErrorKind::Unavailable) (nothing was
/// done) and [`FateUnknown`](crate::ErrorKind::FateUnknown) (what was leased, if anything was, comes
/// back by itself when the leases run out).
impl<S: Store> Consumer<S> {
    /// Makes a consumer of the queue of this name, with the store's settings.
    ///
    /// # Errors
    ///
    /// [`UnknownQueue`](crate::ErrorKind::UnknownQueue) if there is none;
    /// [`Schema`](crate::ErrorKind::Schema) and [`Unavailable`](crate::ErrorKind::Unavailable) from the
    /// store.
    pub fn new(store: S, queue: &str) -> Result<Self> {
        Self::builder(store, queue).build()
    }

    /// Returns the queue.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Returns the worker id that this consumer's leases carry.
    #[must_use]
    pub fn worker(&self) -> i64 {
        self.worker
    }

    /// Leases up to a batch of messages for the lock time; an empty answer if there is none.
    ///
    /// A full answer says nothing about what is left. Neither does an empty one with
    /// certainty: a message that was committed late, or whose lease just ran out, behind the
    /// newer ones that are gone already, may be found a moment later. A program that is to
    /// end when all is done asks [`Store::counts`].
    ///
    /// # Errors
    ///
    /// [`UnknownQueue`](crate::ErrorKind::UnknownQueue) if the queue was deleted.
    pub fn dequeue(&self) -> Result<Vec<Message>> {
        self.dequeue_many(self.settings.batch)
    }

    /// Leases up to `limit` messages for the lock time.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if `limit` is not in `1..=i32::MAX`;
    /// [`UnknownQueue`](crate::ErrorKind::UnknownQueue) if the queue was deleted.
    pub fn dequeue_many(&self, limit: usize) -> Result<Vec<Message>> {
        self.dequeue_many_with_delay(limit, self.settings.lock_time)
    }

    /// Leases up to `limit` messages for a lock time of your own.
    ///
    /// # Errors
    ///
    /// As [`dequeue_many`](Self::dequeue_many), and [`Invalid`](crate::ErrorKind::Invalid) if
    /// `lock_time` is zero.
    pub fn dequeue_many_with_delay(
        &self,
        limit: usize,
        lock_time: Duration,
    ) -> Result<Vec<Message>> {
        self.store.dequeue(&self.request(limit, lock_time))
    }

    /// Leases up to `limit` messages as soon as there is one, and waits for that up to
    /// `wait`; an empty answer if none came, or on [`stop`](Self::stop).
    ///
    /// It looks again every `poll_interval`, with jitter, and where the store
    /// [wakes consumers](Store::wakes_consumers) also as soon as it rings: a
    /// [`MockStore`](crate::MockStore) and a `SqliteStore` do, a `PgStore` does not. The wait is
    /// by this machine's clock, also on a `MockStore`.
    ///
    /// # Errors
    ///
    /// As [`dequeue_many`](Self::dequeue_many).
    pub fn poll(&self, limit: usize, wait: Duration) -> Result<Vec<Message>> {
        // A deadline beyond what the clock can tell is none.
        let deadline = Instant::now().checked_add(wait);
        let mut wait = Wait::default();
        loop {
            if self.stop.is_stopped() {
                return Ok(Vec::new());
            }
            let messages = self.dequeue_many(limit)?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !messages.is_empty() || left.is_some_and(|left| left.is_zero()) {
                return Ok(messages);
            }
            let pause = self.pause();
            wait.for_messages(self, left.map_or(pause, |left| left.min(pause)));
        }
    }

    /// Returns an endless iterator over messages: it waits for them as [`poll`](Self::poll)
    /// does, fetches a batch at a time, and ends on [`stop`](Self::stop).
    ///
    /// Each message is the caller's to settle. What was fetched ahead and not handed out is
    /// released, without charging an attempt, when the iterator stops or is dropped; the
    /// same goes for messages whose lease ran out while they waited their turn, so that
    /// none is handed out that somebody else may have. With slow work, make the batch small
    /// or the lock time long: see [`ConsumerBuilder`]. Releasing is a call to the store, so a
    /// drop can take as long as one does.
    ///
    /// An item is an error where a dequeue failed; the next one tries again, after the poll
    /// interval.
    pub fn iter(&self) -> Messages<'_, S> {
        Messages::new(self)
    }

    /// Stops this consumer and its clones: [`poll`](Self::poll) returns, and
    /// [`iter`](Self::iter) ends. Everything else goes on working.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Returns a handle that does the same from elsewhere.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// What a pool needs that takes the consumer's place.
    pub(crate) fn into_parts(self) -> (S, Queue, i64, Settings, StopHandle) {
        (
            self.store,
            self.queue,
            self.worker,
            self.settings,
            self.stop,
        )
    }

    fn request(&self, limit: usize, lock_time: Duration) -> Dequeue {
        Dequeue {
            queue_id: self.queue.id,
            worker: self.worker,
            limit,
            lock_time,
        }
    }

    /// The pause before the next look: consumers that started together drift apart.
    fn pause(&self) -> Duration {
        let interval = self.settings.poll_interval;
        interval.saturating_add(interval.mul_f64(fastrand::f64() / 4.0))
    }
}
