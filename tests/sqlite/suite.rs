//! The conformance suite on SQLite, in a file and in memory.

use std::time::Duration;

use pgqrs::SqliteStore;
use pgqrs_testing::{End, Harness, TransactionalHarness};
use rusqlite::Connection;

use crate::file::InFile;

/// Each handle is as one of another process.
impl Harness for InFile {
    type Store = SqliteStore;

    fn store(&self) -> SqliteStore {
        self.another()
    }

    fn advance(&self, by: Duration) {
        self.store.advance(by).unwrap();
    }
}

impl TransactionalHarness for InFile {
    type Tx = Box<Connection>;

    fn transaction<T>(&self, end: End, work: impl FnOnce(&mut Box<Connection>) -> T) -> T {
        let mut db = Box::new(self.foreign());
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
        self.0.advance(by).unwrap();
    }
}

mod in_file {
    pgqrs_testing::conformance!(crate::file::InFile::new());
}

mod transactions {
    pgqrs_testing::transactional_conformance!(crate::file::InFile::new());
}

mod in_memory {
    pgqrs_testing::conformance!(super::InMemory::new());
}
