//! The store in SQLite: the only place that names `rusqlite`.

mod advance;
mod builder;
mod clock;
mod dequeue;
mod dsn;
mod enqueue;
mod fault;
mod install;
mod line;
mod once;
mod place;
mod queues;
mod readers;
mod settle;
mod sql;
mod turn;
mod tx;
mod watch;
mod writer;

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::bell::Bell;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, NewMessage, Outcome, Receipt, Settlement};
use crate::queue::{Counts, IfNotEmpty, Queue, State};
use crate::settings::Settings;
use crate::store::{Dequeue, Store, Wakeups, after_archiving};

use self::dequeue::{Leased, lease, peek};
use self::enqueue::{Batch, enqueue};
use self::fault::Work;
use self::line::{Flush, Line};
use self::place::{Contents, Place};
use self::readers::Readers;
use self::settle::{extend, settle, soonest};
use self::watch::Watch;

pub use self::builder::{Durability, SqliteStoreBuilder};
#[cfg(fuzzing)]
pub(crate) use self::clock::date;
pub use self::install::{SQLITE_SCHEMA, SQLITE_SCHEMA_VERSION};

/// A store in an SQLite database: in a file, without a server, or in memory.
///
/// For command-line tools, desktop programs and devices: the queue is a file that lasts.
/// Any number of threads and of processes on one machine can use it at the same time. Clones
/// are handles to the same connections; use one store per file and process.
///
/// # What a crash leaves
///
/// The file is good after a crash at any point, of the process as well as of the machine. With the
/// default [`Durability::Full`] what `enqueue`, `archive` and all other settlements confirmed is on
/// the disk. A lease may be forgotten if the machine loses power: the message is handed out again.
///
/// # Many at once
///
/// SQLite has one writer at a time. Calls of several threads that come together share one
/// transaction and one flush, so more threads are quicker than one. Processes take turns; a
/// call waits for theirs up to the [`busy_timeout`](SqliteStoreBuilder::busy_timeout).
/// What only reads (counts, and looks into a queue that was empty) waits for nobody who writes.
///
/// Who waits is woken at once by what calls of the same store make ready, and within about 20
/// milliseconds by whatever else writes to the file.
///
/// # The files
///
/// Beside `queue.db` stand `queue.db-wal` and `queue.db-shm`, SQLite's log (part of the database:
/// copy, move, replace or delete them only together, and only while nobody uses them), and
/// `queue.db-turn`, which is empty. All have to be on a disk of the machine, not on a network's.
///
/// What was deleted leaves room in the file that new messages use; the file becomes smaller by
/// SQLite's `VACUUM` only. The log is copied back into it every 16 MiB, and is larger only while
/// some reader holds a snapshot from before: a transaction that stays open, a backup.
///
/// # The clock
///
/// The machine's, which all processes on it share. When it is set back, leases last and
/// delayed messages wait that much longer; when it is set forward, they end sooner. What is ready
/// stays so.
///
/// # Examples
///
/// ```
/// use pgqrs::{Consumer, Producer, SqliteStore, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("queue.db");
/// let store = SqliteStore::open(&path)?; // makes the file, if there is none
/// store.create_queue("tasks")?;
/// Producer::new(store.clone(), "tasks")?.enqueue("work")?;
///
/// let consumer = Consumer::new(store, "tasks")?;
/// for message in consumer.dequeue()? {
///     assert_eq!(message.payload, "work");
///     consumer.archive(&message)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

/// In the order in which it ends: the connection that writes is the last, and tidies up.
struct Inner {
    watch: Watch,
    /// What a file is read with, beside who writes.
    readers: Option<Readers>,
    line: Line,
    place: Place,
    settings: Settings,
    /// Whether the schema's version was seen to be ours.
    checked: AtomicBool,
    /// Queues in which the last look found nothing.
    quiet: Mutex<HashSet<i64>>,
}

impl SqliteStore {
    /// Does what a call wants in a transaction.
    fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        flush: Flush,
        work: impl FnOnce(&Connection) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        self.inner.line.run(doing, flush, work)
    }

    /// Does what needs no transaction of its own, beside whoever writes.
    fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        match &self.inner.readers {
            Some(readers) => readers
                .with(work)?
                .map_err(|fault| fault.error(doing, &self.inner.place.to_string())),
            None => self.write(doing, Flush::No, work),
        }
    }

    /// For calls by the queue's name, with which everything begins: looks once whether the
    /// schema is ours.
    fn check_schema(&self) -> Result<()> {
        if !self.inner.checked.load(Ordering::Relaxed) {
            install::check(self.contents()?, &self.inner.place.to_string())?;
            self.inner.checked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn contents(&self) -> Result<Contents> {
        self.read("read the schema's version", |db| Ok(place::contents(db)?))
    }

    /// Whether there is nothing to be had in a queue that had nothing before: asked without
    /// keeping anybody from writing.
    fn is_empty(&self, queue_id: i64) -> Result<bool> {
        if !self.quiet().contains(&queue_id) || !self.inner.place.is_file() {
            return Ok(false);
        }
        let peeked = self.read("look for messages", move |db| {
            peek(db, queue_id, clock::now())
        })?;
        // An error for a queue that is not there any more is the dequeue's.
        let Some(peeked) = peeked else {
            return Ok(false);
        };
        if let Some(next) = peeked.next {
            self.inner.watch.look_again(queue_id, next);
        }
        Ok(!peeked.ready)
    }

    /// Leases, and looks on behind what cannot be read: an empty answer means that there is
    /// nothing.
    fn lease(&self, dequeue: &Dequeue, limit: i32) -> Result<Vec<Message>> {
        loop {
            let request = *dequeue;
            let leased = self.write("dequeue messages", Flush::No, move |db| {
                lease(db, &request, limit)
            })?;
            let is_nothing = leased.is_empty();
            let messages = self.take_in(dequeue, leased);
            if is_nothing || !messages.is_empty() {
                return Ok(messages);
            }
        }
    }

    /// Makes messages of what was leased, and gives those up that cannot be read.
    fn take_in(&self, dequeue: &Dequeue, leased: Leased) -> Vec<Message> {
        let queue_id = dequeue.queue_id;
        match leased.is_empty() {
            true => self.quiet().insert(queue_id),
            false => self.quiet().remove(&queue_id),
        };
        if let Some(next) = leased.next {
            self.inner.watch.look_again(queue_id, next);
        }
        let (messages, unreadable) = leased.messages(dequeue);
        let give_up = |(receipt, why): (Receipt, String)| Settlement {
            receipt,
            outcome: Outcome::DeadLetter(format!("the payload cannot be read: {why}")),
        };
        let settlements: Vec<Settlement> = unreadable.into_iter().map(give_up).collect();
        if !settlements.is_empty() {
            // Where it fails, the next delivery tries again.
            let _ = self.settle(queue_id, &settlements);
        }
        messages
    }

    /// Wakes those who wait for messages that become ready after a delay.
    fn wake(&self, queue_id: i64, delay: Duration) {
        match delay.is_zero() {
            true => self.inner.watch.ring(queue_id),
            false => {
                let at = clock::after(clock::now(), delay);
                self.inner.watch.look_again(queue_id, at);
            }
        }
    }

    fn quiet(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.inner
            .quiet
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("place", &self.inner.place)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

impl Store for SqliteStore {
    fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// [`open`](SqliteStore::open) does this in a file that it makes. In a database with tables of
    /// others it is to be called once, and adds ours to them.
    fn install(&self) -> Result<()> {
        self.put_schema()
    }

    fn create_queue(&self, name: &str) -> Result<Queue> {
        Queue::check_name(name)?;
        self.check_schema()?;
        let name = name.to_owned();
        self.write("create a queue", Flush::Yes, move |db| {
            queues::create(db, &name)
        })
    }

    fn queue(&self, name: &str) -> Result<Queue> {
        Queue::check_name(name)?;
        self.check_schema()?;
        let name = name.to_owned();
        self.read("look up a queue", move |db| queues::queue(db, &name))
    }

    fn queues(&self) -> Result<Vec<Queue>> {
        self.check_schema()?;
        self.read("list the queues", queues::queues)
    }

    fn delete_queue(&self, name: &str, messages: IfNotEmpty) -> Result<()> {
        Queue::check_name(name)?;
        self.check_schema()?;
        let name = name.to_owned();
        self.write("delete a queue", Flush::Yes, move |db| {
            queues::delete(db, &name, messages)
        })
    }

    fn purge(&self, name: &str, states: &[State]) -> Result<u64> {
        Queue::check_name(name)?;
        self.check_schema()?;
        let (name, states) = (name.to_owned(), states.to_vec());
        self.write("purge a queue", Flush::Yes, move |db| {
            queues::purge(db, queues::queue(db, &name)?.id, &states)
        })
    }

    fn counts(&self, name: &str) -> Result<Counts> {
        let id = self.queue(name)?.id;
        self.read("count messages", move |db| queues::counts(db, id))
    }

    fn register_worker(&self, queue_id: i64, name: &str) -> Result<i64> {
        let name = name.to_owned();
        self.write("register a consumer", Flush::No, move |db| {
            queues::register(db, queue_id, &name)
        })
    }

    fn enqueue(
        &self,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        let batch = Batch::new(queue_id, &messages, delay, &self.inner.settings)?;
        if batch.texts.is_empty() {
            return Ok(Vec::new());
        }
        let work = move |db: &Connection| enqueue(db, &batch);
        let stored = self.write("enqueue messages", Flush::Yes, work)?;
        self.wake(queue_id, delay.unwrap_or_default());
        Ok(stored.messages(queue_id, messages, delay))
    }

    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        let limit = dequeue.check()?;
        if self.is_empty(dequeue.queue_id)? {
            return Ok(Vec::new());
        }
        self.lease(dequeue, limit)
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
        let receipts = receipts.to_vec();
        self.write("extend leases", Flush::No, move |db| {
            extend(db, queue_id, &receipts, by)
        })
    }

    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        let soonest = soonest(settlements);
        let settlements = settlements.to_vec();
        let answers = self.write("settle messages", Flush::Yes, move |db| {
            settle(db, queue_id, &settlements)
        })?;
        if let Some(delay) = soonest {
            self.wake(queue_id, delay);
        }
        Ok(answers)
    }

    /// In one transaction, and one flush.
    fn archive_and_dequeue(
        &self,
        receipts: &[Receipt],
        dequeue: &Dequeue,
    ) -> Result<(Vec<bool>, Vec<Message>)> {
        let limit = dequeue.check()?;
        if receipts.is_empty() {
            return Ok((Vec::new(), self.dequeue(dequeue)?));
        }
        let (request, settlements) = (*dequeue, Settlement::archive_all(receipts));
        let doing = "archive and dequeue messages";
        let (archived, leased) = self.write(doing, Flush::Yes, move |db| {
            let archived = settle(db, request.queue_id, &settlements)?;
            Ok((archived, lease(db, &request, limit)?))
        })?;
        let is_nothing = leased.is_empty();
        let messages = self.take_in(dequeue, leased);
        if is_nothing || !messages.is_empty() {
            return Ok((archived, messages));
        }
        match self.lease(dequeue, limit) {
            Ok(messages) => Ok((archived, messages)),
            Err(error) => Err(after_archiving(&archived, error)),
        }
    }

    fn wakeups(&self, bells: Vec<(i64, Bell)>) -> Option<Box<dyn Wakeups>> {
        self.inner.watch.hang_up(bells)
    }

    fn wakes_consumers(&self) -> bool {
        true
    }
}

fn unknown_queue(queue_id: i64) -> Error {
    let text = format!("there is no queue with id {queue_id}");
    Error::new(ErrorKind::UnknownQueue, text)
}

#[cfg(test)]
mod tests;
