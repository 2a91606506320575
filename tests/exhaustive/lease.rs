//! The protocol of leases as a world: which calls there are, within which bounds, and what is
//! known of each message apart from what the store says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use pgqrs::{MockStore, State, Store};
use time::OffsetDateTime;

use crate::calls::{Answer, HOUR, Side, Step};
use crate::explore::{Broken, World};
use crate::faulty::Fault;
use crate::rules;

const MINUTE: Duration = Duration::from_secs(60);

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    pub(crate) workers: usize,
    /// Of all messages together, those that a crash of the server forgets included.
    pub(crate) deliveries: usize,
    /// Whether the server crashes.
    pub(crate) crashes: bool,
    /// Whether there are delays and extensions of more than one length, and looks just before
    /// something is due.
    pub(crate) fine: bool,
    /// By how much the clock moves at each step.
    pub(crate) tick: Duration,
}

/// What a store in memory shows, and where its clock stands.
pub(crate) trait Look {
    fn now(&self) -> OffsetDateTime;
    fn advance(&self, by: Duration);
    fn seen(&self, queue: &str) -> Vec<(State, pgqrs::Message)>;
}

impl Look for MockStore {
    fn now(&self) -> OffsetDateTime {
        self.now()
    }

    fn advance(&self, by: Duration) {
        self.advance(by);
    }

    fn seen(&self, queue: &str) -> Vec<(State, pgqrs::Message)> {
        let dead = self.dead(queue).into_iter().map(|(message, _)| message);
        let all = [
            (State::Ready, self.ready(queue)),
            (State::Leased, self.leased(queue)),
            (State::Scheduled, self.scheduled(queue)),
            (State::Archived, self.archived(queue)),
            (State::Dead, dead.collect()),
        ];
        all.into_iter()
            .flat_map(|(state, messages)| messages.into_iter().map(move |m| (state, m)))
            .collect()
    }
}

/// What a message is seen as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) state: State,
    pub(crate) vt: OffsetDateTime,
    pub(crate) read_ct: i32,
    pub(crate) attempt: i32,
    pub(crate) worker: Option<i64>,
}

/// What is known of a message from the answers alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Known {
    /// The delivery that owns it.
    pub(crate) owner: Option<(i64, i32)>,
    pub(crate) deliveries: i32,
    /// How often it was released uncharged.
    pub(crate) unstarted: i32,
    /// Whether it waits among the scheduled, until it is delivered.
    pub(crate) waits: bool,
    pub(crate) end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Archived,
    Dead,
    Deleted,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) now: OffsetDateTime,
    pub(crate) seen: BTreeMap<i64, Vec<Seen>>,
}

pub(crate) struct Leases<S: Store> {
    pub(crate) side: Side<S>,
    pub(crate) known: BTreeMap<i64, Known>,
    bounds: Bounds,
    history: Vec<Step>,
    /// As it was looked at last, if nothing has changed since.
    last: RefCell<Option<Moment>>,
    make: fn(Option<Fault>) -> S,
    fault: Option<Fault>,
}

impl<S: Store + Clone + Look> Leases<S> {
    /// `make`: makes a fresh store, which has the fault.
    pub(crate) fn new(make: fn(Option<Fault>) -> S, fault: Option<Fault>, bounds: Bounds) -> Self {
        Self {
            side: Side::new(make(fault), "tasks", bounds.workers),
            known: BTreeMap::new(),
            bounds,
            history: Vec::new(),
            last: RefCell::default(),
            make,
            fault,
        }
    }

    /// The present.
    fn moment(&self) -> Moment {
        let mut last = self.last.borrow_mut();
        last.get_or_insert_with(|| self.look()).clone()
    }

    pub(crate) fn look(&self) -> Moment {
        let mut seen: BTreeMap<i64, Vec<Seen>> = BTreeMap::new();
        for (state, message) in self.side.store.seen(&self.side.queue) {
            seen.entry(message.id).or_default().push(Seen {
                state,
                vt: message.vt,
                read_ct: message.read_ct,
                attempt: message.attempt,
                worker: message.worker,
            });
        }
        Moment {
            now: self.side.store.now(),
            seen,
        }
    }

    /// When the next lease ends or the next message is due.
    fn next_event(&self) -> Option<OffsetDateTime> {
        let moment = self.look();
        let waits = |seen: &&Seen| matches!(seen.state, State::Leased | State::Scheduled);
        let all = moment.seen.values().flatten().filter(waits);
        all.map(|seen| seen.vt).min()
    }

    /// How far the clock moves by a step.
    pub(crate) fn passes(&self, step: Step) -> Duration {
        let until = |moment: OffsetDateTime| {
            Duration::try_from(moment - self.side.store.now()).unwrap_or_default()
        };
        let event = match step {
            Step::JustBefore | Step::JustAfter => self.next_event(),
            _ => None,
        };
        let passes = match (step, event) {
            (Step::JustBefore, Some(event)) => until(event - MINUTE),
            // What is due in the same minute comes due with it: the ticks tell them apart.
            (_, Some(event)) if !self.bounds.tick.is_zero() => until(event + MINUTE),
            (_, Some(event)) => until(event),
            (_, None) => Duration::ZERO,
        };
        passes + self.bounds.tick
    }

    fn advance(&mut self, by: Duration) {
        if !by.is_zero() {
            self.side.store.advance(by);
            self.last.take();
        }
    }

    fn call(&mut self, step: Step) -> Answer {
        let Step::DequeueLost { worker } = step else {
            return self.side.call(step);
        };
        // The same store without the crash gives the lease out.
        let mut twin = Self::new(self.make, self.fault, self.bounds);
        twin.repeat(&self.history, self.known.clone());
        twin.side.call(Step::Dequeue { worker, limit: 1 });
        let lost = twin.side.receipts.split_off(self.side.receipts.len());
        self.side.receipts.extend(lost);
        Answer::default()
    }

    /// Does a step, and returns what was answered.
    pub(crate) fn step(&mut self, step: Step) -> Result<Answer, Broken> {
        let before = self.moment();
        let passes = self.passes(step);
        let answer = self.call(step);
        self.history.push(step);
        let after = rules::note(self, step, &answer, &before)?;
        *self.last.get_mut() = Some(after);
        self.advance(passes);
        Ok(answer)
    }
}

impl<S: Store + Clone + Look> World for Leases<S> {
    type Step = Step;
    type Key = Key;
    type Known = BTreeMap<i64, Known>;

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.side.messages.len() < self.bounds.messages {
            steps.extend([Step::Enqueue, Step::EnqueueDelayed]);
        }
        if self.next_event().is_some() {
            if self.bounds.fine && self.passes(Step::JustBefore) > self.bounds.tick {
                steps.push(Step::JustBefore);
            }
            steps.push(Step::JustAfter);
        }
        let given = self.side.receipts.len();
        for receipt in 0..given {
            steps.extend([
                Step::Archive(receipt),
                Step::Delete(receipt),
                Step::DeadLetter(receipt),
            ]);
            for (hours, charged) in [(0, false), (1, true), (0, true), (1, false)] {
                if self.bounds.fine || charged == (hours == 1) {
                    steps.push(Step::Release {
                        receipt,
                        hours,
                        charged,
                    });
                }
            }
            // One that makes the lease longer, and one that would make it shorter.
            steps.push(Step::Extend { receipt, hours: 3 });
            if self.bounds.fine {
                steps.push(Step::Extend { receipt, hours: 1 });
            }
        }
        if given > 0 {
            steps.push(Step::ArchiveAll);
        }
        for worker in 0..self.bounds.workers {
            for message in 0..self.side.messages.len() {
                steps.push(Step::ArchiveById { worker, message });
            }
            for limit in 1..=self.bounds.messages.min(self.bounds.deliveries - given) {
                steps.push(Step::Dequeue { worker, limit });
            }
            if given < self.bounds.deliveries {
                steps.extend((0..given).map(|receipt| Step::ArchiveAndDequeue { receipt, worker }));
                if self.bounds.crashes {
                    steps.push(Step::DequeueLost { worker });
                }
            }
        }
        steps
    }

    fn take(&mut self, step: Step) -> Result<(), Broken> {
        self.step(step).map(drop)
    }

    fn known(&self) -> BTreeMap<i64, Known> {
        self.known.clone()
    }

    fn repeat(&mut self, steps: &[Step], known: BTreeMap<i64, Known>) {
        for step in steps {
            let passes = self.passes(*step);
            self.call(*step);
            self.history.push(*step);
            self.side.store.advance(passes);
        }
        self.last.take();
        self.known = known;
    }

    fn key(&self) -> Key {
        let Moment { now, seen } = self.moment();
        let known = &self.known;
        let minutes = |vt: OffsetDateTime| (vt - now).whole_minutes().max(0);
        let mut order: Vec<(OffsetDateTime, i64)> = Vec::new();
        let mut messages = Vec::new();
        for (id, seen) in &seen {
            for one in seen {
                if known.get(id).is_some_and(|known| known.waits) {
                    order.push((one.vt, *id));
                }
                // When what has ended ended makes no difference to anything.
                let left = match one.state {
                    State::Archived | State::Dead => 0,
                    _ => minutes(one.vt),
                };
                let counts = (one.read_ct, one.attempt, one.worker);
                messages.push((*id, one.state, left, counts));
            }
        }
        // Those that are due go in the order in which they came to be.
        order.sort_unstable();
        let receipts = self.side.receipts.iter();
        let mut receipts: Vec<_> = receipts.map(|m| (m.id, m.worker, m.read_ct)).collect();
        receipts.sort_unstable();
        Key {
            messages,
            known: known
                .iter()
                .map(|(id, known)| (*id, known.clone()))
                .collect(),
            order: order.into_iter().map(|(_, id)| id).collect(),
            receipts,
        }
    }

    /// Whatever happened: time, dequeues and archives end everything.
    fn finish(mut self) -> Result<(), Broken> {
        // Each round is a lease longer than everything that can wait.
        for _ in 0..=self.bounds.messages {
            self.advance(4 * HOUR);
            let limit = self.bounds.messages.max(1);
            let before = self.side.receipts.len();
            self.step(Step::Dequeue { worker: 0, limit })?;
            for receipt in before..self.side.receipts.len() {
                self.step(Step::Archive(receipt))?;
            }
        }
        rules::ends(&self)
    }
}

type Counts = (i32, i32, Option<i64>);

/// Times are minutes from now, so that the same thing later is the same.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Key {
    messages: Vec<(i64, State, i64, Counts)>,
    known: Vec<(i64, Known)>,
    order: Vec<i64>,
    receipts: Vec<(i64, Option<i64>, i32)>,
}
