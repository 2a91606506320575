//! The signal that ends waiting.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

/// Tells a consumer or a pool to stop: [`Consumer::poll`](crate::Consumer::poll) returns,
/// [`Consumer::iter`](crate::Consumer::iter) ends, a [`WorkerPool`](crate::WorkerPool)
/// starts nothing any more.
///
/// Clones are the same handle and can be sent to other threads, for example to a signal
/// handler's. There is no way back: who goes on is a new consumer, or a new pool.
///
/// # Examples
///
/// ```
/// # use std::{thread, time::Duration};
/// # use pgqrs::{Consumer, MockStore, Store};
/// # let store = MockStore::new();
/// # store.create_queue("tasks")?;
/// let consumer = Consumer::new(store, "tasks")?;
/// let stop = consumer.stop_handle();
/// thread::spawn(move || stop.stop());
/// assert_eq!(consumer.iter().count(), 0); // without the stop it would wait for ever
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StopHandle {
    /// Nothing is ever sent: dropping the sender wakes every receiver, for good.
    running: Arc<Mutex<Option<Sender<Infallible>>>>,
    stopped: Receiver<Infallible>,
}

impl StopHandle {
    /// Makes a handle that nobody listens to yet; for
    /// [`WorkerPoolBuilder::stop_with`](crate::WorkerPoolBuilder::stop_with).
    #[must_use]
    pub fn new() -> Self {
        let (sender, stopped) = bounded(0);
        Self {
            running: Arc::new(Mutex::new(Some(sender))),
            stopped,
        }
    }

    /// Asks for the stop; does not wait for it. More than once is fine.
    pub fn stop(&self) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Whether somebody asked for the stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Waits for the stop.
    pub fn wait(&self) {
        // Nothing is ever received.
        let _ = self.stopped.recv();
    }

    /// Waits for the stop, but at most this long; returns whether it came.
    pub fn wait_timeout(&self, at_most: Duration) -> bool {
        self.stopped.recv_timeout(at_most) == Err(RecvTimeoutError::Disconnected)
    }

    /// Disconnects when the stop comes, and never receives anything.
    pub(crate) fn stopped(&self) -> &Receiver<Infallible> {
        &self.stopped
    }
}

impl Default for StopHandle {
    fn default() -> Self {
        Self::new()
    }
}
