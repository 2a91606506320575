//! The pool on the in-memory store: what only that store can show, by its views, its faults
//! and its clock. What holds on every store is in the conformance suite.

mod crash;
mod fault;
mod hook;
mod interleaved;
mod lease;
mod reason;
mod wake;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgqrs_testing::in_time::begin;

use super::*;
use crate::error::ErrorKind;
use crate::mock::{Call, MockStore};
use crate::{Consumer, Delivery, Events, Message, Producer};

use self::hook::{Hooked, Hooks};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A store with the queue "tasks", and its producer.
fn tasks() -> (MockStore, Producer<MockStore>) {
    let store = MockStore::new();
    store.create_queue("tasks").unwrap();
    let producer = Producer::new(store.clone(), "tasks").unwrap();
    (store, producer)
}

/// A pool that looks only when it is woken, whose leases do not run out, and which retries at
/// once.
fn pool(store: impl Store + 'static) -> WorkerPoolBuilder {
    WorkerPool::builder(store, "tasks")
        .lock_time(HOUR)
        .poll_interval(HOUR)
        .retry(RetryPolicy::fixed(Duration::ZERO))
        .threads(2)
}

fn consumer(store: &MockStore) -> Consumer<MockStore> {
    let consumer = Consumer::builder(store.clone(), "tasks").lock_time(HOUR);
    consumer.build().unwrap()
}

fn fine(_: Message, _: &Context<'_>) -> Handled {
    Ok(())
}

/// Waits until the pool's numbers are as wanted.
#[track_caller]
fn wait(pool: &WorkerPool, wanted: impl Fn(&Report) -> bool) {
    let counters = pool.counters();
    assert!(counters.wait(MINUTE, wanted), "{:?}", counters.read());
}

/// [`WorkerPoolBuilder::run_until_empty`], within a minute.
#[track_caller]
fn run(pool: WorkerPoolBuilder) -> Result<Report> {
    begin(|| pool.run_until_empty()).end()
}

/// [`WorkerPool::join`], within a minute.
#[track_caller]
fn join(pool: WorkerPool) -> Result<Report> {
    begin(|| pool.join()).end()
}

/// Stops a pool, and returns what it did.
#[track_caller]
fn end(pool: WorkerPool) -> Report {
    pool.stop();
    let report = join(pool).unwrap();
    assert_eq!(report.fetched, report.settled(), "{report}");
    report
}

/// Notes what is told of calls that fail, of wake-ups, and of unknown fates.
struct Recorder(Sender<String>);

impl Recorder {
    fn new() -> (Self, Receiver<String>) {
        let (sender, receiver) = channel();
        (Self(sender), receiver)
    }

    fn note(&self, text: String) {
        let _ = self.0.send(text);
    }
}

impl Events for Recorder {
    fn reconnecting(&self, doing: &str, error: &Error, pause: Duration) {
        assert!(!pause.is_zero() && error.is_transient());
        self.note(format!("{doing} fails: {:?}", error.kind()));
    }
    fn reconnected(&self, doing: &str) {
        self.note(format!("{doing} works"));
    }
    fn asleep(&self, woken: bool) {
        self.note(format!("asleep, woken: {woken}"));
    }
    fn fate_unknown(&self, delivery: &Delivery<'_>) {
        self.note(format!("fate unknown: {}", delivery.attempt));
    }
}

/// What was noted so far, but sleep.
fn awake(noted: &Receiver<String>) -> Vec<String> {
    let noted = noted.try_iter();
    noted.filter(|text| !text.starts_with("asleep")).collect()
}

/// A gate, closed until [`open`]ed (or until the sender is dropped), for any number of threads.
fn gate() -> (Sender<()>, impl Fn() + Clone + Send + Sync + 'static) {
    let (open, opened): (Sender<()>, Receiver<()>) = channel();
    let opened = Arc::new(Mutex::new(Some(opened)));
    let pass = move || {
        let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = opened.take()
            && receiver.recv_timeout(MINUTE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            panic!("nobody opened the gate");
        }
    };
    (open, pass)
}

/// Opens a gate.
fn open(gate: Sender<()>) {
    drop(gate);
}
