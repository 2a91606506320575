//! What the cases of the worker pool are told with, besides the scene of all.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::scene::*;
pub(super) use crate::in_time::begin;
use pgqrs::{
    Context, Handled, Message, Report, Result, RetryPolicy, Store, WorkerPool, WorkerPoolBuilder,
};

/// How often an idle pool of these cases looks, where nobody wakes it.
pub(super) const OFTEN: Duration = Duration::from_millis(5);

impl<S: Store + Clone + 'static> Tasks<S> {
    /// A pool on the queue: its leases do not run out unless the clock is moved, and what
    /// failed comes again after an hour.
    pub(super) fn pool(&self) -> WorkerPoolBuilder {
        WorkerPool::builder(self.store.clone(), &self.name)
            .lock_time(HOUR)
            .poll_interval(OFTEN)
            .retry(RetryPolicy::fixed(HOUR))
    }
}

/// A handler that finishes all it gets.
pub(super) fn fine(_: Message, _: &Context<'_>) -> Handled {
    Ok(())
}

/// [`WorkerPoolBuilder::run_until_empty`], within a minute.
#[track_caller]
pub(super) fn run(pool: WorkerPoolBuilder) -> Result<Report> {
    begin(|| pool.run_until_empty()).end()
}

/// [`WorkerPool::join`], within a minute.
#[track_caller]
pub(super) fn join(pool: WorkerPool) -> Result<Report> {
    begin(|| pool.join()).end()
}

/// Waits until the pool's numbers are as wanted.
#[track_caller]
pub(super) fn wait(pool: &WorkerPool, wanted: impl Fn(&Report) -> bool) {
    let counters = pool.counters();
    assert!(counters.wait(MINUTE, wanted), "{:?}", counters.read());
}

/// Waits until the fetching thread has done all that there was to do, and lies down.
#[track_caller]
pub(super) fn sleeps_again(pool: &WorkerPool) {
    let before = pool.counters().read().asleep;
    wait(pool, |seen| seen.asleep > before);
}

/// Everything fetched is accounted for.
#[track_caller]
pub(super) fn assert_adds_up(report: &Report) {
    assert_eq!(report.fetched, report.settled(), "{report}");
}

/// Where handlers wait until the case lets them go; after a minute they panic.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(super) fn pass(&self) {
        let (open, opened) = &*self.0;
        let guard = open.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, waited) = opened
            .wait_timeout_while(guard, MINUTE, |open| !*open)
            .unwrap_or_else(PoisonError::into_inner);
        drop(guard);
        assert!(!waited.timed_out(), "nobody opened the gate");
    }

    pub(super) fn open(&self) {
        let (open, opened) = &*self.0;
        *open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        opened.notify_all();
    }
}

/// What handlers note, in order.
#[derive(Clone)]
pub(super) struct Notes<T>(Sender<T>);

/// What was noted.
pub(super) struct Noted<T>(Receiver<T>);

pub(super) fn notes<T>() -> (Notes<T>, Noted<T>) {
    let (sender, receiver) = channel();
    (Notes(sender), Noted(receiver))
}

impl<T> Notes<T> {
    pub(super) fn note(&self, what: T) {
        // A case that has failed does not read any more.
        let _ = self.0.send(what);
    }
}

impl<T> Noted<T> {
    /// All that was noted and not read yet.
    pub(super) fn all(&self) -> Vec<T> {
        self.0.try_iter().collect()
    }

    /// The next note; waits for it.
    #[track_caller]
    pub(super) fn next(&self) -> T {
        match self.0.recv_timeout(MINUTE) {
            Ok(what) => what,
            Err(RecvTimeoutError::Timeout) => panic!("nothing was noted for a minute"),
            Err(RecvTimeoutError::Disconnected) => panic!("nobody is left to note anything"),
        }
    }
}
