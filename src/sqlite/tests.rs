//! The store's insides: flushes, plans, shared transactions. The conformance suite runs on it in
//! `tests/sqlite`.

mod flush;
mod front;
mod plans;
mod shared;
mod wait;

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A store in a file of its own.
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

    /// A store on the same file, as of another process.
    pub(super) fn another(&self) -> SqliteStore {
        SqliteStore::open(self.path()).unwrap()
    }

    pub(super) fn advance(&self, by: Duration) {
        self.store.advance(by).unwrap();
    }

    /// A connection of the test's own.
    pub(super) fn connect(&self) -> Connection {
        let db = Connection::open(self.path()).unwrap();
        db.busy_timeout(Duration::from_secs(60)).unwrap();
        db
    }
}

/// A store in memory.
struct InMemory(SqliteStore);

impl InMemory {
    fn new() -> Self {
        Self(SqliteStore::in_memory().unwrap())
    }
}
