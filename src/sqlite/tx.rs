//! Work inside the caller's own transaction.

use std::ops::Deref;
use std::time::Duration;

use rusqlite::Connection;

use super::enqueue::{Batch, enqueue};
use super::settle::settle;
use super::sql;
use super::writer::apart;
use super::{SqliteStore, fault::Work};
use crate::error::Result;
use crate::message::{Message, NewMessage, Settlement};
use crate::store::Transactional;

impl SqliteStore {
    fn in_theirs<T>(
        &self,
        db: &Connection,
        doing: &str,
        work: impl FnOnce(&Connection) -> Work<T>,
    ) -> Result<T> {
        self.inner.place.check_same(db)?;
        let work = |db: &Connection| {
            // First of all: SQLite waits for other writers only where nothing was read before.
            db.prepare_cached(sql::WRITE_NOTHING)?.execute([])?;
            work(db)
        };
        apart(db, work).map_err(|fault| fault.error(doing, "the caller's transaction"))
    }
}

/// With whatever dereferences to a `rusqlite::Connection` to the same file: a `Transaction`, a
/// `Savepoint`, a `&Connection`, one out of a pool.
///
/// Let the transaction be an immediate one (`TransactionBehavior::Immediate`), or a deferred one
/// that has read nothing before: SQLite refuses to let one write that has read what others have
/// changed since ([`Unavailable`](crate::ErrorKind::Unavailable)). While it is open, nobody else
/// can write to the file, not even another call of this store: make it short.
///
/// It waits for its own connection's `busy_timeout`, and is not in the line in which calls of
/// stores wait: beside a store that writes without pause it has to wait for a second now and then,
/// and sometimes for several, as SQLite looks ever more seldom. What it commits is on the disk as
/// its connection says (`synchronous`), and wakes who waits within about 20 milliseconds.
///
/// A transaction on another database is refused ([`Invalid`](crate::ErrorKind::Invalid)); so is
/// each for a store in memory, to which there is no other connection.
///
/// Each call is done wholly or not at all, whatever becomes of the rest; on a connection in no
/// transaction it is one of its own.
impl<C: Deref<Target = Connection>> Transactional<C> for SqliteStore {
    fn enqueue_in(
        &self,
        tx: &mut C,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        let batch = Batch::new(queue_id, &messages, delay, &self.inner.settings)?;
        if batch.texts.is_empty() {
            return Ok(Vec::new());
        }
        let stored = self.in_theirs(tx, "enqueue messages", |db| enqueue(db, &batch))?;
        Ok(stored.messages(queue_id, messages, delay))
    }

    fn settle_in(
        &self,
        tx: &mut C,
        queue_id: i64,
        settlements: &[Settlement],
    ) -> Result<Vec<bool>> {
        self.in_theirs(tx, "settle messages", |db| {
            settle(db, queue_id, settlements)
        })
    }
}
