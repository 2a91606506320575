//! Calls that end when all goes well: a test that waits for one fails after a minute, instead
//! of hanging.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::{Report, Result, WorkerPool, WorkerPoolBuilder};

const MINUTE: Duration = Duration::from_secs(60);

/// Work on a thread of its own, which nobody waits for too long.
pub(crate) struct Begun<T>(Receiver<T>);

/// Begins work on a thread of its own.
pub(crate) fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Begun<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        // A test that has failed does not wait any more.
        let _ = sender.send(work());
    });
    Begun(receiver)
}

impl<T> Begun<T> {
    /// Waits for the end of the work, and returns what it did.
    #[track_caller]
    pub(crate) fn end(self) -> T {
        match self.0.recv_timeout(MINUTE) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => panic!("this should have ended within a minute"),
            Err(RecvTimeoutError::Disconnected) => panic!("the thread's own panic stands above"),
        }
    }
}

/// [`WorkerPoolBuilder::run_until_empty`], within a minute.
#[track_caller]
pub(crate) fn run(pool: WorkerPoolBuilder) -> Result<Report> {
    begin(|| pool.run_until_empty()).end()
}

/// [`WorkerPool::join`], within a minute.
#[track_caller]
pub(crate) fn join(pool: WorkerPool) -> Result<Report> {
    begin(|| pool.join()).end()
}
