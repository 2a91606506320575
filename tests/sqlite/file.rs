//! A store in a file of a test's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use pgqrs::{SqliteStore, Store};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::example::example;
use crate::process::Process;
use crate::told::MINUTE;

pub(crate) struct InFile {
    // In this order: the directory goes when nobody uses it any more.
    pub(crate) store: SqliteStore,
    directory: TempDir,
}

impl InFile {
    /// With a queue "tasks".
    pub(crate) fn with_tasks() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("queue.db")).unwrap();
        store.create_queue("tasks").unwrap();
        Self { store, directory }
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

    /// A process that works on the file: `tests/support/sqlite_worker.rs` says how.
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
    static WORKER: OnceLock<PathBuf> = OnceLock::new();
    let program = WORKER.get_or_init(|| example("sqlite_worker"));
    Process::run(Command::new(program).arg(path).args(words))
}
