//! Settings of a pool.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::handler::{Batch, FromMessage, Handled, Handler};
use super::launch::{Registered, launch};
use super::{Context, WorkerPool};
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::event::{Events, Report};
use crate::message::Outcome;
use crate::queue::Queue;
use crate::retry::RetryPolicy;
use crate::settings::Settings;
use crate::stop::StopHandle;
use crate::store::Store;

/// How many messages are fetched ahead unless the builder says otherwise.
const PREFETCH: usize = 256;

/// Shorter leases would be over before a thread gets to them, again and again.
const SHORTEST_LOCK_TIME: Duration = Duration::from_millis(100);

/// More threads, or messages in memory, than this are taken for a mistake.
const MOST: usize = 100_000;

/// Makes a [`WorkerPool`] with settings of its own.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use pgqrs::{Context, MockStore, Producer, Store, WorkerPool};
/// # let store = MockStore::new();
/// # store.create_queue("mail")?;
/// # store.create_queue("newsletter")?;
/// # Producer::new(store.clone(), "newsletter")?.enqueue("hello")?;
/// let report = WorkerPool::builder(store, "mail")
///     .weight(9)
///     .queue("newsletter", 1) // gets a tenth while both have messages
///     .threads(8)
///     .lock_time(Duration::from_secs(30))
///     .delete_when_done()
///     .handle(|text: String, context: &Context| {
///         println!("{}: {text}", context.queue().name);
///         Ok(())
///     })
///     .run_until_empty()?;
/// assert_eq!(report.finished, 1);
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[must_use]
pub struct WorkerPoolBuilder {
    store: Arc<dyn Store>,
    /// Of the consumer that the pool was made from: its queue, and its worker id.
    registered: Option<(Queue, i64)>,
    queues: Vec<(String, u32)>,
    name: Option<String>,
    threads: usize,
    prefetch: usize,
    settings: Settings,
    poll_only: bool,
    retry: RetryPolicy,
    done: Outcome,
    events: Vec<Arc<dyn Events>>,
    stop: StopHandle,
    handler: Option<Handler>,
}

/// What a builder has gathered, for [`launch`].
pub(super) struct Setup {
    pub(super) store: Arc<dyn Store>,
    pub(super) threads: usize,
    pub(super) prefetch: usize,
    pub(super) settings: Settings,
    pub(super) poll_only: bool,
    pub(super) until_empty: bool,
    pub(super) retry: RetryPolicy,
    pub(super) done: Outcome,
    pub(super) events: Vec<Arc<dyn Events>>,
    pub(super) stop: StopHandle,
    pub(super) handler: Arc<Handler>,
}

impl WorkerPool {
    /// Starts a pool on the queue of this name.
    pub fn builder<S: Store + 'static>(store: S, queue: &str) -> WorkerPoolBuilder {
        let settings = store.settings().clone();
        WorkerPoolBuilder::new(Arc::new(store), queue, settings)
    }

    /// Starts a pool in a consumer's place: on its queue, under its worker id, with its
    /// settings. Whoever stops the consumer stops the pool.
    pub fn from_consumer<S: Store + 'static>(consumer: Consumer<S>) -> WorkerPoolBuilder {
        let (store, queue, worker, settings, stop) = consumer.into_parts();
        let mut builder = WorkerPoolBuilder::new(Arc::new(store), &queue.name, settings);
        builder.registered = Some((queue, worker));
        builder.stop = stop;
        builder
    }
}

impl WorkerPoolBuilder {
    fn new(store: Arc<dyn Store>, queue: &str, settings: Settings) -> Self {
        Self {
            store,
            registered: None,
            queues: vec![(queue.to_owned(), 1)],
            name: None,
            threads: thread::available_parallelism().map_or(1, usize::from),
            prefetch: PREFETCH,
            settings,
            poll_only: false,
            retry: RetryPolicy::default(),
            done: Outcome::Archive,
            events: Vec::new(),
            stop: StopHandle::new(),
            handler: None,
        }
    }

    /// Adds a queue, with a weight: at least 1. While all queues have messages, each gets
    /// the share of the fetches that its weight is of the sum; what one does not use, the
    /// others get.
    pub fn queue(mut self, name: &str, weight: u32) -> Self {
        self.queues.push((name.to_owned(), weight));
        self
    }

    /// Sets the weight of the first queue. Defaults to 1.
    pub fn weight(mut self, weight: u32) -> Self {
        self.queues[0].1 = weight;
        self
    }

    /// Sets how many threads run the handler: 1 to 100,000. Up to four more are the pool's own.
    ///
    /// Defaults to the number of processors that the program may use.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets how many messages wait in memory for a thread at most: 0 to 100,000.
    ///
    /// What one pool has fetched, no other can work on: with slow handlers and several
    /// processes, make it small. Defaults to 256.
    pub fn prefetch(mut self, prefetch: usize) -> Self {
        self.prefetch = prefetch;
        self
    }

    /// Sets how long the leases are: at least 100 milliseconds, as a lease has to hold until a
    /// thread gets to it; cut to [`MAX_SPAN`](crate::MAX_SPAN).
    ///
    /// The pool renews them, so a handler may take longer. It is how long the messages of a
    /// process that dies stay hidden, and how long the store may be out of reach before
    /// somebody else gets them.
    ///
    /// Defaults to the store's setting, which defaults to 5 seconds.
    pub fn lock_time(mut self, lock_time: Duration) -> Self {
        self.settings.lock_time = lock_time;
        self
    }

    /// Sets the pause between two looks at an empty queue, where the store does not wake the
    /// pool; where it does, the pool looks a quarter as often. Not zero. A quarter more at
    /// random, and the pauses of several queues add up.
    ///
    /// Defaults to the store's setting, which defaults to 250 milliseconds.
    pub fn poll_interval(mut self, poll_interval: Duration) -> Self {
        self.settings.poll_interval = poll_interval;
        self
    }

    /// Has the pool poll, and not ask the store to wake it: on PostgreSQL, no connection of
    /// its own for LISTEN.
    pub fn poll_only(mut self) -> Self {
        self.poll_only = true;
        self
    }

    /// Sets when a message that failed comes again, and how often.
    ///
    /// Defaults to [`RetryPolicy::default`]: 1 second to 10 minutes, five attempts.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Deletes what is done instead of archiving it.
    pub fn delete_when_done(mut self) -> Self {
        self.done = Outcome::Delete;
        self
    }

    /// Has somebody told of what the pool does. May be called several times.
    pub fn events(mut self, events: impl Events + 'static) -> Self {
        self.events.push(Arc::new(events));
        self
    }

    /// Has the pool stop with this handle too, which may be that of other pools and consumers,
    /// and may have been stopped already. The pool itself never stops it. Replaces the
    /// consumer's after [`WorkerPool::from_consumer`].
    pub fn stop_with(mut self, stop: &StopHandle) -> Self {
        self.stop = stop.clone();
        self
    }

    /// Sets what people are shown as the holder of the pool's leases; a consumer that the pool
    /// takes the place of keeps its name.
    ///
    /// Defaults to the program's name and process id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the handler: it is called once for each message, on any of the pool's threads.
    ///
    /// Its first argument is anything that the payload deserializes to, or the
    /// [`Message`](crate::Message) itself. `Ok(())` says that the message is done; any error
    /// is a [`Failure`](crate::Failure).
    pub fn handle<T, F>(mut self, handler: F) -> Self
    where
        T: FromMessage,
        F: Fn(T, &Context<'_>) -> Handled + Send + Sync + 'static,
    {
        self.handler = Some(Handler::one(handler));
        self
    }

    /// Sets a handler of up to `most` messages at a time (at least 1): those that wait when a
    /// thread is free; it does not wait for more. As no more than [`prefetch`](Self::prefetch)
    /// wait, set that to a few times `most`.
    ///
    /// It answers by position. Messages that it gives no answer for are retried, and so are
    /// all of them if it gives too many, or panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::{Batch, Handled, MockStore, Producer, Store, WorkerPool};
    /// # let store = MockStore::new();
    /// # store.create_queue("tasks")?;
    /// # Producer::new(store.clone(), "tasks")?.batch_enqueue([1, 2, -3])?;
    /// let report = WorkerPool::builder(store, "tasks")
    ///     .handle_batch(100, |batch: &Batch| -> Vec<Handled> {
    ///         batch
    ///             .iter()
    ///             .map(|message| match message.payload.as_u64() {
    ///                 Some(_) => Ok(()),
    ///                 None => Err("negative".into()),
    ///             })
    ///             .collect()
    ///     })
    ///     .run_until_empty()?;
    /// assert_eq!((report.finished, report.retried), (2, 1));
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn handle_batch<F>(mut self, most: usize, handler: F) -> Self
    where
        F: Fn(&Batch<'_>) -> Vec<Handled> + Send + Sync + 'static,
    {
        self.handler = Some(Handler::Many {
            most,
            handler: Box::new(handler),
        });
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a setting that breaks its rule, or if there
    /// is no handler; [`UnknownQueue`](crate::ErrorKind::UnknownQueue); the store's; and
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the system gives no threads.
    pub fn start(self) -> Result<WorkerPool> {
        let (setup, queues) = self.register(false)?;
        Ok(launch(setup, queues, 0)?.pool)
    }

    /// Works until no message is ready any more and none is being worked on, and returns what
    /// was done: for tests and scripts. One of the handler's threads is the caller's.
    ///
    /// What is scheduled for later (by a delay, or by a retry), and what others hold, is left
    /// where it is.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and as [`WorkerPool::join`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use pgqrs::{Context, MockStore, Producer, RetryPolicy, Store, WorkerPool};
    ///
    /// let store = MockStore::new();
    /// store.create_queue("tasks")?;
    /// Producer::new(store.clone(), "tasks")?.enqueue("flaky")?;
    ///
    /// let work = || {
    ///     WorkerPool::builder(store.clone(), "tasks")
    ///         .threads(1) // all on this thread
    ///         .retry(RetryPolicy::fixed(Duration::from_secs(60)))
    ///         .handle(|_: String, context: &Context| match context.attempt() {
    ///             1 => Err("not yet".into()),
    ///             _ => Ok(()),
    ///         })
    ///         .run_until_empty()
    /// };
    /// assert_eq!(work()?.retried, 1);
    /// assert_eq!(work()?.fetched, 0); // it is not due yet
    /// store.advance(Duration::from_secs(60));
    /// assert_eq!(work()?.finished, 1);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn run_until_empty(self) -> Result<Report> {
        let (setup, queues) = self.register(true)?;
        launch(setup, queues, 1)?.work_here().join()
    }

    /// Checks everything, and registers the pool with the store.
    pub(super) fn register(mut self, until_empty: bool) -> Result<(Setup, Vec<Registered>)> {
        let handler = self.check()?;
        let mut queues = Vec::new();
        // The first queue may be a consumer's.
        let mut registered = self.registered.take();
        for (name, weight) in &self.queues {
            let (queue, worker) = match registered.take() {
                Some(registered) => registered,
                None => self.register_for(name)?,
            };
            queues.push(Registered {
                queue,
                worker,
                weight: *weight,
            });
        }
        let setup = Setup {
            store: self.store,
            threads: self.threads,
            prefetch: self.prefetch,
            settings: self.settings,
            poll_only: self.poll_only,
            until_empty,
            retry: self.retry,
            done: self.done,
            events: self.events,
            stop: self.stop,
            handler: Arc::new(handler),
        };
        Ok((setup, queues))
    }

    fn register_for(&self, queue: &str) -> Result<(Queue, i64)> {
        let mut consumer = Consumer::builder(Arc::clone(&self.store), queue);
        if let Some(name) = &self.name {
            consumer = consumer.name(name.clone());
        }
        let consumer = consumer.build()?;
        Ok((consumer.queue().clone(), consumer.worker()))
    }

    fn check(&mut self) -> Result<Handler> {
        self.settings.check()?;
        self.retry.check()?;
        if self.settings.lock_time < SHORTEST_LOCK_TIME {
            return Err(Error::invalid(format!(
                "lock_time is {:?}: a pool needs at least {SHORTEST_LOCK_TIME:?}",
                self.settings.lock_time
            )));
        }
        for (name, value, least) in [("threads", self.threads, 1), ("prefetch", self.prefetch, 0)] {
            if !(least..=MOST).contains(&value) {
                return Err(Error::invalid(format!(
                    "{name} is {value}, which is not in {least}..={MOST}"
                )));
            }
        }
        for (at, (name, weight)) in self.queues.iter().enumerate() {
            if *weight == 0 {
                return Err(Error::invalid(format!(
                    "the weight of queue {name:?} is 0: it would never have its turn"
                )));
            }
            if self.queues[..at].iter().any(|(other, _)| other == name) {
                return Err(Error::invalid(format!("queue {name:?} is named twice")));
            }
        }
        match self.handler.take() {
            None => Err(Error::invalid(
                "the pool has no handler: handle or handle_batch sets one",
            )),
            Some(Handler::Many { most: 0, .. }) => Err(Error::invalid(
                "handle_batch: most is 0: no message would fit",
            )),
            Some(handler) => Ok(handler),
        }
    }
}

impl fmt::Debug for WorkerPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPoolBuilder")
            .field("queues", &self.queues)
            .field("threads", &self.threads)
            .field("prefetch", &self.prefetch)
            .field("settings", &self.settings)
            .field("poll_only", &self.poll_only)
            .field("retry", &self.retry)
            .field("done", &self.done)
            .field("handler", &self.handler)
            .finish_non_exhaustive()
    }
}
