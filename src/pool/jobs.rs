//! The way from the fetch thread to the handlers: a channel of messages, and a baton.
//!
//! A channel wakes a sleeping receiver for every send. With many threads and quick handlers
//! that is a switch of threads per message, when one thread could have done them all. So
//! idle threads wait for the baton instead: the fetch thread throws it after a batch, and who
//! catches it takes a message and throws it on if there are more. However many threads there
//! are, only as many wake as find work.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, select_biased};

use super::held::Held;
use crate::message::Message;
use crate::stop::StopHandle;

/// A message on its way to a handler.
pub(super) type Job = (Arc<Held>, Message);

/// The fetch thread's end. Dropping it ends the handlers.
pub(super) struct JobSender {
    jobs: Sender<Job>,
    throw: Sender<()>,
}

/// A handler thread's end.
#[derive(Clone)]
pub(super) struct JobReceiver {
    jobs: Receiver<Job>,
    throw: Sender<()>,
    baton: Receiver<()>,
}

/// A channel with room for so many messages.
pub(super) fn channel(capacity: usize) -> (JobSender, JobReceiver) {
    let (sender, jobs) = bounded(capacity);
    let (throw, baton) = bounded(1);
    let receiver = JobReceiver {
        jobs,
        throw: throw.clone(),
        baton,
    };
    let jobs = sender;
    (JobSender { jobs, throw }, receiver)
}

impl JobSender {
    /// Hands messages out; waits if there is no room.
    pub(super) fn send_all(&self, jobs: impl Iterator<Item = Job>) {
        for job in jobs {
            // While there is a sender the pool has a receiver.
            let _ = self.jobs.send(job);
        }
        // If it is in the air already, its catcher will find these.
        let _ = self.throw.try_send(());
    }
}

impl JobReceiver {
    /// Waits for a message; `None` once the fetch thread has ended and nothing is left.
    pub(super) fn recv(&self, stop: &StopHandle) -> Option<Job> {
        loop {
            match self.jobs.try_recv() {
                Ok(job) => return Some(job),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            select_biased! {
                // Nobody throws any more: what is left comes by the channel, and then its end.
                recv(stop.stopped()) -> _ => return self.jobs.recv().ok(),
                recv(self.baton) -> _ => {}
            }
            if let Ok(job) = self.jobs.try_recv() {
                if !self.jobs.is_empty() {
                    let _ = self.throw.try_send(());
                }
                return Some(job);
            }
        }
    }

    /// Takes a message if one is there.
    pub(super) fn try_recv(&self) -> Option<Job> {
        self.jobs.try_recv().ok()
    }
}
