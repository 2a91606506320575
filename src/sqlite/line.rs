//! The line of those who want to write, and the transactions that they share.
//!
//! SQLite has one writer at a time, and a commit that is flushed takes as long for one change
//! as for many. So calls of several threads are carried out in one transaction: each puts its
//! work in the line, and the first of them, the leader, does the work of all who stand there,
//! commits, and tells each its answer; whoever came meanwhile is led by the next one. Nobody
//! waits for anybody else while the line is empty, and there is no thread for it. Who comes
//! first is served first.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Sender, bounded};
use rusqlite::Connection;

use super::fault::Work;
use super::writer::Writer;
use crate::error::{Error, ErrorKind, Result};

/// How many calls share a transaction at most: other processes are to have their turn as well.
const MOST: usize = 64;

/// Whether a call has to be on the disk when it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    /// What is confirmed must not be lost.
    Yes,
    /// A lease that is lost in a crash of the machine only means a second delivery.
    No,
}

/// What a call does. It leaves its answer with the caller, and says here only what went wrong.
type Task = Box<dyn FnOnce(&Connection) -> Work<()> + Send>;

/// A call's work, and whoever waits for its end.
pub(super) struct Job {
    work: Task,
    /// What is to be said of it: "archive messages".
    doing: &'static str,
    pub(super) flush: Flush,
    /// When it came into the line.
    pub(super) came: Instant,
    caller: Sender<Call>,
}

/// What those who wait are called for.
enum Call {
    /// It is the first now.
    Lead,
    Done(Result<()>),
}

impl Job {
    pub(super) fn answer(self, result: Result<()>) {
        answer(&self.caller, result);
    }

    /// Takes the work out, and leaves the means to answer.
    pub(super) fn split(self) -> (Task, Waiting) {
        let waiting = Waiting {
            doing: self.doing,
            caller: self.caller,
        };
        (self.work, waiting)
    }
}

/// A call whose work was begun.
pub(super) struct Waiting {
    pub(super) doing: &'static str,
    caller: Sender<Call>,
}

impl Waiting {
    pub(super) fn answer(self, result: Result<()>) {
        answer(&self.caller, result);
    }
}

fn answer(caller: &Sender<Call>, result: Result<()>) {
    // The caller is there until it is told.
    let _ = caller.send(Call::Done(result));
}

pub(super) struct Line {
    standing: Mutex<Standing>,
    /// Only the leader has it.
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Standing {
    jobs: VecDeque<Job>,
    /// Somebody leads, or was called to.
    is_led: bool,
}

impl Line {
    pub(super) fn new(writer: Writer) -> Self {
        Self {
            standing: Mutex::default(),
            writer: Mutex::new(writer),
        }
    }

    /// Has the work done in a transaction, and returns its answer once that has committed.
    pub(super) fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        flush: Flush,
        work: impl FnOnce(&Connection) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        let answer = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&answer);
        let work = move |db: &Connection| {
            let value = work(db)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            Ok(())
        };
        // Room for both calls: nobody waits for a caller.
        let (caller, calls) = bounded(2);
        let job = Job {
            work: Box::new(work),
            doing,
            flush,
            came: Instant::now(),
            caller,
        };
        let leads = {
            let mut standing = self.standing();
            standing.jobs.push_back(job);
            !std::mem::replace(&mut standing.is_led, true)
        };
        if leads {
            self.lead();
        }
        let result = loop {
            match calls.recv() {
                Ok(Call::Lead) => self.lead(),
                Ok(Call::Done(result)) => break result,
                Err(_) => return Err(panicked()),
            }
        };
        result?;
        let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.take().ok_or_else(panicked)
    }

    /// Does what stands in the line, and has the next one lead.
    fn lead(&self) {
        let relay = Relay(self);
        let jobs = {
            let mut standing = self.standing();
            let count = standing.jobs.len().min(MOST);
            standing.jobs.drain(..count).collect()
        };
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transacted = catch_unwind(AssertUnwindSafe(|| writer.transact(jobs)));
        let not_begun: Vec<Job> = transacted.unwrap_or_else(|panic| {
            // Or no other process could write before this one does again.
            writer.roll_back();
            resume_unwind(panic)
        });
        drop(writer);
        let mut standing = self.standing();
        for job in not_begun.into_iter().rev() {
            standing.jobs.push_front(job);
        }
        drop(standing);
        drop(relay);
    }

    /// Does what cannot be done in a transaction.
    pub(super) fn with_writer<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        work(writer.db())
    }

    /// How many stand in the line behind somebody who leads; none if nobody does.
    #[cfg(test)]
    pub(super) fn behind(&self) -> Option<usize> {
        let standing = self.standing();
        standing.is_led.then_some(standing.jobs.len())
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes the lead on when it is dropped, also in a panic.
struct Relay<'a>(&'a Line);

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        let mut standing = self.0.standing();
        match standing.jobs.front() {
            Some(next) => drop(next.caller.send(Call::Lead)),
            None => standing.is_led = false,
        }
    }
}

fn panicked() -> Error {
    let text = "the thread that did the work of this call with its own panicked";
    Error::new(ErrorKind::FateUnknown, text)
}
