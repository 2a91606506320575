//! The door of the fuzz targets: what is parsed, as far as that goes without opening anything.
//!
//! Under `cfg(fuzzing)` only, which `cargo fuzz` sets: no part of the library otherwise.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use crate::connect::Scheme;
use crate::error::Result;
use crate::mock::MockStore;
use crate::pg::{self, PgStore, PgStoreBuilder};
use crate::settings::Settings;
use crate::sqlite::{self, SqliteStoreBuilder};
use crate::vars::Vars;

/// What would be opened.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Parsed {
    Postgres {
        config: Box<crate::postgres::Config>,
        schema: String,
        pool_size: u32,
        connection_timeout: Duration,
        statement_timeout: Option<Duration>,
        prepared_statements: bool,
        settings: Settings,
        /// What each connection is sent first.
        on_connect: String,
    },
    Sqlite {
        /// `None`: in memory.
        path: Option<PathBuf>,
        busy_timeout: Duration,
        settings: Settings,
    },
    Mock {
        settings: Settings,
    },
}

/// What [`connect`](crate::connect()) would open.
pub fn dsn(dsn: &str) -> Result<Parsed> {
    match Scheme::of(dsn)? {
        Scheme::Postgres => postgres_dsn(dsn),
        Scheme::Sqlite => sqlite(&SqliteStoreBuilder::from_dsn(dsn)?),
        Scheme::Mock => Ok(Parsed::Mock {
            settings: Settings::default(),
        }),
    }
}

/// What [`PgStore::connect`] would: it takes `key=value` strings as well.
pub fn postgres_dsn(dsn: &str) -> Result<Parsed> {
    postgres(PgStore::builder(dsn))
}

/// What [`connect_from_env`](crate::connect_from_env) would.
pub fn environment(vars: impl IntoIterator<Item = (String, OsString)>) -> Result<Parsed> {
    let vars: Vars = vars.into_iter().collect();
    match Scheme::of(vars.text("PGQRS_DSN")?.unwrap_or_default())? {
        Scheme::Postgres => postgres(PgStoreBuilder::from_vars(&vars)?),
        Scheme::Sqlite => sqlite(&SqliteStoreBuilder::from_vars(&vars)?),
        Scheme::Mock => {
            let mut settings = Settings::default();
            vars.set(&mut settings)?;
            MockStore::builder().settings(settings.clone()).build()?;
            Ok(Parsed::Mock { settings })
        }
    }
}

fn postgres(builder: PgStoreBuilder) -> Result<Parsed> {
    let config = Box::new(builder.config()?);
    Ok(Parsed::Postgres {
        config,
        on_connect: pg::on_connect(true, builder.statement_timeout),
        schema: builder.schema,
        pool_size: builder.pool_size,
        connection_timeout: builder.connection_timeout,
        statement_timeout: builder.statement_timeout,
        prepared_statements: builder.prepared_statements,
        settings: builder.settings,
    })
}

fn sqlite(builder: &SqliteStoreBuilder) -> Result<Parsed> {
    let (path, busy_timeout) = builder.parsed()?;
    Ok(Parsed::Sqlite {
        path,
        busy_timeout,
        settings: builder.settings.clone(),
    })
}

/// A schema's name as it stands in statements.
#[must_use]
pub fn quoted(schema: &str) -> String {
    pg::quote(schema)
}

/// What a dequeue makes of the bytes in a server's `json` column.
pub fn payload(raw: &[u8]) -> Result<Value, String> {
    pg::payload(raw)
}

/// What a number of microseconds is as a date: since 2000, of a server, and since 1970, in a file.
#[must_use]
pub fn dates(micros: i64) -> [OffsetDateTime; 2] {
    [pg::date(micros), sqlite::date(micros)]
}
