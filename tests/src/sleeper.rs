//! A pool that sleeps until it is woken.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use pgqrs::{Context, Store, WorkerPool, WorkerPoolBuilder};
use pgqrs_test_support::MINUTE;
use serde_json::Value;

use crate::told::Told;

/// No pool looks by itself within this.
const NEVER: Duration = Duration::from_secs(3_600);

/// A pool on the queue "tasks" that only a notification wakes.
pub struct Sleeper {
    pub pool: WorkerPool,
    pub told: Told,
    handled: Receiver<Value>,
}

impl Sleeper {
    /// Starts it, and waits until it sleeps.
    #[track_caller]
    pub fn on(store: &(impl Store + Clone + 'static)) -> Self {
        Self::with(store, |pool| pool)
    }

    #[track_caller]
    pub fn with(
        store: &(impl Store + Clone + 'static),
        set: impl FnOnce(WorkerPoolBuilder) -> WorkerPoolBuilder,
    ) -> Self {
        let (sender, handled) = channel();
        let told = Told::default();
        let pool = WorkerPool::builder(store.clone(), "tasks")
            .threads(2)
            .poll_interval(NEVER)
            .lock_time(MINUTE)
            .events(told.clone())
            .handle(move |payload: Value, _: &Context| {
                sender.send(payload)?;
                Ok(())
            });
        let pool = set(pool).start().unwrap();
        told.armed();
        Self {
            pool,
            told,
            handled,
        }
    }

    /// Waits for the next message, and until the pool sleeps again.
    #[track_caller]
    pub fn next(&self) -> Value {
        match self.handled.recv_timeout(MINUTE) {
            Ok(payload) => {
                self.told.armed();
                payload
            }
            Err(RecvTimeoutError::Timeout) => panic!("nobody woke the pool"),
            Err(RecvTimeoutError::Disconnected) => panic!("the pool has ended"),
        }
    }

    /// Whether nothing was handled that was not asked for.
    pub fn is_idle(&self) -> bool {
        self.handled.try_recv().is_err()
    }
}
