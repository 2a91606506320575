//! The thread that settles: what the handlers finished, in batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select_biased};

use super::backoff::Backoff;
use super::held::Held;
use super::{LAST_SETTLEMENT, SETTLE_BATCH, Shared};
use crate::error::ErrorKind;
use crate::message::{Outcome, Settlement};

/// How long the first outcome waits for others while handlers are at work.
const LINGER: Duration = Duration::from_millis(2);

/// How long to go on trying after a stop, at least.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longer reasons are cut: they are for people.
const LONGEST_REASON: usize = 10_000;

/// A message that is to be settled.
#[derive(Debug)]
pub(super) struct Finished {
    held: Arc<Held>,
    outcome: Outcome,
    reason: Option<String>,
}

impl Finished {
    pub(super) fn new(held: Arc<Held>, outcome: Outcome, reason: Option<String>) -> Self {
        let outcome = match outcome {
            Outcome::DeadLetter(reason) => Outcome::DeadLetter(cut(reason)),
            other => other,
        };
        Self {
            held,
            outcome,
            reason: reason.map(cut),
        }
    }

    /// Whether its handler has done what is left to do.
    fn is_settled(&self) -> bool {
        let done = matches!(self.outcome, Outcome::Archive | Outcome::Delete);
        done && self.held.is_settled()
    }

    /// A message that no handler has seen: it is given back as it came.
    pub(super) fn unstarted(held: Arc<Held>) -> Self {
        let outcome = Outcome::Release {
            delay: Duration::ZERO,
            charged: false,
        };
        Self::new(held, outcome, None)
    }
}

fn cut(mut reason: String) -> String {
    if reason.len() > LONGEST_REASON {
        let end = (0..=LONGEST_REASON)
            .rev()
            .find(|at| reason.is_char_boundary(*at));
        reason.truncate(end.unwrap_or(0));
        reason.push('…');
    }
    reason
}

/// Runs until the handlers and the fetch thread have dropped their ends of the channel, or
/// until they are abandoned.
pub(super) fn run(shared: &Shared, finished: &Receiver<Finished>) {
    let mut settler = Settler::new(shared);
    let mut batch = Vec::with_capacity(SETTLE_BATCH);
    while !settler.gave_up {
        select_biased! {
            recv(shared.abandon.stopped()) -> _ => {
                // Handlers are not waited for; what none has begun is still given back.
                shared.drained.wait_timeout(LAST_SETTLEMENT);
                settler.left.extend(finished.try_iter());
                break;
            }
            recv(finished) -> first => match first {
                Ok(first) => batch.push(first),
                Err(_) => break,
            }
        }
        collect(shared, finished, &mut batch);
        settler.settle(&mut batch);
        // There is room for others now; and whoever waits for the end may look.
        shared.room.ring();
    }
    // Once more what was refused, and what came at the last moment.
    let mut left = std::mem::take(&mut settler.left);
    settler.settle(&mut left);
    shared.abandon_the_rest();
    shared.settled.stop();
}

/// Gathers what is there; and what comes within a moment, if something can.
fn collect(shared: &Shared, finished: &Receiver<Finished>, batch: &mut Vec<Finished>) {
    let deadline = Instant::now() + LINGER;
    while batch.len() < SETTLE_BATCH {
        if let Ok(more) = finished.try_recv() {
            batch.push(more);
        } else if shared.unfinished.load(Ordering::SeqCst) == 0 {
            return;
        } else if let Ok(more) = finished.recv_deadline(deadline) {
            batch.push(more);
        } else {
            return;
        }
    }
}

pub(super) struct Settler<'a> {
    shared: &'a Shared,
    backoff: Backoff,
    /// When trying began to have an end.
    stopped: Option<Instant>,
    /// What the store refused for a reason that trying again does not help: the pool ends by
    /// it, and tries once more then.
    left: Vec<Finished>,
    /// Whether there is no more trying.
    gave_up: bool,
}

impl<'a> Settler<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            backoff: Backoff::new("settle"),
            stopped: None,
            left: Vec::new(),
            gave_up: false,
        }
    }

    /// Settles a batch, however often that has to be tried, unless it gives up.
    fn settle(&mut self, batch: &mut Vec<Finished>) {
        let mut queues: BTreeMap<i64, Vec<Finished>> = BTreeMap::new();
        for finished in batch.drain(..) {
            if finished.is_settled() {
                self.tell(&finished, true, false);
                self.shared.holding.remove([&finished.held].into_iter());
                continue;
            }
            let queue = finished.held.queue.id;
            queues.entry(queue).or_default().push(finished);
        }
        for (queue_id, part) in queues {
            self.settle_in(queue_id, part);
        }
    }

    fn settle_in(&mut self, queue_id: i64, mut batch: Vec<Finished>) {
        let mut unknown = false;
        while !batch.is_empty() && !self.gave_up {
            if let Some(pause) = self.try_once(queue_id, &mut batch, &mut unknown) {
                self.gave_up = !self.goes_on_after(pause);
            }
        }
    }

    /// Sends a batch of a queue, and leaves what is to be sent once more; after the pause, if
    /// there is one. `unknown`: whether a try before may have been carried out.
    pub(super) fn try_once(
        &mut self,
        queue_id: i64,
        batch: &mut Vec<Finished>,
        unknown: &mut bool,
    ) -> Option<Duration> {
        let settlements: Vec<Settlement> = batch
            .iter()
            .map(|finished| Settlement {
                receipt: finished.held.receipt(),
                outcome: finished.outcome.clone(),
            })
            .collect();
        match self.shared.store.settle(queue_id, &settlements) {
            Ok(answers) => {
                self.backoff.succeeded(self.shared);
                let sent = std::mem::take(batch);
                *batch = self.note(sent, &settlements, &answers, *unknown);
                None
            }
            Err(error) if error.is_transient() => {
                *unknown |= error.kind() == ErrorKind::FateUnknown;
                Some(self.backoff.failed(self.shared, &error))
            }
            Err(error) => {
                self.shared.fail(error);
                self.left.append(batch);
                None
            }
        }
    }

    /// Takes the answers in; returns what is to be settled once more, because its message was
    /// delivered anew meanwhile.
    fn note(
        &self,
        batch: Vec<Finished>,
        settlements: &[Settlement],
        answers: &[bool],
        unknown: bool,
    ) -> Vec<Finished> {
        let mut settled = Vec::with_capacity(batch.len());
        let mut again = Vec::new();
        for ((finished, settlement), done) in batch.into_iter().zip(settlements).zip(answers) {
            if !done && finished.held.receipt() != settlement.receipt {
                again.push(finished);
            } else {
                self.tell(&finished, *done, unknown);
                settled.push(finished);
            }
        }
        let held = settled.iter().map(|finished| &finished.held);
        self.shared.holding.remove(held);
        again
    }

    fn tell(&self, finished: &Finished, done: bool, unknown: bool) {
        if !finished.held.account() {
            return; // too late: it was counted as abandoned
        }
        let told = &self.shared.reporter;
        let delivery = finished.held.delivery();
        let reason = finished.reason.as_deref().unwrap_or_default();
        match &finished.outcome {
            _ if !done && unknown => told.tell(|events| events.fate_unknown(&delivery)),
            _ if !done => told.tell(|events| events.lease_lost(&delivery)),
            Outcome::Archive | Outcome::Delete => told.tell(|events| events.finished(&delivery)),
            Outcome::Release { charged: false, .. } => {
                told.tell(|events| events.given_back(&delivery));
            }
            Outcome::Release { delay, .. } => {
                told.tell(|events| events.retried(&delivery, *delay, reason));
            }
            Outcome::DeadLetter(reason) => {
                told.tell(|events| events.dead_lettered(&delivery, reason));
            }
        }
    }

    /// Waits before the next try; `false` if there is to be none.
    fn goes_on_after(&mut self, pause: Duration) -> bool {
        if self.shared.is_stopping() {
            let since = *self.stopped.get_or_insert_with(Instant::now);
            if since.elapsed() > self.shared.lock_time.max(PATIENCE) {
                return false;
            }
        }
        !self.shared.abandon.wait_timeout(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        let long = cut("é".repeat(LONGEST_REASON));
        assert_eq!(long.chars().count(), LONGEST_REASON / 2 + 1);
        let odd = cut(format!("x{}", "é".repeat(LONGEST_REASON)));
        assert!(odd.ends_with("é…") && odd.len() <= LONGEST_REASON + 3);
    }
}
