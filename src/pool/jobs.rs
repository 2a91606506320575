//! The way from the fetch thread to the handlers: a channel of messages, and a baton.
//!
//! A channel wakes a sleeping receiver for every send. With many threads and quick handlers
//! that is a switch of threads per message, when one thread could have done them all. So
//! idle threads wait for the baton instead: the fetch thread throws it after a batch, and who
//! catches it takes a message and throws it on if there are more. However many threads there
//! are, only as many wake as find work.

use std::sync::{Arc, PoisonError};

use crate::sync::{Condvar, Mutex, MutexGuard, Receiver, Sender, bounded};

/// The fetch thread's end. Dropping it ends the handlers.
pub(super) struct JobSender<J> {
    jobs: Sender<J>,
    baton: Arc<Baton>,
}

/// A handler thread's end.
pub(super) struct JobReceiver<J> {
    jobs: Receiver<J>,
    baton: Arc<Baton>,
}

/// A channel with room for so many messages.
pub(super) fn channel<J>(capacity: usize) -> (JobSender<J>, JobReceiver<J>) {
    let (sender, receiver) = bounded(capacity);
    let baton = Arc::new(Baton::default());
    let jobs = JobReceiver {
        jobs: receiver,
        baton: Arc::clone(&baton),
    };
    (
        JobSender {
            jobs: sender,
            baton,
        },
        jobs,
    )
}

impl<J> JobSender<J> {
    /// Hands messages out; waits if there is no room.
    pub(super) fn send_all(&self, jobs: impl Iterator<Item = J>) {
        for job in jobs {
            // While there is a sender the pool has a receiver.
            let _ = self.jobs.send(job);
        }
        self.baton.throw();
    }
}

impl<J> Drop for JobSender<J> {
    fn drop(&mut self) {
        self.baton.end();
    }
}

impl<J> Clone for JobReceiver<J> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
            baton: Arc::clone(&self.baton),
        }
    }
}

impl<J> JobReceiver<J> {
    /// Waits for a message; `None` once the fetch thread has ended and nothing is left.
    pub(super) fn recv(&self) -> Option<J> {
        loop {
            if let Some(job) = self.try_recv() {
                return Some(job);
            }
            let thrown = self.baton.catch();
            if let Some(job) = self.try_recv() {
                if !self.jobs.is_empty() {
                    self.baton.throw();
                }
                return Some(job);
            }
            if !thrown {
                return None;
            }
        }
    }

    /// Takes a message if one is there.
    pub(super) fn try_recv(&self) -> Option<J> {
        self.jobs.try_recv().ok()
    }
}

/// One for all threads. Not a channel: who waits for one of those first spins for a while,
/// in the hope that it is worth it, and many idle threads spinning are not.
#[derive(Default)]
struct Baton {
    state: Mutex<State>,
    thrown: Condvar,
}

#[derive(Default)]
struct State {
    in_the_air: bool,
    ended: bool,
}

impl Baton {
    /// Has one thread look for messages. If it is in the air already, its catcher will find
    /// them.
    fn throw(&self) {
        let mut state = self.lock();
        if !state.in_the_air {
            state.in_the_air = true;
            self.thrown.notify_one();
        }
    }

    /// Nobody throws it any more.
    fn end(&self) {
        self.lock().ended = true;
        self.thrown.notify_all();
    }

    /// Waits for it; `false` once nobody throws it any more.
    fn catch(&self) -> bool {
        let mut state = self.lock();
        while !state.in_the_air && !state.ended {
            let waited = self.thrown.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.in_the_air = false;
        !state.ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
