//! One queue's messages: the rules of the contract, over maps. The maps are the tables of
//! `schema.sql`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use time::OffsetDateTime;

use super::keys::Keys;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, Outcome, Receipt, Settlement};
use crate::queue::{Counts, State};
use crate::store::Dequeue;

/// A message is in `bodies` and in exactly one of the other maps.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    queue_id: i64,
    bodies: BTreeMap<i64, Body>,
    live: BTreeMap<i64, Delivery>,
    scheduled: BTreeMap<(OffsetDateTime, i64), Delivery>,
    done: BTreeMap<i64, Delivery>,
    dead: BTreeMap<i64, (Delivery, String)>,
    /// Settled by a transaction that is still open: nobody else may touch them.
    locked: BTreeSet<i64>,
    /// How many open transactions want to put messages here.
    expecting: usize,
    pub(super) keys: Keys,
}

#[derive(Debug)]
struct Body {
    payload: Value,
    enqueued_at: OffsetDateTime,
}

/// What changes in a message's life.
#[derive(Clone, Copy, Debug)]
struct Delivery {
    vt: OffsetDateTime,
    worker: Option<i64>,
    read_ct: i32,
    attempt: i32,
}

impl Delivery {
    fn leased(self, worker: i64, until: OffsetDateTime) -> Self {
        Self {
            vt: until,
            worker: Some(worker),
            read_ct: self.read_ct + 1,
            attempt: self.attempt + 1,
        }
    }
}

impl Shelf {
    pub(super) fn len(&self) -> usize {
        self.bodies.len()
    }

    pub(super) fn put(&mut self, messages: &[Message], scheduled: bool) {
        for message in messages {
            let body = Body {
                payload: message.payload.clone(),
                enqueued_at: message.enqueued_at,
            };
            let delivery = Delivery {
                vt: message.vt,
                worker: message.worker,
                read_ct: message.read_ct,
                attempt: message.attempt,
            };
            self.queue_id = message.queue_id;
            self.bodies.insert(message.id, body);
            if scheduled {
                self.scheduled.insert((message.vt, message.id), delivery);
            } else {
                self.live.insert(message.id, delivery);
            }
        }
    }

    pub(super) fn lease(
        &mut self,
        dequeue: &Dequeue,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Vec<Message> {
        let lease = |delivery: Delivery| delivery.leased(dequeue.worker, until);
        let mut due: Vec<(i64, Delivery)> = Vec::new();
        while due.len() < dequeue.limit
            && let Some(entry) = self.scheduled.first_entry()
            && entry.key().0 <= now
        {
            due.push((entry.key().1, lease(entry.remove())));
        }
        let mut leased: Vec<(i64, bool)> = due.iter().map(|(id, _)| (*id, false)).collect();
        for (id, delivery) in &mut self.live {
            if leased.len() == dequeue.limit {
                break;
            }
            if delivery.vt <= now && !self.locked.contains(id) {
                // Whatever ended a delivery on purpose took the message out of `live`.
                leased.push((*id, delivery.read_ct > 0));
                *delivery = lease(*delivery);
            }
        }
        self.live.extend(due);
        let message = |(id, lapsed)| {
            let message = self.message(id, self.live.get(&id)?)?;
            Some(Message { lapsed, ..message })
        };
        leased.into_iter().filter_map(message).collect()
    }

    pub(super) fn extend(&mut self, receipt: &Receipt, until: OffsetDateTime) -> bool {
        match self.live.get_mut(&receipt.id()) {
            Some(held) if receipt.owns(held.worker, held.read_ct) => {
                held.vt = held.vt.max(until);
                true
            }
            _ => false,
        }
    }

    /// `due`: when a released message is to come again.
    pub(super) fn settle(&mut self, settlement: &Settlement, due: OffsetDateTime) -> bool {
        let receipt = &settlement.receipt;
        let id = receipt.id();
        if !self.owns(receipt) {
            return false;
        }
        let Some(delivery) = self.live.remove(&id) else {
            return false;
        };
        match &settlement.outcome {
            Outcome::Archive => {
                self.done.insert(id, delivery);
            }
            Outcome::Delete => {
                self.bodies.remove(&id);
            }
            Outcome::Release { charged, .. } => {
                let back = Delivery {
                    vt: due,
                    worker: None,
                    read_ct: delivery.read_ct,
                    attempt: delivery.attempt - i32::from(!charged),
                };
                self.scheduled.insert((due, id), back);
            }
            Outcome::DeadLetter(reason) => {
                let reason = reason.replace('\0', "\u{fffd}");
                self.dead.insert(id, (delivery, reason));
            }
        }
        true
    }

    pub(super) fn owns(&self, receipt: &Receipt) -> bool {
        self.live
            .get(&receipt.id())
            .is_some_and(|held| receipt.owns(held.worker, held.read_ct))
    }

    pub(super) fn purge(&mut self, states: &[State], now: OffsetDateTime) -> u64 {
        let mut count = 0;
        for state in states {
            for id in self.ids(*state, now) {
                self.bodies.remove(&id);
                self.live.remove(&id);
                self.scheduled.retain(|(_, scheduled), _| *scheduled != id);
                self.done.remove(&id);
                self.dead.remove(&id);
                count += 1;
            }
        }
        count
    }

    pub(super) fn counts(&self, now: OffsetDateTime) -> Counts {
        let count = |state| self.ids(state, now).len() as u64;
        Counts {
            ready: count(State::Ready),
            leased: count(State::Leased),
            scheduled: count(State::Scheduled),
            archived: count(State::Archived),
            dead: count(State::Dead),
        }
    }

    pub(super) fn view(&self, state: State, now: OffsetDateTime) -> Vec<Message> {
        let mut messages: Vec<Message> = self
            .entries(state, now)
            .filter_map(|(id, delivery)| self.message(id, delivery))
            .collect();
        messages.sort_by_key(|message| message.id);
        messages
    }

    pub(super) fn dead(&self) -> Vec<(Message, String)> {
        self.dead
            .iter()
            .filter_map(|(id, (delivery, why))| Some((self.message(*id, delivery)?, why.clone())))
            .collect()
    }

    fn ids(&self, state: State, now: OffsetDateTime) -> Vec<i64> {
        self.entries(state, now).map(|(id, _)| id).collect()
    }

    /// Which messages are in a state: ready is what is past its `vt`, wherever it waits.
    fn entries(
        &self,
        state: State,
        now: OffsetDateTime,
    ) -> Box<dyn Iterator<Item = (i64, &Delivery)> + '_> {
        let live = self.live.iter().map(|(id, delivery)| (*id, delivery));
        let scheduled = self
            .scheduled
            .iter()
            .map(|((_, id), delivery)| (*id, delivery));
        match state {
            State::Ready => Box::new(live.chain(scheduled).filter(move |(_, d)| d.vt <= now)),
            State::Leased => Box::new(live.filter(move |(_, d)| d.vt > now)),
            State::Scheduled => Box::new(scheduled.filter(move |(_, d)| d.vt > now)),
            State::Archived => Box::new(self.done.iter().map(|(id, delivery)| (*id, delivery))),
            State::Dead => Box::new(self.dead.iter().map(|(id, (delivery, _))| (*id, delivery))),
        }
    }

    fn message(&self, id: i64, delivery: &Delivery) -> Option<Message> {
        let body = self.bodies.get(&id)?;
        Some(Message {
            id,
            queue_id: self.queue_id,
            payload: body.payload.clone(),
            enqueued_at: body.enqueued_at,
            vt: delivery.vt,
            read_ct: delivery.read_ct,
            attempt: delivery.attempt,
            lapsed: false,
            worker: delivery.worker,
        })
    }

    // What open transactions hold. PostgreSQL would make the others wait; here that would
    // be for ever where one thread does both, so they are refused.

    pub(super) fn check_free(&self, receipt: &Receipt) -> Result<()> {
        if self.locked.contains(&receipt.id()) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("message {} is locked by an open transaction", receipt.id()),
            ));
        }
        Ok(())
    }

    pub(super) fn check_unlocked(&self, name: &str) -> Result<()> {
        if self.locked.is_empty() && self.expecting == 0 {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("an open transaction uses queue {name:?}"),
        ))
    }

    pub(super) fn hold(&mut self, id: i64) {
        self.locked.insert(id);
    }

    pub(super) fn let_go(&mut self, id: i64) {
        self.locked.remove(&id);
    }

    pub(super) fn expect(&mut self) {
        self.expecting += 1;
    }

    pub(super) fn expect_no_more(&mut self) {
        self.expecting -= 1;
    }
}
