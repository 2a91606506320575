//! Settlements that wait for a connection are sent together.
//!
//! With more threads than connections, those that have a batch done would queue up, each for a
//! round trip, a statement's start and a flush of its own. Instead the first of them, the leader,
//! queues for all who come until its turn, its followers. While a connection is free or can be
//! opened, nobody waits for anybody.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::PgStore;
use super::pool::Repeat;
use super::settle::Plan;
use super::sql;
use crate::error::{Error, ErrorKind, Result};
use crate::message::Settlement;

/// How many settlements are sent together at most: larger batches are hardly quicker each, and
/// several leaders can be under way side by side.
const MOST: usize = 1_000;

type Answers = Result<Vec<bool>>;

impl PgStore {
    /// Does what [`Store::settle`](crate::Store::settle) says.
    pub(super) fn settle_together(&self, queue_id: i64, settlements: &[Settlement]) -> Answers {
        let is_exhausted = || self.inner.database.is_exhausted();
        let place = self
            .inner
            .together
            .join(queue_id, settlements, is_exhausted);
        let answers = match place {
            Some(Place::Leader(leader)) => self.lead(queue_id, leader),
            Some(Place::Follower(follower)) => follower.answers(),
            None => None,
        };
        answers.unwrap_or_else(|| self.settle_alone(queue_id, settlements))
    }

    fn settle_alone(&self, queue_id: i64, settlements: &[Settlement]) -> Answers {
        let plan = Plan::for_settlements(settlements);
        self.call("settle messages", Repeat::IfUnexecuted, |db| {
            match plan.statements() {
                1 => plan.settle(db, queue_id, settlements),
                _ => db.atomically(|db| plan.settle(db, queue_id, settlements)),
            }
        })
    }

    /// Sends for all, and tells each its answers.
    fn lead(&self, queue_id: i64, mut leader: Leader<'_>) -> Option<Answers> {
        let mut sent = None;
        let answers = self.call("settle messages", Repeat::IfUnexecuted, |db| {
            // Those who have joined by now, also if it is sent again.
            let (all, plan) = sent.get_or_insert_with(|| {
                let all = leader.close();
                let plan = Plan::for_settlements(&all);
                (all, plan)
            });
            if all.len() == leader.own.len() && plan.statements() == 1 {
                return plan.settle(db, queue_id, all);
            }
            // What somebody's open transaction has locked must not hold up the others; it may
            // even be a follower's.
            if plan.archives(all) {
                return plan.archive_unless_locked(db, queue_id, all);
            }
            db.atomically(|db| {
                db.client().batch_execute(sql::SHORT_LOCK_TIMEOUT)?;
                plan.settle(db, queue_id, all)
            })
        });
        match answers {
            // What one did wrong, or has to wait for, is no concern of the others.
            Err(error) if sent.is_some() && error.kind() != ErrorKind::FateUnknown => {
                leader.tell(None)
            }
            answers => leader.tell(Some(answers)),
        }
    }
}

/// By queue: who was the last to begin to wait for a connection.
#[derive(Default)]
pub(super) struct Together(Mutex<HashMap<i64, Arc<Joining>>>);

/// The followers of one who waits for a connection. None once it has one.
struct Joining(Mutex<Option<Followers>>);

struct Followers {
    /// For how many more settlements there is room.
    room: usize,
    settlements: Vec<Settlement>,
    told: Told,
}

/// Who is to be told the answers to how many of the settlements, in their order. None: to send
/// them again, alone.
type Told = Vec<(usize, Sender<Option<Answers>>)>;

impl Joining {
    fn lock(&self) -> MutexGuard<'_, Option<Followers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom a settlement is sent by.
enum Place<'a> {
    Leader(Leader<'a>),
    Follower(Follower),
}

impl Together {
    /// Follows the last leader of the queue, if it still waits and has room for these. Else they
    /// lead, if that is necessary.
    fn join<'a>(
        &self,
        queue_id: i64,
        settlements: &'a [Settlement],
        is_necessary: impl FnOnce() -> bool,
    ) -> Option<Place<'a>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(joining) = last.get(&queue_id)
            && let Some(followers) = &mut *joining.lock()
            && let Some(room) = followers.room.checked_sub(settlements.len())
        {
            let (answer, answers) = bounded(1);
            followers.room = room;
            followers.settlements.extend_from_slice(settlements);
            followers.told.push((settlements.len(), answer));
            return Some(Place::Follower(Follower(answers)));
        }
        if !is_necessary() {
            return None;
        }
        let joining = Arc::new(Joining(Mutex::new(Some(Followers {
            room: MOST.saturating_sub(settlements.len()),
            settlements: Vec::new(),
            told: Vec::new(),
        }))));
        last.insert(queue_id, Arc::clone(&joining));
        Some(Place::Leader(Leader {
            own: settlements,
            joining,
            told: Vec::new(),
        }))
    }
}

/// One whose settlements another sends with its own.
struct Follower(Receiver<Option<Answers>>);

impl Follower {
    fn answers(self) -> Option<Answers> {
        let panicked = |_| {
            let text = "the thread that was to settle these messages with its own panicked";
            Some(Err(Error::new(ErrorKind::FateUnknown, text)))
        };
        self.0.recv().unwrap_or_else(panicked)
    }
}

/// One who waits for a connection, and sends for all who join.
struct Leader<'a> {
    own: &'a [Settlement],
    joining: Arc<Joining>,
    told: Told,
}

impl<'a> Leader<'a> {
    /// Has nobody join any more, and returns all settlements: once.
    fn close(&mut self) -> Cow<'a, [Settlement]> {
        match self.joining.lock().take() {
            Some(followers) if !followers.told.is_empty() => {
                self.told = followers.told;
                Cow::Owned([self.own, &followers.settlements].concat())
            }
            _ => Cow::Borrowed(self.own),
        }
    }

    /// Tells each follower its part of the answers, and returns the leader's.
    fn tell(mut self, answers: Option<Answers>) -> Option<Answers> {
        self.close(); // of who never had a connection
        let (own, mut rest) = match answers {
            Some(Ok(mut own)) => {
                let rest = own.split_off(self.own.len());
                (Some(Ok(own)), Some(Ok(rest)))
            }
            Some(Err(error)) => (Some(Err(error.clone())), Some(Err(error))),
            None => (None, None),
        };
        for (count, follower) in std::mem::take(&mut self.told) {
            let part = rest.as_mut().map(|rest| match rest {
                Ok(rest) => Ok(rest.drain(..count).collect()),
                Err(error) => Err(error.clone()),
            });
            let _ = follower.send(part);
        }
        own
    }
}

/// Also in a panic: a follower must not wait for ever.
impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.joining.lock().take();
    }
}

#[cfg(test)]
mod tests;
