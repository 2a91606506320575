//! A server that counts what it is sent.

use pgqrs::{PgStore, Store};
use postgres::{Client, NoTls};

use pgqrs_test_support::{Cluster, private_server};

/// A server of its own with `pg_stat_statements`, and whoever asks it.
pub(crate) struct Counting {
    pub(crate) monitor: Client,
    // Last, so that it is removed when nobody is connected any more.
    server: Cluster,
}

/// What was sent to one database, and what it cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) statements: f64,
    /// Bytes of write-ahead log, commits apart.
    pub(crate) wal: f64,
    /// Visits to pages of tables and indexes.
    pub(crate) pages: f64,
}

impl Counting {
    pub(crate) fn new() -> Self {
        let server = private_server();
        // Page images come whenever a checkpoint came before: nothing to count on.
        for setting in [
            "shared_preload_libraries = 'pg_stat_statements'",
            "full_page_writes = off",
        ] {
            let sql = format!("ALTER SYSTEM SET {setting}");
            server.connect().batch_execute(&sql).unwrap();
        }
        server.restart_immediate();
        let mut monitor = server.connect();
        monitor
            .batch_execute("CREATE EXTENSION pg_stat_statements")
            .unwrap();
        Self { monitor, server }
    }

    /// A new database of this name, with the schema and these queues.
    pub(crate) fn store(&mut self, database: &str, queues: &[&str]) -> PgStore {
        let sql = format!("CREATE DATABASE {database}");
        self.monitor.batch_execute(&sql).unwrap();
        let store = PgStore::connect(&self.dsn(database)).unwrap();
        store.install().unwrap();
        for queue in queues {
            store.create_queue(queue).unwrap();
        }
        store
    }

    pub(crate) fn client(&self, database: &str) -> Client {
        Client::connect(&self.dsn(database), NoTls).unwrap()
    }

    pub(crate) fn dsn(&self, database: &str) -> String {
        let (address, _) = self.server.dsn().rsplit_once('/').unwrap();
        format!("{address}/{database}")
    }

    /// What the database has cost so far.
    pub(crate) fn so_far(&mut self, database: &str) -> Cost {
        let sql = "SELECT sum(calls)::float8, sum(wal_bytes)::float8,
                          sum(shared_blks_hit + shared_blks_read)::float8
                   FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
                   WHERE d.datname = $1";
        let row = self.monitor.query_one(sql, &[&database]).unwrap();
        Cost {
            statements: row.get(0),
            wal: row.get(1),
            pages: row.get(2),
        }
    }

    /// What it cost the database to do this.
    pub(crate) fn cost<T>(&mut self, database: &str, work: impl FnOnce() -> T) -> (Cost, T) {
        let before = self.so_far(database);
        let done = work();
        let after = self.so_far(database);
        let cost = Cost {
            statements: after.statements - before.statements,
            wal: after.wal - before.wal,
            pages: after.pages - before.pages,
        };
        (cost, done)
    }
}
