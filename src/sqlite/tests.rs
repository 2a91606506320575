//! The conformance suite on SQLite, in a file and in memory; what is the store's own stands in
//! the modules below.

mod flush;
mod front;
mod plans;
mod shared;
mod wait;

use std::path::PathBuf;

use rusqlite::params;
use tempfile::TempDir;

use super::*;
use crate::span::span_micros;
use crate::testing::{End, Harness, TransactionalHarness};

/// Calls as if time had passed: every moment in the tables is moved into the past.
const ADVANCE: [&str; 5] = [
    "UPDATE pgqrs_live SET vt = vt - ?1",
    "UPDATE pgqrs_scheduled SET vt = vt - ?1",
    "UPDATE pgqrs_messages SET enqueued_at = enqueued_at - ?1",
    "UPDATE pgqrs_keys SET enqueued_at = enqueued_at - ?1, expires_at = expires_at - ?1",
    "UPDATE pgqrs_queues SET front_vt = front_vt - ?1 WHERE front_vt < 9223372036854775807",
];

fn advance(store: &SqliteStore, by: Duration) {
    let moved = store.write("advance", Flush::No, move |db| {
        for sql in ADVANCE {
            db.execute(sql, params![span_micros(by)])?;
        }
        Ok(())
    });
    moved.unwrap();
    store.inner.watch.ring_all();
}

/// A store in a file of its own; each handle is as one of another process.
pub(super) struct InFile {
    // In this order: the directory goes when nobody uses it any more.
    pub(super) store: SqliteStore,
    pub(super) directory: TempDir,
}

impl InFile {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            store: SqliteStore::open(directory.path().join("queue.db")).unwrap(),
            directory,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("queue.db")
    }

    /// A connection of the test's own.
    pub(super) fn connect(&self) -> Connection {
        let db = Connection::open(self.path()).unwrap();
        db.busy_timeout(Duration::from_secs(60)).unwrap();
        db
    }
}

impl Harness for InFile {
    type Store = SqliteStore;

    fn store(&self) -> SqliteStore {
        SqliteStore::open(self.path()).unwrap()
    }

    fn advance(&self, by: Duration) {
        advance(&self.store, by);
    }
}

impl TransactionalHarness for InFile {
    type Tx = Box<Connection>;

    fn transaction<T>(&self, end: End, work: impl FnOnce(&mut Box<Connection>) -> T) -> T {
        let mut db = Box::new(self.connect());
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        let value = work(&mut db);
        db.execute_batch(match end {
            End::Commit => "COMMIT",
            End::Rollback => "ROLLBACK",
        })
        .unwrap();
        value
    }
}

/// A store in memory.
struct InMemory(SqliteStore);

impl InMemory {
    fn new() -> Self {
        Self(SqliteStore::in_memory().unwrap())
    }
}

impl Harness for InMemory {
    type Store = SqliteStore;

    fn store(&self) -> SqliteStore {
        self.0.clone()
    }

    fn advance(&self, by: Duration) {
        advance(&self.0, by);
    }
}

mod in_file {
    crate::testing::conformance!(super::InFile::new());
}

mod transactions {
    crate::testing::transactional_conformance!(super::InFile::new());
}

mod in_memory {
    crate::testing::conformance!(super::InMemory::new());
}
