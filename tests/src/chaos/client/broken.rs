//! A store with a fault of one's choice: what the audit must be able to find.
//!
//! Each does its work behind the back of the library, on a connection of its own.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use pgqrs::postgres::types::ToSql;
use pgqrs::postgres::{Client, NoTls, Row};
use pgqrs::{
    Dequeue, Error, ErrorKind, Layer, Message, NewMessage, Outcome, PgStore, Receipt, Result,
    Settlement, Store, Transactional,
};

use super::variable;

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $name:literal,)+) => {
        /// What is wrong with the store.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault { $($(#[$doc])* $fault),+ }

        impl Fault {
            pub(crate) const ALL: &[Self] = &[$(Self::$fault),+];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$fault => $name),+ }
            }
        }
    };
}

faults! {
    /// A late delivery archives under the receipt of whoever has the message by now.
    NoFence = "no-fence",
    /// A release deletes the message.
    ReleaseLost = "release-lost",
    /// A release is confirmed and not done: the message comes back when its lease is over.
    ReleaseForgotten = "release-forgotten",
    /// An archiving puts the message into the archive a second time.
    ArchivedTwice = "archived-twice",
    /// Whoever asks is told that it has archived the message.
    AcknowledgedTwice = "acknowledged-twice",
    /// An archiving is confirmed and not done.
    ArchiveForgotten = "archive-forgotten",
    /// What is enqueued is confirmed and thrown away.
    EnqueueLost = "enqueue-lost",
    /// What is enqueued has no state.
    EnqueueHalf = "enqueue-half",
    /// What is enqueued is confirmed, and stored twice.
    EnqueueTwice = "enqueue-twice",
    /// An enqueue is said to have failed for certain, and is done.
    EnqueueAfterAll = "enqueue-after-all",
    /// Of a batch only half is stored, and nobody knows its fate.
    EnqueueInPart = "enqueue-in-part",
    /// What is enqueued with a key is enqueued without.
    KeysIgnored = "keys-ignored",
    /// A payload is another one afterwards.
    PayloadChanged = "payload-changed",
    /// A dequeue hides nothing.
    LeasedTwice = "leased-twice",
    /// An extension is confirmed and not done.
    ExtensionForgotten = "extension-forgotten",
    /// A lease is over at once.
    LeaseTaken = "lease-taken",
    /// A message is given up at its first failure.
    GivenUp = "given-up",
    /// A message is gone from its state, and nobody has asked for it.
    EndedUnasked = "ended-unasked",
    /// The handler's row is written outside the transaction (which is the worker's to do).
    EffectApart = "effect-apart",
    /// An enqueue does not wait for the disk.
    Unflushed = "unflushed",
}

/// One message in so many has it, so that the others go their way.
const ONE_IN: i64 = 7;

#[derive(Clone)]
pub(crate) struct Broken {
    inner: PgStore,
    fault: Option<Fault>,
    /// Opened by those faults that need it.
    behind: Arc<OnceLock<Mutex<Client>>>,
}

impl std::fmt::Debug for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broken")
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl Broken {
    pub(crate) fn new(inner: PgStore, fault: Option<Fault>) -> Self {
        Self {
            inner,
            fault,
            behind: Arc::default(),
        }
    }

    /// The connection behind the library's back.
    fn behind(&self) -> MutexGuard<'_, Client> {
        let client = self.behind.get_or_init(|| {
            let mut client = Client::connect(&std::env::var("PGQRS_DSN").unwrap(), NoTls).unwrap();
            let schema: String = variable("PGQRS_SCHEMA").unwrap();
            let path = format!("SET search_path = \"{schema}\"");
            client.batch_execute(&path).unwrap();
            Mutex::new(client)
        });
        client.lock().unwrap()
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Does something behind the library's back.
    fn query(&self, sql: &str, args: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        self.behind().query(sql, args).unwrap()
    }

    fn enqueue_wrongly(
        &self,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        let again: Vec<NewMessage> = messages
            .iter()
            .map(|message| NewMessage::from(message.payload().clone()))
            .collect();
        let has_keys = messages.iter().any(|message| message.key().is_some());
        // With a key it would be repeated for ever.
        if self.has(Fault::EnqueueInPart) && messages.len() > 1 && !has_keys {
            let half = messages.len() / 2;
            let half = messages.into_iter().take(half).collect();
            self.inner.enqueue(queue_id, half, delay)?;
            return Err(Error::new(ErrorKind::FateUnknown, "half of it is done"));
        }
        let stored = self.inner.enqueue(queue_id, messages, delay)?;
        let chosen: Vec<i64> = stored.iter().map(|message| message.id).collect();
        let chosen: Vec<i64> = chosen.into_iter().filter(|id| id % ONE_IN == 0).collect();
        if chosen.is_empty() {
            return Ok(stored);
        }
        const TAKE: &str = "
            WITH a AS (DELETE FROM pgqrs_live WHERE id = ANY ($1)),
                 b AS (DELETE FROM pgqrs_scheduled WHERE id = ANY ($1))
            SELECT 1";
        const TAKE_BODIES: &str = "DELETE FROM pgqrs_messages WHERE id = ANY ($1)";
        match self.fault {
            Some(Fault::EnqueueLost) => {
                self.query(TAKE, &[&chosen]);
                self.query(TAKE_BODIES, &[&chosen]);
            }
            Some(Fault::EnqueueHalf) => drop(self.query(TAKE, &[&chosen])),
            Some(Fault::EnqueueTwice) => drop(self.inner.enqueue(queue_id, again, delay)?),
            // Its producer tries again, many times over if the batch is a long one.
            Some(Fault::EnqueueAfterAll) if !has_keys => {
                return Err(Error::new(ErrorKind::Unavailable, "which is not true"));
            }
            Some(Fault::PayloadChanged) => drop(self.query(
                "UPDATE pgqrs_messages
                 SET payload = replace(payload::text, '\"pad\":\"', '\"pad\":\"y')::json
                 WHERE id = ANY ($1)",
                &[&chosen],
            )),
            _ => {}
        }
        Ok(stored)
    }

    /// The settlement that is made instead of this one; `None`: none, and the answer is yes.
    fn twisted(&self, settlement: &Settlement) -> Option<Settlement> {
        let Settlement { receipt, outcome } = settlement;
        let instead = |outcome| {
            Some(Settlement {
                receipt: *receipt,
                outcome,
            })
        };
        let is_release = matches!(outcome, Outcome::Release { .. });
        let is_chosen = receipt.id() % ONE_IN == 0;
        match (self.fault, outcome) {
            (Some(Fault::ReleaseLost), _) if is_release => instead(Outcome::Delete),
            (Some(Fault::ReleaseForgotten), _) if is_release => None,
            (Some(Fault::GivenUp), _) if is_release => {
                instead(Outcome::DeadLetter("too early".to_owned()))
            }
            (Some(Fault::ArchiveForgotten), Outcome::Archive) if is_chosen => None,
            (Some(Fault::NoFence), _) => Some(Settlement {
                receipt: self.whoever_owns(receipt),
                outcome: outcome.clone(),
            }),
            _ => Some(settlement.clone()),
        }
    }

    /// The receipt of the delivery that owns the message now.
    fn whoever_owns(&self, receipt: &Receipt) -> Receipt {
        let sql = "
            SELECT queue_id, vt::text, worker, read_ct, attempt FROM pgqrs_live
            WHERE id = $1 AND worker > 0";
        let rows = self.query(sql, &[&receipt.id()]);
        let Some(row) = rows.first() else {
            return *receipt;
        };
        let now = pgqrs::time::OffsetDateTime::now_utc();
        Receipt::from(&Message {
            id: receipt.id(),
            queue_id: row.get(0),
            payload: pgqrs::serde_json::Value::Null,
            enqueued_at: now,
            vt: now,
            read_ct: row.get(3),
            attempt: row.get(4),
            lapsed: false,
            worker: Some(row.get(2)),
        })
    }

    fn settle_wrongly(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        let twisted: Vec<Option<Settlement>> =
            settlements.iter().map(|s| self.twisted(s)).collect();
        let made: Vec<Settlement> = twisted.iter().flatten().cloned().collect();
        let mut answers = self.inner.settle(queue_id, &made)?.into_iter();
        let answers: Vec<bool> = twisted
            .iter()
            .map(|made| made.is_none() || answers.next().unwrap())
            .collect();
        let archived = settlements.iter().zip(&answers);
        let archived = archived.filter(|(s, _)| s.outcome == Outcome::Archive);
        let ids: Vec<i64> = archived.map(|(s, _)| s.receipt.id()).collect();
        match self.fault {
            Some(Fault::ArchivedTwice) => {
                let sql = "
                    INSERT INTO pgqrs_done SELECT * FROM pgqrs_done
                    WHERE id = ANY ($1) AND id % 7 = 0";
                self.query(sql, &[&ids]);
                Ok(answers)
            }
            Some(Fault::AcknowledgedTwice) => {
                self.inner.settle(queue_id, settlements)?;
                Ok(vec![true; settlements.len()])
            }
            _ => Ok(answers),
        }
    }
}

impl Layer for Broken {
    type Inner = PgStore;

    fn inner(&self) -> &PgStore {
        &self.inner
    }
    fn enqueue(
        &self,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        match self.fault {
            None => self.inner.enqueue(queue_id, messages, delay),
            Some(Fault::KeysIgnored) => {
                let bare = |message: NewMessage| NewMessage::from(message.into_payload());
                let messages = messages.into_iter().map(bare).collect();
                self.inner.enqueue(queue_id, messages, delay)
            }
            Some(Fault::Unflushed) => {
                let mut client = self.behind();
                client
                    .batch_execute("SET synchronous_commit = off")
                    .unwrap();
                self.inner
                    .enqueue_in(&mut *client, queue_id, messages, delay)
            }
            Some(_) => self.enqueue_wrongly(queue_id, messages, delay),
        }
    }
    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        let messages = self.inner.dequeue(dequeue)?;
        let ids: Vec<i64> = messages.iter().map(|message| message.id).collect();
        match self.fault {
            Some(Fault::LeasedTwice) => drop(self.query(
                "UPDATE pgqrs_live SET vt = now(), read_ct = read_ct - 1 WHERE id = ANY ($1)",
                &[&ids],
            )),
            Some(Fault::LeaseTaken) => drop(self.query(
                "UPDATE pgqrs_live SET vt = now() WHERE id = ANY ($1)",
                &[&ids],
            )),
            Some(Fault::EndedUnasked) => drop(self.query(
                "WITH taken AS (
                     DELETE FROM pgqrs_live WHERE id = ANY ($1) AND id % 7 = 0
                     RETURNING queue_id, id, read_ct, attempt)
                 INSERT INTO pgqrs_done (queue_id, id, read_ct, attempt) SELECT * FROM taken",
                &[&ids],
            )),
            _ => {}
        }
        Ok(messages)
    }
    fn extend_visibility(
        &self,
        queue_id: i64,
        receipts: &[Receipt],
        by: Duration,
    ) -> Result<Vec<bool>> {
        match self.fault {
            // Nobody must learn of it before the settlement.
            Some(Fault::NoFence | Fault::AcknowledgedTwice) => Ok(vec![true; receipts.len()]),
            Some(Fault::ExtensionForgotten) => Ok(vec![true; receipts.len()]),
            _ => self.inner.extend_visibility(queue_id, receipts, by),
        }
    }
    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        match self.fault {
            None => self.inner.settle(queue_id, settlements),
            Some(_) => self.settle_wrongly(queue_id, settlements),
        }
    }
    fn archive_and_dequeue(
        &self,
        receipts: &[Receipt],
        dequeue: &Dequeue,
    ) -> Result<(Vec<bool>, Vec<Message>)> {
        self.inner.archive_and_dequeue(receipts, dequeue)
    }
}
