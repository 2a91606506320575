//! The dequeue: one or two looks into the tables, as the hints say.

use std::time::{Duration, Instant};

use super::PgStore;
use super::hint::{Found, Look};
use super::pool::{Repeat, Run};
use super::row::Leased;
use super::sql::Statement;
use crate::error::Result;
use crate::message::{Message, Outcome, Receipt, Settlement};
use crate::span::span_micros;
use crate::store::{Dequeue, Store};

impl PgStore {
    /// Does what [`Store::dequeue`] says.
    pub(super) fn lease(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        let limit = dequeue.check()?;
        let (hints, queue_id) = (&self.inner.hints, dequeue.queue_id);
        let mut leased: Vec<Leased> = Vec::new();
        let mut next = Some(hints.first(queue_id, Instant::now()));
        while let Some(look) = next {
            let wanted = limit - i32::try_from(leased.len()).unwrap_or(limit);
            match self.look(dequeue, look, wanted) {
                Ok((found, took)) => {
                    let wanted = usize::try_from(wanted).unwrap_or(0);
                    let times = (took, Instant::now());
                    next = hints.next(queue_id, look, tally(&found), wanted, times);
                    leased.extend(found);
                }
                Err(error) => {
                    hints.failed(queue_id, look, Instant::now());
                    // What the first look leased is the caller's; the next call meets the
                    // fault again if it lasts.
                    if leased.is_empty() {
                        return Err(error);
                    }
                    break;
                }
            }
        }
        // As they came due, then as they were enqueued: UPDATE … RETURNING keeps no order.
        leased.sort_unstable_by_key(|l| (l.due_at.is_none(), l.due_at, l.message.id));

        let mut unreadable = Vec::new();
        let mut messages = Vec::with_capacity(leased.len());
        for leased in leased {
            match leased.unreadable {
                None => messages.push(leased.message),
                Some(why) => unreadable.push((Receipt::from(&leased.message), why)),
            }
        }
        self.give_up(queue_id, unreadable);
        Ok(messages)
    }

    /// Makes one look into the tables; also returns how long the server was at it, without
    /// the wait for a connection and all else that says nothing about the tables.
    fn look(&self, dequeue: &Dequeue, look: Look, limit: i32) -> Result<(Vec<Leased>, Duration)> {
        let Dequeue {
            queue_id, worker, ..
        } = *dequeue;
        let lock = span_micros(dequeue.lock_time);
        self.call("dequeue messages", Repeat::IfUnexecuted, |db| {
            db.prepare(Statement::Dequeue)?;
            let began = Instant::now();
            let rows = db.run(
                Statement::Dequeue,
                &[&queue_id, &worker, &limit, &lock, &look.after, &look.due],
            )?;
            let took = began.elapsed();
            let read = |row| Leased::read(queue_id, worker, row);
            Ok((rows.iter().map(read).collect::<Result<_, _>>()?, took))
        })
    }

    /// Gives up messages that no client of this library could read, so that they do not
    /// fail the good ones of their batch again and again.
    fn give_up(&self, queue_id: i64, unreadable: Vec<(Receipt, String)>) {
        let settlements: Vec<Settlement> = unreadable
            .into_iter()
            .map(|(receipt, why)| Settlement {
                receipt,
                outcome: Outcome::DeadLetter(format!("the payload cannot be read: {why}")),
            })
            .collect();
        if !settlements.is_empty() {
            // Where it fails, the next delivery tries again.
            let _ = self.settle(queue_id, &settlements);
        }
    }
}

/// What the hints want to know of a look.
fn tally(found: &[Leased]) -> Found {
    let ready = found.iter().filter(|leased| leased.due_at.is_none());
    Found {
        count: found.len(),
        due: found
            .iter()
            .filter(|leased| leased.due_at.is_some())
            .count(),
        last: ready.map(|leased| leased.message.id).max(),
    }
}
