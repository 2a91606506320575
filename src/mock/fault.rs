//! Faults on demand.

use std::collections::{BTreeMap, VecDeque};

use crate::error::{Error, ErrorKind, Result};
use crate::message::{Outcome, Settlement};

/// The calls that [`MockStore::fail_next`](crate::MockStore::fail_next) can make fail: the
/// methods of [`Store`](crate::Store), with `settle` named by its outcome. Calls within a
/// transaction count as the same call outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs)] // each is named as the method
pub enum Call {
    CreateQueue,
    Queue,
    Queues,
    DeleteQueue,
    Purge,
    Counts,
    RegisterWorker,
    Enqueue,
    Dequeue,
    ExtendVisibility,
    Archive,
    Delete,
    /// Releases and retries.
    Release,
    DeadLetter,
}

/// What is still to go wrong.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<Call, VecDeque<ErrorKind>>);

/// What a call that is to lose its answer returns in the end.
pub(super) type LostAnswer = Option<Error>;

impl Faults {
    pub(super) fn add(&mut self, call: Call, kind: ErrorKind) {
        self.0.entry(call).or_default().push_back(kind);
    }

    /// Fails the call if that was asked for, or says that its answer is to be lost.
    pub(super) fn take(&mut self, call: Call) -> Result<LostAnswer> {
        let Some(kind) = self.0.get_mut(&call).and_then(VecDeque::pop_front) else {
            return Ok(None);
        };
        let error = Error::new(kind, format!("{call:?} was asked to fail: {kind:?}"));
        match kind {
            ErrorKind::FateUnknown => Ok(Some(error)),
            _ => Err(error),
        }
    }

    /// The same for settlements, by the outcomes among them.
    pub(super) fn take_for(&mut self, settlements: &[Settlement]) -> Result<LostAnswer> {
        for settlement in settlements {
            let call = match settlement.outcome {
                Outcome::Archive => Call::Archive,
                Outcome::Delete => Call::Delete,
                Outcome::Release { .. } => Call::Release,
                Outcome::DeadLetter(_) => Call::DeadLetter,
            };
            if let Some(lost) = self.take(call)? {
                return Ok(Some(lost));
            }
        }
        Ok(None)
    }
}

/// Answers, unless the answer is to be lost.
pub(super) fn answer<T>(lost: LostAnswer, value: T) -> Result<T> {
    lost.map_or(Ok(value), Err)
}
