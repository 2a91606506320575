//! What a load driver works on: a store in whatever database its DSN names, a queue of its own
//! there, and what that database can say of the work. All of it goes in the end.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pgqrs::{IfNotEmpty, PgStore, Store};
use postgres::{Client, NoTls};
use serde_json::{Map, Value};

use pgqrs_test_support::server;
use pgqrs_test_support::wal::wal_position;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub struct Target {
    pub store: Arc<dyn Store>,
    pub queue: String,
    database: Database,
}

enum Database {
    Postgres {
        monitor: Box<Client>,
        schema: String,
        /// Where the write-ahead log was when the work began.
        wal: i64,
    },
    Embedded {
        store: Arc<dyn Store>,
        queue: String,
        /// None in memory.
        file: Option<PathBuf>,
        /// How large it was when the work began.
        bytes: u64,
    },
}

impl Target {
    /// Without a DSN, starts a throwaway PostgreSQL. `name` is part of what is made there;
    /// `connections` is how many threads call the store at once.
    pub fn open(dsn: Option<&str>, name: &str, connections: usize) -> Result<Self> {
        let queue = format!("{name}-{}", std::process::id());
        let (store, database): (Arc<dyn Store>, _) = match dsn {
            Some(dsn) if !dsn.starts_with("postgres") => {
                let file = dsn.strip_prefix("sqlite://").map(PathBuf::from);
                let store = pgqrs::connect(dsn)?;
                let bytes = file.as_deref().map_or(0, size);
                let database = Database::Embedded {
                    store: Arc::clone(&store),
                    queue: queue.clone(),
                    file,
                    bytes,
                };
                (store, database)
            }
            dsn => {
                let dsn = dsn.unwrap_or_else(|| server().dsn());
                let schema = format!("pgqrs_{name}_{}", std::process::id());
                // First, as it says what is wrong with a DSN without repeating any of it.
                let store = PgStore::builder(dsn)
                    .schema(&schema)
                    .pool_size(u32::try_from(connections)?)
                    .build()?;
                let mut monitor = Client::connect(dsn, NoTls)?;
                let wal = wal_position(&mut monitor)?;
                let database = Database::Postgres {
                    monitor: Box::new(monitor),
                    schema,
                    wal,
                };
                (Arc::new(store), database)
            }
        };
        let target = Self {
            store,
            queue,
            database,
        };
        target.store.install()?;
        target.store.create_queue(&target.queue)?;
        Ok(target)
    }

    /// What the database says of so many messages, which were leased once each at least.
    pub fn figures(mut self, messages: usize) -> Result<Map<String, Value>> {
        drop(self.store); // its sessions end, and with that report their statistics
        let mut figures = Map::new();
        let mut add = |name: &str, value: f64| figures.insert(name.to_owned(), value.into());
        match &mut self.database {
            Database::Postgres {
                monitor,
                schema,
                wal,
            } => {
                let written = (wal_position(monitor)? - *wal) as f64;
                let hot = hot_updates_percent(monitor, schema, messages)?;
                add("wal_bytes_per_message", (written / messages as f64).round());
                add("hot_updates_percent", hot);
            }
            Database::Embedded {
                file: Some(file),
                bytes,
                ..
            } => {
                let grown = size(file).saturating_sub(*bytes) as f64;
                add("file_bytes_per_message", (grown / messages as f64).round());
            }
            Database::Embedded { file: None, .. } => {}
        }
        Ok(figures)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let gone: Result<()> = match self {
            Self::Postgres {
                monitor, schema, ..
            } => monitor
                .batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))
                .map_err(Into::into),
            Self::Embedded { store, queue, .. } => store
                .delete_queue(queue, IfNotEmpty::Delete)
                .map_err(Into::into),
        };
        if let Err(error) = gone {
            eprintln!("what was made there stays behind: {error}");
        }
    }
}

/// The database and its log.
fn size(file: &Path) -> u64 {
    let log = PathBuf::from(format!("{}-wal", file.display()));
    let bytes = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    bytes(file) + bytes(&log)
}

/// The share of leases that wrote no index, once the server has counted them all.
fn hot_updates_percent(monitor: &mut Client, schema: &str, leases: usize) -> Result<f64> {
    let sql = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
               WHERE schemaname = $1 AND relname = 'pgqrs_live'";
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let row = monitor.query_one(sql, &[&schema])?;
        let (updates, hot): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if updates >= i64::try_from(leases)? {
            return Ok((1e4 * hot as f64 / updates as f64).round() / 100.0);
        }
        if Instant::now() > deadline {
            return Err(format!("the server counted {updates} of {leases} leases").into());
        }
        thread::yield_now();
    }
}
