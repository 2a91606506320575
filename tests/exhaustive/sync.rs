//! What `src/sync.rs` names, by `loom`'s means: each lock is a place where another thread may
//! go first. And with faults in it, which are those that the code above could have.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, LockResult};

pub(crate) use loom::sync::{Mutex, MutexGuard};

/// What could be wrong with who hands messages out, or takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slip {
    /// Who catches the baton does not throw it on while there is more.
    NotThrownOn,
    /// It is thrown, and nobody is woken by it.
    NobodyWoken,
    /// It is thrown before the messages are there.
    ThrownBeforeThePush,
    /// The end wakes one thread only.
    EndWakesOne,
}

thread_local! {
    /// Of all that is done on this thread of the system's: loom's threads are all on one.
    static SLIP: Cell<Option<Slip>> = const { Cell::new(None) };
    /// Whether what was sent has arrived.
    static PUSHED: Cell<bool> = const { Cell::new(true) };
}

/// A batch is on its way.
pub(crate) fn push_later() {
    PUSHED.set(!is(Slip::ThrownBeforeThePush));
}

/// Now it is there.
pub(crate) fn push_now() {
    if !PUSHED.get() {
        loom::thread::yield_now();
        PUSHED.set(true);
    }
}

pub(crate) fn set_slip(slip: Option<Slip>) {
    SLIP.set(slip);
    PUSHED.set(true);
}

fn is(slip: Slip) -> bool {
    SLIP.get() == Some(slip)
}

#[derive(Default)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    pub(crate) fn notify_one(&self) {
        if !is(Slip::NobodyWoken) {
            self.0.notify_one();
        }
    }

    pub(crate) fn notify_all(&self) {
        if is(Slip::EndWakesOne) {
            self.0.notify_one();
        } else {
            self.0.notify_all();
        }
    }
}

type Queue<T> = Arc<Mutex<VecDeque<T>>>;

/// A channel that nobody waits for: each call happens at one moment, as crossbeam's do.
pub(crate) struct Sender<T>(Queue<T>);

pub(crate) struct Receiver<T>(Queue<T>);

pub(crate) fn bounded<T>(_: usize) -> (Sender<T>, Receiver<T>) {
    let queue = Queue::default();
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, value: T) -> Result<(), ()> {
        self.0.lock().unwrap().push_back(value);
        Ok(())
    }
}

impl<T> Receiver<T> {
    pub(crate) fn try_recv(&self) -> Result<T, ()> {
        let mut queue = self.0.lock().unwrap();
        let first = PUSHED.get().then(|| queue.pop_front()).flatten();
        first.ok_or(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        is(Slip::NotThrownOn) || !PUSHED.get() || self.0.lock().unwrap().is_empty()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
