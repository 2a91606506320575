//! The dequeue: one or two looks into the tables, as the hints say.

use std::time::{Duration, Instant};

use postgres::Row;

use super::PgStore;
use super::hint::Look;
use super::pool::Repeat;
use super::row::{self, Leased};
use super::settle::Plan;
use super::sql::Statement;
use crate::error::Result;
use crate::message::{Message, Outcome, Receipt, Settlement};
use crate::store::{Dequeue, Store, after_archiving};

impl PgStore {
    /// Does what [`Store::dequeue`] says.
    pub(super) fn lease(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        let limit = dequeue.check()?;
        let first = self.look(dequeue, None, limit)?;
        let leased = self.make_sure(dequeue, first, limit)?;
        Ok(self.readable(dequeue.queue_id, leased))
    }

    /// Does what [`Store::archive_and_dequeue`] says.
    pub(super) fn archive_and_lease(
        &self,
        receipts: &[Receipt],
        dequeue: &Dequeue,
    ) -> Result<(Vec<bool>, Vec<Message>)> {
        let limit = dequeue.check()?;
        if receipts.is_empty() {
            return Ok((Vec::new(), self.lease(dequeue)?));
        }
        let queue_id = dequeue.queue_id;
        let plan = Plan::for_receipts(receipts);
        let mut archived = Vec::new();
        let doing = "archive and dequeue messages";
        let leased = self
            .call(doing, Repeat::IfUnexecuted, |db| {
                self.hinted(dequeue, None, |look| {
                    let (answers, rows, took) = if look.is_plain() && plan.statements() == 1 {
                        plan.archive_and_dequeue(db, receipts, dequeue, look, limit)?
                    } else {
                        // Apart, so that the look is timed and not the archive.
                        db.atomically(|db| {
                            plan.archive_then_dequeue(db, receipts, dequeue, look, limit)
                        })?
                    };
                    archived = answers;
                    Ok((read(dequeue, rows)?, took))
                })
            })
            .and_then(|first| self.make_sure(dequeue, first, limit));
        match leased {
            Ok(leased) => Ok((archived, self.readable(queue_id, leased))),
            Err(error) => Err(after_archiving(&archived, error)),
        }
    }

    /// Has a look made: this one, or the first one that the hints decide on. That is decided
    /// with a connection at hand: it makes room for itself, which others keep clear of.
    fn hinted(
        &self,
        dequeue: &Dequeue,
        look: Option<Look>,
        work: impl FnOnce(Look) -> Result<(Leased, Duration), postgres::Error>,
    ) -> Result<Looked, postgres::Error> {
        let (hints, queue_id) = (&self.inner.hints, dequeue.queue_id);
        let first = || hints.first(queue_id, dequeue.limit, Instant::now());
        let look = look.unwrap_or_else(first);
        match work(look) {
            Ok((leased, took)) => Ok(Looked { look, leased, took }),
            Err(error) => {
                hints.failed(queue_id, look, Instant::now());
                Err(error)
            }
        }
    }

    /// Makes one look into the tables.
    fn look(&self, dequeue: &Dequeue, look: Option<Look>, limit: i32) -> Result<Looked> {
        self.call("dequeue messages", Repeat::IfUnexecuted, |db| {
            self.hinted(dequeue, look, |look| {
                db.prepare(Statement::Dequeue)?;
                let began = Instant::now();
                let rows = row::dequeue(db, dequeue, look, limit)?;
                let took = began.elapsed();
                Ok((read(dequeue, rows)?, took))
            })
        })
    }

    /// Takes in what the first look found, and looks again if the hints say so.
    fn make_sure(&self, dequeue: &Dequeue, first: Looked, limit: i32) -> Result<Leased> {
        let (hints, queue_id) = (&self.inner.hints, dequeue.queue_id);
        let mut leased = Leased::default();
        let (mut looked, mut wanted) = (first, limit);
        loop {
            let times = (looked.took, Instant::now());
            let most = usize::try_from(wanted).unwrap_or(0);
            let next = hints.next(queue_id, looked.look, looked.leased.found, most, times);
            match leased.found.count {
                0 => leased = looked.leased, // nearly always: nothing to copy
                _ => leased.append(looked.leased),
            }
            let Some(next) = next else {
                return Ok(leased);
            };
            wanted = limit - i32::try_from(leased.found.count).unwrap_or(limit);
            looked = match self.look(dequeue, Some(next), wanted) {
                Ok(looked) => looked,
                Err(error) => {
                    hints.failed(queue_id, next, Instant::now());
                    // What the first look leased is the caller's; the next call meets the
                    // fault again if it lasts.
                    return match leased.found.count {
                        0 => Err(error),
                        _ => Ok(leased),
                    };
                }
            };
        }
    }

    /// Sorts messages, and gives those up that cannot be read.
    fn readable(&self, queue_id: i64, mut leased: Leased) -> Vec<Message> {
        self.give_up(queue_id, std::mem::take(&mut leased.unreadable));
        leased.messages()
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

/// What came of a look.
struct Looked {
    look: Look,
    leased: Leased,
    /// How long the server was at it, without the wait for a connection and all else that says
    /// nothing about the tables. Of a plain look that was made together with an archive it is
    /// the time of both; nobody wants to know that one's.
    took: Duration,
}

/// Reads the messages of a look.
fn read(dequeue: &Dequeue, rows: Vec<Row>) -> Result<Leased, postgres::Error> {
    Leased::read(dequeue.queue_id, dequeue.worker, rows)
}
