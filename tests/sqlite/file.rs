//! A store in a file of a test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use pgqrs::{SqliteStore, Store};
use rusqlite::Connection;
use tempfile::TempDir;

use pgqrs_test_support::MINUTE;
use pgqrs_test_support::process::Process;

pub(crate) struct InFile {
    // In this order: the directory goes when nobody uses it any more.
    pub(crate) store: SqliteStore,
    directory: TempDir,
}

impl InFile {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("queue.db")).unwrap();
        Self { store, directory }
    }

    /// With a queue "tasks".
    pub(crate) fn with_tasks() -> Self {
        let file = Self::new();
        file.store.create_queue("tasks").unwrap();
        file
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("queue.db")
    }

    /// Closes the store, and keeps the file.
    pub(crate) fn close(self) -> TempDir {
        self.directory
    }

    /// A store on the same file, as in another process.
    pub(crate) fn another(&self) -> SqliteStore {
        SqliteStore::open(self.path()).unwrap()
    }

    /// A connection that knows nothing of the library.
    pub(crate) fn foreign(&self) -> Connection {
        foreign(&self.path())
    }

    /// A process that works on the file: `tests/src/bin/sqlite_worker.rs` says how.
    pub(crate) fn worker(&self, words: &[&str]) -> Process {
        worker(&self.path(), words)
    }
}

pub(crate) fn foreign(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.busy_timeout(MINUTE).unwrap();
    db
}

/// Starts the worker on a path.
pub(crate) fn worker(path: &Path, words: &[&str]) -> Process {
    let program = env!("CARGO_BIN_EXE_sqlite_worker");
    Process::run(Command::new(program).arg(path).args(words))
}
