//! The threads that run the handler.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::Shared;
use super::context::Context;
use super::handler::{Batch, Failure, HandleMany, HandleOne, Handled, Handler, Then};
use super::held::{Held, Job};
use super::jobs::JobReceiver;
use super::settle::Finished;
use crate::message::{Message, Outcome};

/// One handler thread: until the channel of jobs is closed and empty.
pub(super) fn run(
    shared: &Shared,
    handler: &Handler,
    jobs: &JobReceiver<Job>,
    finished: &Sender<Finished>,
) {
    match handler {
        Handler::One(handler) => {
            while let Some(job) = jobs.recv() {
                let outcome = run_one(shared, handler, job);
                if finished.send(outcome).is_err() {
                    return; // abandoned
                }
            }
        }
        Handler::Many { most, handler } => {
            while let Some(first) = jobs.recv() {
                let mut taken = vec![first];
                while taken.len() < *most
                    && let Some(more) = jobs.try_recv()
                {
                    taken.push(more);
                }
                for outcome in run_many(shared, handler, taken) {
                    if finished.send(outcome).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Whether a message may be started: not if the pool stops, nor if somebody else may have it.
fn begin(shared: &Shared, held: &Held) -> bool {
    let begins = !shared.is_stopping() && held.is_safe();
    if begins {
        shared
            .reporter
            .tell(|events| events.started(&held.delivery()));
    }
    begins
}

pub(super) fn run_one(shared: &Shared, handler: &HandleOne, (held, message): Job) -> Finished {
    let outcome = match begin(shared, &held) {
        false => Finished::unstarted(held),
        true => {
            let context = Context {
                shared,
                held: &held,
            };
            let handled = caught(|| handler(message, &context));
            outcome(shared, held, handled)
        }
    };
    shared.finished(1);
    outcome
}

fn run_many(shared: &Shared, handler: &HandleMany, taken: Vec<Job>) -> Vec<Finished> {
    let count = taken.len();
    let (begun, unstarted): (Vec<Job>, Vec<Job>) =
        taken.into_iter().partition(|(held, _)| begin(shared, held));
    let mut outcomes: Vec<Finished> = unstarted
        .into_iter()
        .map(|(held, _)| Finished::unstarted(held))
        .collect();
    let (helds, messages): (Vec<Arc<Held>>, Vec<Message>) = begun.into_iter().unzip();
    if !helds.is_empty() {
        let contexts: Vec<Context<'_>> =
            helds.iter().map(|held| Context { shared, held }).collect();
        let batch = Batch {
            messages: &messages,
            contexts: &contexts,
        };
        let handled = answers(caught(|| Ok(handler(&batch))), messages.len());
        let handled = helds.into_iter().zip(handled);
        outcomes.extend(handled.map(|(held, handled)| outcome(shared, held, handled)));
    }
    shared.finished(count);
    outcomes
}

/// One answer for each message of a batch: those that have none are to be retried, and all
/// are if there are too many to know which belongs to which.
fn answers(handled: Result<Vec<Handled>, Failure>, wanted: usize) -> Vec<Handled> {
    let (mut answers, missing) = match handled {
        Err(failure) => (Vec::new(), failure.reason),
        Ok(answers) => {
            let text = format!(
                "the batch handler returned {} outcomes for {wanted} messages",
                answers.len()
            );
            match answers.len() > wanted {
                true => (Vec::new(), text),
                false => (answers, text),
            }
        }
    };
    answers.resize_with(wanted, || Err(Failure::retry(&missing)));
    answers
}

/// Runs the user's code; a panic is a failure like any other.
fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(panic) => Err(Failure::retry(format!(
            "the handler panicked: {}",
            panic_text(&*panic)
        ))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(owned).unwrap_or("(no text)")
}

/// What is to become of a message that a handler has answered for.
fn outcome(shared: &Shared, held: Arc<Held>, handled: Handled) -> Finished {
    let Err(Failure { then, reason }) = handled else {
        return Finished::new(held, shared.done.clone(), None);
    };
    let by_policy = || shared.retry.delay(held.attempt, fastrand::f64());
    let wait = match then {
        Then::GiveBack(delay) => {
            let charged = false;
            return Finished::new(held, Outcome::Release { delay, charged }, Some(reason));
        }
        Then::DeadLetter => None,
        Then::RetryByPolicy => by_policy(),
        Then::RetryAfter(wait) => by_policy().map(|_| wait),
    };
    let outcome = match wait {
        Some(delay) => Outcome::Release {
            delay,
            charged: true,
        },
        None => Outcome::DeadLetter(reason.clone()),
    };
    Finished::new(held, outcome, Some(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(answers: &[Handled]) -> Vec<Option<&str>> {
        answers
            .iter()
            .map(|answer| answer.as_ref().err().map(|failure| failure.reason.as_str()))
            .collect()
    }

    #[test]
    fn a_message_without_an_outcome_is_retried() {
        let got = answers(Ok(vec![Ok(()), Err("bad".into())]), 3);
        let text = "the batch handler returned 2 outcomes for 3 messages";
        assert_eq!(reasons(&got), [None, Some("bad"), Some(text)]);
    }

    #[test]
    fn too_many_outcomes_are_none() {
        let got = answers(Ok(vec![Ok(()), Ok(()), Ok(())]), 2);
        assert!(got.iter().all(Result::is_err));
    }

    #[test]
    fn a_failed_batch_fails_all_its_messages() {
        let failed = caught(|| -> Result<Vec<Handled>, Failure> { panic!("all {}", 3) });
        let text = "the handler panicked: all 3";
        assert_eq!(reasons(&answers(failed, 2)), [Some(text), Some(text)]);
    }
}
