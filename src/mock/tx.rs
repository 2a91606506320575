//! A transaction of the in-memory store, so that code which enqueues and archives inside
//! its own transaction can be tested without a database.

use std::time::Duration;

use time::OffsetDateTime;

use super::enqueue::Enqueue;
use super::keys::Used;
use super::{Call, MockStore};
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, NewMessage, Receipt, Settlement};
use crate::mock::fault::answer;
use crate::store::Transactional;

/// An open transaction on a [`MockStore`]; dropping it rolls back.
///
/// As on PostgreSQL, what is enqueued in it is invisible until the commit, and a message
/// settled in it is locked until then, as is a key used in it. Where PostgreSQL would make another
/// call wait for such a message or key, the in-memory store fails it with
/// [`Unavailable`](ErrorKind::Unavailable).
///
/// # Examples
///
/// See [`Producer::enqueue_in`](crate::Producer::enqueue_in) and
/// [`Consumer::archive_in`](crate::Consumer::archive_in).
#[derive(Debug)]
#[must_use = "dropping a transaction rolls it back"]
pub struct MockTransaction {
    store: MockStore,
    enqueued: Vec<Enqueued>,
    settled: Vec<Settled>,
}

#[derive(Debug)]
struct Enqueued {
    queue_id: i64,
    messages: Vec<Message>,
    scheduled: bool,
    used: Used,
}

#[derive(Debug)]
struct Settled {
    queue_id: i64,
    settlement: Settlement,
    due: OffsetDateTime,
}

impl MockStore {
    /// Begins a transaction.
    pub fn begin(&self) -> MockTransaction {
        MockTransaction {
            store: self.clone(),
            enqueued: Vec::new(),
            settled: Vec::new(),
        }
    }
}

impl MockTransaction {
    /// Makes everything that was done in the transaction come true, at once.
    pub fn commit(mut self) {
        self.end(true);
    }

    /// Undoes everything that was done in the transaction, as dropping it does.
    pub fn rollback(mut self) {
        self.end(false);
    }

    fn end(&mut self, commit: bool) {
        let mut inner = self.store.lock();
        let now = inner.now;
        for Enqueued {
            queue_id,
            messages,
            scheduled,
            used,
        } in self.enqueued.drain(..)
        {
            if let Ok(shelf) = inner.shelf(queue_id) {
                shelf.expect_no_more();
                shelf.keys.let_go(&used);
                if commit {
                    shelf.put(&messages, scheduled);
                    shelf.keys.remember(used, now);
                }
            }
            inner.ringing.ring(queue_id);
        }
        for Settled {
            queue_id,
            settlement,
            due,
        } in self.settled.drain(..)
        {
            if let Ok(shelf) = inner.shelf(queue_id) {
                shelf.let_go(settlement.receipt.id());
                if commit {
                    shelf.settle(&settlement, due);
                }
            }
            inner.ringing.ring(queue_id);
        }
    }

    /// The keys that it has used.
    fn used(&self, queue_id: i64) -> Used {
        let here = self.enqueued.iter().filter(|e| e.queue_id == queue_id);
        here.flat_map(|enqueued| enqueued.used.clone()).collect()
    }

    fn check_store(&self, store: &MockStore) -> Result<()> {
        if std::sync::Arc::ptr_eq(&self.store.inner, &store.inner) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Invalid,
            "the transaction was begun on another store",
        ))
    }
}

impl Drop for MockTransaction {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl Transactional<MockTransaction> for MockStore {
    fn enqueue_in(
        &self,
        tx: &mut MockTransaction,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        tx.check_store(self)?;
        let mut inner = self.lock();
        let fault = inner.faults.take(Call::Enqueue)?;
        self.check(&messages)?;
        let retention = self.settings.key_retention;
        let Enqueue {
            answer: messages,
            stored,
            used,
        } = inner.number(queue_id, messages, delay, retention, &tx.used(queue_id))?;
        let shelf = inner.shelf(queue_id)?;
        shelf.expect();
        shelf.keys.hold(&used);
        tx.enqueued.push(Enqueued {
            queue_id,
            messages: stored,
            scheduled: delay.is_some(),
            used,
        });
        answer(fault, messages)
    }

    fn settle_in(
        &self,
        tx: &mut MockTransaction,
        queue_id: i64,
        settlements: &[Settlement],
    ) -> Result<Vec<bool>> {
        tx.check_store(self)?;
        let mut inner = self.lock();
        let fault = inner.faults.take_for(settlements)?;
        let due: Vec<_> = settlements.iter().map(|s| inner.due(s)).collect();
        let Ok(shelf) = inner.shelf(queue_id) else {
            return answer(fault, vec![false; settlements.len()]);
        };
        let mine = |tx: &MockTransaction, receipt: &Receipt| {
            let mut settled = tx.settled.iter();
            settled.any(|s| s.queue_id == queue_id && s.settlement.receipt.id() == receipt.id())
        };
        for Settlement { receipt, .. } in settlements {
            if !mine(tx, receipt) {
                shelf.check_free(receipt)?;
            }
        }
        let mut answers = Vec::with_capacity(settlements.len());
        for (settlement, due) in settlements.iter().zip(due) {
            let receipt = &settlement.receipt;
            let owned = !mine(tx, receipt) && shelf.owns(receipt);
            if owned {
                shelf.hold(receipt.id());
                tx.settled.push(Settled {
                    queue_id,
                    settlement: settlement.clone(),
                    due,
                });
            }
            answers.push(owned);
        }
        answer(fault, answers)
    }
}
