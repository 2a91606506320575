//! Settings of one consumer.

use std::env;
use std::path::PathBuf;
use std::process;
use std::time::Duration;

use super::Consumer;
use crate::error::Result;
use crate::settings::Settings;
use crate::stop::StopHandle;
use crate::store::Store;

/// Makes a [`Consumer`] with settings of its own.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use pgqrs::{Consumer, MockStore, Store};
/// # let store = MockStore::new();
/// # store.create_queue("tasks")?;
/// let consumer = Consumer::builder(store, "tasks")
///     .lock_time(Duration::from_secs(60))
///     .batch(10)
///     .name("mailer 3")
///     .build()?;
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ConsumerBuilder<S> {
    store: S,
    queue: String,
    settings: Settings,
    name: Option<String>,
}

impl<S: Store> Consumer<S> {
    /// Starts a consumer of the queue of this name, with settings of its own.
    pub fn builder(store: S, queue: &str) -> ConsumerBuilder<S> {
        ConsumerBuilder {
            settings: store.settings().clone(),
            store,
            queue: queue.to_owned(),
            name: None,
        }
    }
}

impl<S: Store> ConsumerBuilder<S> {
    /// Sets how long a dequeued message is hidden from other consumers. Not zero; cut to
    /// [`MAX_SPAN`](crate::MAX_SPAN).
    ///
    /// Defaults to the store's setting, which defaults to 5 seconds.
    pub fn lock_time(mut self, lock_time: Duration) -> Self {
        self.settings.lock_time = lock_time;
        self
    }

    /// Sets how many messages `dequeue` and `iter` take at most: 1 to `i32::MAX`.
    ///
    /// Defaults to the store's setting, which defaults to 100.
    pub fn batch(mut self, batch: usize) -> Self {
        self.settings.batch = batch;
        self
    }

    /// Sets the pause between two looks at an empty queue. Not zero.
    ///
    /// Defaults to the store's setting, which defaults to 250 milliseconds.
    pub fn poll_interval(mut self, poll_interval: Duration) -> Self {
        self.settings.poll_interval = poll_interval;
        self
    }

    /// Sets what people are shown as the holder of this consumer's leases.
    ///
    /// Defaults to the program's name and process id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Registers the consumer with the store.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a setting that breaks its rule;
    /// [`UnknownQueue`](crate::ErrorKind::UnknownQueue); and the store's.
    pub fn build(self) -> Result<Consumer<S>> {
        self.settings.check()?;
        let queue = self.store.queue(&self.queue)?;
        let name = self.name.unwrap_or_else(program);
        let worker = self.store.register_worker(queue.id, &name)?;
        Ok(Consumer {
            store: self.store,
            queue,
            worker,
            settings: self.settings,
            stop: StopHandle::new(),
        })
    }
}

/// "program:pid", for people.
fn program() -> String {
    let path = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    format!("{stem}:{}", process::id())
}
