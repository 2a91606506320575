//! The store in PostgreSQL: the only place that names `postgres` and `r2d2`.

mod builder;
mod dequeue;
mod dsn;
mod fault;
mod hint;
mod install;
mod listen;
mod manager;
mod parts;
mod pool;
mod row;
mod settle;
mod sql;
mod together;
mod tx;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postgres::Row;

use crate::bell::Bell;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, NewMessage, Outcome, Receipt, Settlement};
use crate::queue::{Counts, IfNotEmpty, Queue, State};
use crate::settings::Settings;
use crate::span::span_micros;
use crate::store::{Dequeue, Store, Wakeups};

use self::hint::Hints;
use self::listen::Listening;
use self::parts::{STATEMENT, To, enqueue_parts, statements};
use self::pool::{Database, Repeat, Run};
use self::settle::Plan;
use self::sql::Statement;
use self::together::Together;

pub use self::builder::PgStoreBuilder;
pub use self::install::{SCHEMA, SCHEMA_VERSION};
#[cfg(fuzzing)]
pub(crate) use self::{
    row::{date, payload},
    sql::{on_connect, quote},
};

/// How often a queue that is to be deleted with its messages is emptied at most: each pass
/// leaves only what moved during it, and where consumers are, the second one leaves nothing.
const PURGE_PASSES: usize = 10;

/// A store in PostgreSQL (14 or newer), over a pool of connections.
///
/// Clones are handles to the same pool; use one store per database and process. The
/// schema is put there by [`install`](Store::install), explicitly.
///
/// # Connections that die
///
/// After a restart of the server, or when it ends a session, the store reconnects by
/// itself. A call that certainly was not carried out is sent again; one whose fate nobody
/// can know fails with [`FateUnknown`](ErrorKind::FateUnknown), unless twice is as good as once:
/// so an enqueue of messages that all have keys ([`NewMessage::with_key`]) is sent again.
/// A call that a deadlock has undone is made again as well, up to three times; then it fails with
/// [`Unavailable`](ErrorKind::Unavailable).
///
/// A peer that is gone without a word (a cut cable, a machine without power) is noticed by TCP
/// within about a minute, unless the DSN sets `keepalives_idle`, `keepalives_interval`,
/// `keepalives_retries` or `tcp_user_timeout` itself.
///
/// With several hosts in the DSN and `target_session_attrs=read-write`, as in
/// `postgresql://a,b/mydb?target_session_attrs=read-write`, it goes to whichever is the primary, also
/// after a failover.
///
/// # Payloads that it cannot read
///
/// What somebody wrote into the tables by other means may be valid JSON and still more
/// than this library reads, such as `1e999`. A dequeue that comes upon such a message sends
/// it to the dead letters, with the reason, and goes on with the others.
///
/// # Using it from async code
///
/// Every call blocks its thread, and panics on a thread of an async runtime, as the
/// `postgres` crate does: call it inside `spawn_blocking`.
///
/// # Examples
///
/// ```no_run
/// use pgqrs::{Consumer, PgStore, Producer, Store};
/// use serde_json::json;
///
/// let store = PgStore::connect("postgresql://localhost/mydb")?;
/// store.install()?;
/// store.create_queue("tasks")?;
///
/// let producer = Producer::new(store.clone(), "tasks")?;
/// producer.enqueue(&json!({"action": "send_email"}))?;
///
/// let consumer = Consumer::new(store, "tasks")?;
/// for message in consumer.iter() {
///     let message = message?;
///     println!("{}", message.payload);
///     consumer.archive(&message)?;
/// }
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[derive(Clone)]
pub struct PgStore {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    settings: Settings,
    hints: Hints,
    together: Together,
    /// Whether the schema's version was seen to be ours.
    checked: AtomicBool,
}

impl PgStore {
    /// Forgets where the scans for ready messages start, so that the next dequeue of each
    /// queue looks at all of them.
    ///
    /// The store does so by itself, several times a second, on a budget. Of use to those who
    /// change the tables by hand and do not want to wait for it.
    pub fn forget_scan_hints(&self) {
        self.inner.hints.forget(Instant::now());
    }

    fn call<T>(
        &self,
        doing: &str,
        repeat: Repeat,
        work: impl FnMut(&mut pool::Session<'_>) -> Result<T, postgres::Error>,
    ) -> Result<T> {
        self.inner.database.call(doing, repeat, work)
    }

    /// The same for calls by the queue's name, with which everything begins: looks once
    /// whether the schema is ours.
    fn checked_call<T>(
        &self,
        doing: &str,
        repeat: Repeat,
        work: impl FnMut(&mut pool::Session<'_>) -> Result<T, postgres::Error>,
    ) -> Result<T> {
        if !self.inner.checked.load(Ordering::Relaxed) {
            self.check_schema()?;
            self.inner.checked.store(true, Ordering::Relaxed);
        }
        self.call(doing, repeat, work)
    }

    fn to_queue(&self, queue_id: i64, delay: Option<Duration>) -> To {
        To {
            queue_id,
            delay: delay.map(span_micros),
            retention: span_micros(self.inner.settings.key_retention),
        }
    }

    /// Tells the hints of messages that this process has scheduled.
    fn note_scheduled(&self, queue_id: i64, delay: Duration) {
        let hints = &self.inner.hints;
        hints.due_at(queue_id, Instant::now().checked_add(delay));
    }
}

impl fmt::Debug for PgStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgStore")
            .field("schema", &self.inner.database.texts().schema)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

impl Store for PgStore {
    fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Creates the PostgreSQL schema that the builder names (default `public`) if it is not
    /// there, and in it everything of `schema.sql`, in one transaction.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied), with what the server says, if its user may not create
    /// schemas or tables here; else those of the trait.
    fn install(&self) -> Result<()> {
        self.put_schema()
    }

    fn create_queue(&self, name: &str) -> Result<Queue> {
        Queue::check_name(name)?;
        let created = self.checked_call("create a queue", Repeat::Harmless, |db| {
            one(db.run(Statement::CreateQueue, &[&name])?, row::queue)
        })?;
        // No row: another session was just creating it, and has by now.
        created.map_or_else(|| self.queue(name), Ok)
    }

    fn queue(&self, name: &str) -> Result<Queue> {
        Queue::check_name(name)?;
        self.checked_call("look up a queue", Repeat::Harmless, |db| {
            one(db.run(Statement::Queue, &[&name])?, row::queue)
        })?
        .ok_or_else(|| unknown_queue(&format!("named {name:?}")))
    }

    fn queues(&self) -> Result<Vec<Queue>> {
        self.checked_call("list the queues", Repeat::Harmless, |db| {
            db.run(Statement::Queues, &[])?
                .iter()
                .map(row::queue)
                .collect()
        })
    }

    fn delete_queue(&self, name: &str, messages: IfNotEmpty) -> Result<()> {
        let id = self.queue(name)?.id;
        let left = self.call("delete a queue", Repeat::IfUnexecuted, |db| {
            db.atomically(|db| {
                db.client().batch_execute(sql::LOCK_TIMEOUT)?;
                db.run(Statement::LockQueue, &[&id])?;
                // Nothing can be enqueued any more. What a consumer moves from one table to
                // another while one pass looks at both, the next pass finds.
                let passes = match messages {
                    IfNotEmpty::Refuse => 0,
                    IfNotEmpty::Delete => PURGE_PASSES,
                };
                let mut left = bodies(db, id)?;
                for _ in 0..passes {
                    if left == 0 {
                        break;
                    }
                    db.run(Statement::Purge, &[&id, &true, &true, &true, &true, &true])?;
                    left = bodies(db, id)?;
                }
                if left == 0 {
                    db.run(Statement::DeleteQueue, &[&id])?;
                } else {
                    db.undo();
                }
                Ok(left)
            })
        })?;
        if left > 0 && messages == IfNotEmpty::Delete {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("queue {name:?} is too busy to be deleted; nothing was"),
            ));
        }
        if left > 0 {
            return Err(Error::new(
                ErrorKind::QueueNotEmpty,
                format!("queue {name:?} still has messages ({left}), and was not deleted"),
            ));
        }
        Ok(())
    }

    fn purge(&self, name: &str, states: &[State]) -> Result<u64> {
        let id = self.queue(name)?.id;
        let [ready, leased, scheduled, archived, dead] =
            State::ALL.map(|state| states.contains(&state));
        let purged = self.call("purge a queue", Repeat::IfUnexecuted, |db| {
            let rows = db.run(
                Statement::Purge,
                &[&id, &ready, &leased, &scheduled, &archived, &dead],
            )?;
            one(rows, first::<i64>)
        })?;
        Ok(purged
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0))
    }

    fn counts(&self, name: &str) -> Result<Counts> {
        let id = self.queue(name)?.id;
        let counts = self.call("count messages", Repeat::Harmless, |db| {
            one(db.run(Statement::Counts, &[&id])?, row::counts)
        })?;
        Ok(counts.unwrap_or_default())
    }

    fn register_worker(&self, queue_id: i64, name: &str) -> Result<i64> {
        let name = name.replace('\0', "\u{fffd}");
        // Twice leaves a row that nobody uses, for a day.
        self.call("register a consumer", Repeat::Harmless, |db| {
            one(
                db.run(Statement::RegisterWorker, &[&queue_id, &name])?,
                first,
            )
        })?
        .ok_or_else(|| unknown_queue(&format!("with id {queue_id}")))
    }

    fn enqueue(
        &self,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        let texts = NewMessage::encode_all(&messages, self.inner.settings.payload_limit)?;
        let to = self.to_queue(queue_id, delay);
        // With keys, twice is as good as once.
        let repeat = match messages.iter().all(|message| message.key().is_some()) {
            true => Repeat::Harmless,
            false => Repeat::IfUnexecuted,
        };
        let stored = match &statements(&texts, &messages, STATEMENT)[..] {
            [] => return Ok(Vec::new()),
            [all] => self.call("enqueue messages", repeat, |db| row::enqueue(db, to, *all)),
            parts => self.call("enqueue messages", repeat, |db| {
                db.atomically(|db| enqueue_parts(db, to, parts))
            }),
        }?;
        if let Some(delay) = delay {
            self.note_scheduled(queue_id, delay);
        }
        Ok(stored.messages(queue_id, messages))
    }

    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        self.lease(dequeue)
    }

    fn extend_visibility(
        &self,
        queue_id: i64,
        receipts: &[Receipt],
        by: Duration,
    ) -> Result<Vec<bool>> {
        if receipts.is_empty() {
            return Ok(Vec::new());
        }
        let by = span_micros(by);
        let plan = Plan::for_receipts(receipts);
        // Twice is harmless; that the second time extends a little further is, too.
        self.call("extend leases", Repeat::Harmless, |db| {
            match plan.statements() {
                1 => plan.extend(db, queue_id, receipts, by),
                _ => db.atomically(|db| plan.extend(db, queue_id, receipts, by)),
            }
        })
    }

    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.settle_together(queue_id, settlements)?;
        let delays = settlements.iter().filter_map(|s| match s.outcome {
            Outcome::Release { delay, .. } => Some(delay),
            _ => None,
        });
        if let Some(soonest) = delays.min() {
            self.note_scheduled(queue_id, soonest);
        }
        Ok(answers)
    }

    fn archive_and_dequeue(
        &self,
        receipts: &[Receipt],
        dequeue: &Dequeue,
    ) -> Result<(Vec<bool>, Vec<Message>)> {
        self.archive_and_lease(receipts, dequeue)
    }

    /// By LISTEN and NOTIFY, on a connection of its own besides the pool. Where nothing is to
    /// stay on a connection (see [`PgStoreBuilder::prepared_statements`]), there is none.
    fn wakeups(&self, bells: Vec<(i64, Bell)>) -> Option<Box<dyn Wakeups>> {
        if !self.inner.database.texts().keeps_sessions() {
            return None;
        }
        let listening = Listening::start(self.clone(), bells)?;
        Some(Box::new(listening))
    }
}

/// Counts the messages of a queue, in whatever state.
fn bodies(db: &mut impl Run, queue_id: i64) -> Result<i64, postgres::Error> {
    let count = one(db.run(Statement::CountBodies, &[&queue_id])?, first)?;
    Ok(count.unwrap_or(0))
}

/// Reads the only row, if there is one.
fn one<T>(
    rows: Vec<Row>,
    read: impl FnOnce(&Row) -> Result<T, postgres::Error>,
) -> Result<Option<T>, postgres::Error> {
    rows.first().map(read).transpose()
}

/// Reads the only column.
fn first<T>(row: &Row) -> Result<T, postgres::Error>
where
    T: for<'a> postgres::types::FromSql<'a>,
{
    row.try_get(0)
}

fn unknown_queue(which: &str) -> Error {
    Error::new(
        ErrorKind::UnknownQueue,
        format!("there is no queue {which}"),
    )
}
