//! What is done to a delivery: extend it, or end it, each fenced by its receipt.

use std::time::Duration;

use super::Consumer;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, Outcome, Receipt, Settlement};
use crate::store::{Store, Transactional};

/// Each of these can fail with [`Unavailable`](ErrorKind::Unavailable) (nothing was done)
/// and [`FateUnknown`](ErrorKind::FateUnknown) (done or not: it can be repeated, and then
/// answers `false` if it was done the first time). On a queue that was deleted they answer
/// `false`.
impl<S: Store> Consumer<S> {
    /// Moves the end of the lease to `by` from now, never to an earlier time than it was.
    ///
    /// Answers whether this delivery still owned the message. While a transaction that is still
    /// open settles it, the answer may be `true` although the end was left as it is; nobody can
    /// lease it until the transaction ends.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    pub fn extend_visibility(&self, receipt: impl Into<Receipt>, by: Duration) -> Result<bool> {
        only(self.extend_visibility_many([receipt], by)?)
    }

    /// Extends many leases in one round trip; see [`extend_visibility`](Self::extend_visibility).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    pub fn extend_visibility_many<R: Into<Receipt>>(
        &self,
        receipts: impl IntoIterator<Item = R>,
        by: Duration,
    ) -> Result<Vec<bool>> {
        let receipts: Vec<Receipt> = self.held(receipts).collect();
        self.store.extend_visibility(self.queue.id, &receipts, by)
    }

    /// Ends the message as done, and keeps it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    pub fn archive(&self, receipt: impl Into<Receipt>) -> Result<bool> {
        only(self.archive_many([receipt])?)
    }

    /// Archives many messages in one round trip; see [`archive`](Self::archive).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    pub fn archive_many<R: Into<Receipt>>(
        &self,
        receipts: impl IntoIterator<Item = R>,
    ) -> Result<Vec<bool>> {
        self.settle(receipts, &Outcome::Archive)
    }

    /// Archives what is done, and leases up to `limit` messages for the lock time: what
    /// [`archive_many`](Self::archive_many) and [`dequeue_many`](Self::dequeue_many) do, with the
    /// former first.
    ///
    /// For a loop that works on small batches and waits for the database most of its time:
    /// with a backlog, [`PgStore`](crate::PgStore) makes one round trip and one commit of it,
    /// so it waits once a batch instead of twice.
    ///
    /// # Errors
    ///
    /// As [`dequeue_many`](Self::dequeue_many), and then nothing was archived, except if it is
    /// [`FateUnknown`](ErrorKind::FateUnknown): archived or not, and leased or not.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::{Consumer, MockStore, Producer, Store};
    /// # let store = MockStore::new();
    /// # store.create_queue("tasks")?;
    /// # Producer::new(store.clone(), "tasks")?.batch_enqueue(0..25)?;
    /// let consumer = Consumer::new(store.clone(), "tasks")?;
    /// let mut batch = consumer.dequeue_many(10)?;
    /// while !batch.is_empty() {
    ///     // … the work …
    ///     (_, batch) = consumer.archive_and_dequeue(&batch, 10)?;
    /// }
    /// assert_eq!(store.counts("tasks")?.archived, 25);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn archive_and_dequeue<R: Into<Receipt>>(
        &self,
        receipts: impl IntoIterator<Item = R>,
        limit: usize,
    ) -> Result<(Vec<bool>, Vec<Message>)> {
        let receipts: Vec<Receipt> = self.held(receipts).collect();
        let dequeue = self.request(limit, self.settings.lock_time);
        self.store.archive_and_dequeue(&receipts, &dequeue)
    }

    /// Ends the message as done, and forgets it, payload and all.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    pub fn delete(&self, receipt: impl Into<Receipt>) -> Result<bool> {
        only(self.delete_many([receipt])?)
    }

    /// Deletes many messages in one round trip; see [`delete`](Self::delete).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    pub fn delete_many<R: Into<Receipt>>(
        &self,
        receipts: impl IntoIterator<Item = R>,
    ) -> Result<Vec<bool>> {
        self.settle(receipts, &Outcome::Delete)
    }

    /// Gives the message back unstarted: it is due again after `delay`, ahead of the
    /// backlog, and the attempt is taken back (`read_ct` is not).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    pub fn release(&self, receipt: impl Into<Receipt>, delay: Duration) -> Result<bool> {
        only(self.release_many([receipt], delay)?)
    }

    /// Releases many messages in one round trip; see [`release`](Self::release).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    pub fn release_many<R: Into<Receipt>>(
        &self,
        receipts: impl IntoIterator<Item = R>,
        delay: Duration,
    ) -> Result<Vec<bool>> {
        let charged = false;
        self.settle(receipts, &Outcome::Release { delay, charged })
    }

    /// Gives the message back after the work failed: it is due again after `delay`, and the
    /// attempt counts.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use pgqrs::{Consumer, MockStore, Producer, Store};
    /// # let store = MockStore::new();
    /// # store.create_queue("tasks")?;
    /// # Producer::new(store.clone(), "tasks")?.enqueue("a")?;
    /// # let consumer = Consumer::new(store.clone(), "tasks")?;
    /// # let work = |_: &pgqrs::Message| Err("the printer is on fire");
    /// # for _ in 0..5 {
    /// for message in consumer.dequeue()? {
    ///     match work(&message) {
    ///         Ok(()) => consumer.archive(&message)?,
    ///         Err(why) if message.attempt >= 5 => consumer.dead_letter(&message, why)?,
    ///         Err(_) => consumer.retry(&message, Duration::from_secs(10))?,
    ///     };
    /// }
    /// # store.advance(Duration::from_secs(10));
    /// # }
    /// # assert_eq!(store.dead("tasks").len(), 1);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn retry(&self, receipt: impl Into<Receipt>, delay: Duration) -> Result<bool> {
        only(self.retry_many([receipt], delay)?)
    }

    /// Retries many messages in one round trip; see [`retry`](Self::retry).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    pub fn retry_many<R: Into<Receipt>>(
        &self,
        receipts: impl IntoIterator<Item = R>,
        delay: Duration,
    ) -> Result<Vec<bool>> {
        let charged = true;
        self.settle(receipts, &Outcome::Release { delay, charged })
    }

    /// Gives the message up, and keeps it with the reason.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    pub fn dead_letter(
        &self,
        receipt: impl Into<Receipt>,
        reason: impl Into<String>,
    ) -> Result<bool> {
        only(self.dead_letter_many([receipt], reason)?)
    }

    /// Gives many messages up for the same reason, in one round trip; see
    /// [`dead_letter`](Self::dead_letter).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable),
    /// [`FateUnknown`](ErrorKind::FateUnknown).
    pub fn dead_letter_many<R: Into<Receipt>>(
        &self,
        receipts: impl IntoIterator<Item = R>,
        reason: impl Into<String>,
    ) -> Result<Vec<bool>> {
        self.settle(receipts, &Outcome::DeadLetter(reason.into()))
    }

    /// Archives the message as part of the caller's own transaction, so that the message is
    /// done if and when the caller's writes are.
    ///
    /// The answer is certain before the commit: on `false` the lease was lost, somebody
    /// else does the same work, and the transaction should be rolled back.
    ///
    /// # Errors
    ///
    /// Those of every call. An error of the database aborts the transaction.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::{Consumer, MockStore, Producer, Store};
    /// # let store = MockStore::new();
    /// # store.create_queue("tasks")?;
    /// # Producer::new(store.clone(), "tasks")?.enqueue("a")?;
    /// let consumer = Consumer::new(store.clone(), "tasks")?;
    /// for message in consumer.dequeue()? {
    ///     let mut tx = store.begin();
    ///     // … the caller's own writes, in the same transaction …
    ///     if consumer.archive_in(&mut tx, &message)? {
    ///         tx.commit();
    ///     } // else it is dropped, which rolls back
    /// }
    /// assert_eq!(store.archived("tasks").len(), 1);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn archive_in<Tx>(&self, tx: &mut Tx, receipt: impl Into<Receipt>) -> Result<bool>
    where
        Tx: ?Sized,
        S: Transactional<Tx>,
    {
        let settlements = self.settlements([receipt], &Outcome::Archive);
        only(self.store.settle_in(tx, self.queue.id, &settlements)?)
    }

    /// Deletes the message as part of the caller's own transaction; see
    /// [`archive_in`](Self::archive_in).
    ///
    /// # Errors
    ///
    /// As [`archive_in`](Self::archive_in).
    pub fn delete_in<Tx>(&self, tx: &mut Tx, receipt: impl Into<Receipt>) -> Result<bool>
    where
        Tx: ?Sized,
        S: Transactional<Tx>,
    {
        let settlements = self.settlements([receipt], &Outcome::Delete);
        only(self.store.settle_in(tx, self.queue.id, &settlements)?)
    }

    fn settle<R: Into<Receipt>>(
        &self,
        receipts: impl IntoIterator<Item = R>,
        outcome: &Outcome,
    ) -> Result<Vec<bool>> {
        self.store
            .settle(self.queue.id, &self.settlements(receipts, outcome))
    }

    /// The receipts, those of bare ids made out to this worker.
    fn held<R: Into<Receipt>>(
        &self,
        receipts: impl IntoIterator<Item = R>,
    ) -> impl Iterator<Item = Receipt> {
        receipts
            .into_iter()
            .map(|receipt| receipt.into().held_by(self.worker))
    }

    fn settlements<R: Into<Receipt>>(
        &self,
        receipts: impl IntoIterator<Item = R>,
        outcome: &Outcome,
    ) -> Vec<Settlement> {
        self.held(receipts)
            .map(|receipt| Settlement {
                receipt,
                outcome: outcome.clone(),
            })
            .collect()
    }
}

fn only(answers: Vec<bool>) -> Result<bool> {
    match answers[..] {
        [answer] => Ok(answer),
        _ => Err(Error::new(
            ErrorKind::Unexpected,
            format!(
                "the store answered one receipt with {} answers",
                answers.len()
            ),
        )),
    }
}
