//! Calls that end when all goes well: a test that waits for one fails after a minute, instead of
//! hanging.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use pgqrs::{Consumer, MockStore, Producer, Store};
//! use pgqrs_testing::in_time::begin;
//!
//! let store = MockStore::new();
//! store.create_queue("tasks")?;
//! let consumer = Consumer::new(store.clone(), "tasks")?;
//! let waiting = begin(move || consumer.poll(1, Duration::from_secs(3_600)));
//! Producer::new(store, "tasks")?.enqueue("work")?;
//! assert_eq!(waiting.end()?.len(), 1);
//! # Ok::<(), pgqrs::Error>(())
//! ```

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Work on a thread of its own, which nobody waits for too long.
#[derive(Debug)]
pub struct Begun<T>(Receiver<T>);

/// Begins work on a thread of its own.
pub fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Begun<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        // A test that has failed does not wait any more.
        let _ = sender.send(work());
    });
    Begun(receiver)
}

impl<T> Begun<T> {
    /// Waits for the end of the work, and returns what it did.
    ///
    /// # Panics
    ///
    /// If the work takes longer than a minute, or panics.
    #[track_caller]
    pub fn end(self) -> T {
        match self.0.recv_timeout(MINUTE) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => panic!("this should have ended within a minute"),
            Err(RecvTimeoutError::Disconnected) => panic!("the thread's own panic stands above"),
        }
    }
}
