//! The example `quickstart` on PostgreSQL.

use pgqrs::{PgStore, Store};
use pgqrs_test_support::server;
use pgqrs_tests::quickstart::Quickstart;

/// A database of the test's own: the program has no setting for a schema.
struct Database(String);

impl Database {
    fn new() -> Self {
        let database = Self(format!("quickstart_{}", std::process::id()));
        let sql = format!("CREATE DATABASE {}", database.0);
        server().connect().batch_execute(&sql).unwrap();
        database
    }

    fn dsn(&self) -> String {
        let (address, _) = server().dsn().rsplit_once('/').unwrap();
        format!("{address}/{}", self.0)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.0);
        server().connect().batch_execute(&sql).unwrap();
    }
}

#[test]
fn a_killed_quickstart_is_finished_by_the_next_one() {
    let database = Database::new();
    let store = PgStore::connect(&database.dsn()).unwrap();
    store.install().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let quickstart = Quickstart {
        program: env!("CARGO_BIN_EXE_quickstart_on_both"),
        dsn: Some(&database.dsn()),
        directory: directory.path(),
    };
    quickstart.is_finished_by_the_next_one(&store);
}
