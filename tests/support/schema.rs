//! A private schema in the shared server.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{dsn, server};

/// The name of a schema in the shared server that nobody else uses. The schema
/// itself is the test's to create; dropping this drops it with all that is in
/// it.
///
/// Declare it before whatever uses the schema, so that it is dropped last: an
/// open transaction would hold up the `DROP SCHEMA`.
#[derive(Debug)]
pub struct Schema {
    /// The name, not quoted.
    name: String,
}

impl Schema {
    /// Reserves a plain name, such as `pgqrs_test_4711_5f2a_1`.
    #[track_caller]
    #[allow(
        clippy::new_without_default,
        reason = "each one is another, and starts a server: no default value"
    )]
    pub fn new() -> Self {
        Self::named("pgqrs_test")
    }

    /// Reserves a name that begins with `prefix`, which may have to be quoted.
    ///
    /// # Panics
    ///
    /// If there is no server, or the name is longer than PostgreSQL allows.
    #[track_caller]
    pub fn named(prefix: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        // So that a name without its server fails here and not in Drop.
        server();
        let name = format!(
            "{prefix}_{}_{:x}_{}",
            std::process::id(),
            stamp(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        assert!(
            name.len() < 64,
            "PostgreSQL would cut this name short: {name}"
        );
        Self { name }
    }

    /// The name, not quoted.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The DSN of the shared server. It does not mention the schema.
    pub fn dsn(&self) -> &'static str {
        server().dsn()
    }

    /// A new connection whose `search_path` is this schema alone.
    ///
    /// # Panics
    ///
    /// If the server does not take it.
    #[track_caller]
    pub fn connect(&self) -> postgres::Client {
        let mut client = server().connect();
        let sql = format!("SET search_path TO {}", self.quoted());
        if let Err(err) = client.batch_execute(&sql) {
            panic!("{sql}: {}", dsn::causes(&err));
        }
        client
    }

    /// The name as SQL writes it.
    fn quoted(&self) -> String {
        format!("\"{}\"", self.name.replace('"', "\"\""))
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // A transaction that a failed test left open must not hang the run.
        let sql = format!(
            "SET lock_timeout = '10s'; SET client_min_messages = warning; \
             DROP SCHEMA IF EXISTS {} CASCADE",
            self.quoted()
        );
        let dropped = dsn::connect(self.dsn()).and_then(|mut client| {
            client
                .batch_execute(&sql)
                .map_err(|err| format!("{sql}: {}", dsn::causes(&err)))
        });
        if let Err(why) = dropped
            && !std::thread::panicking()
        {
            panic!("{why}");
        }
    }
}

/// Tells this process from an earlier one with the same id, whose schemas may
/// still be in a server that we do not remove.
fn stamp() -> u16 {
    static STAMP: OnceLock<u16> = OnceLock::new();
    *STAMP.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |since| (since.as_millis() & 0xffff) as u16)
    })
}
