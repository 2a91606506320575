//! Where a database is, as a text: `sqlite://path` or `sqlite::memory:`.

use super::builder::SqliteStoreBuilder;
use super::{Durability, SqliteStore};
use crate::error::{Error, Result};
use crate::vars::{Vars, set};

const FORMS: &str = "sqlite://path (sqlite:///var/lib/app/queue.db, or sqlite://queue.db in the \
                     working directory) or sqlite::memory:";

impl SqliteStore {
    /// Opens a store with the settings in the environment; see [`SqliteStoreBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// As [`SqliteStoreBuilder::from_env`] and [`SqliteStoreBuilder::build`].
    pub fn from_env() -> Result<Self> {
        SqliteStoreBuilder::from_env()?.build()
    }
}

impl SqliteStoreBuilder {
    /// Starts from the environment. What is not set keeps its default; the setters of this
    /// builder still override.
    ///
    /// | variable | setting | for example |
    /// |---|---|---|
    /// | `PGQRS_DSN` | the database; required | `sqlite:///var/lib/app/queue.db`, `sqlite::memory:` |
    /// | `PGQRS_DURABILITY` | [`durability`](Self::durability): `full` or `normal` | `normal` |
    /// | `PGQRS_BUSY_TIMEOUT` | [`busy_timeout`](Self::busy_timeout) | `30s` |
    /// | `PGQRS_LOCK_TIME` | [`lock_time`](Self::lock_time) | `1m 30s` |
    /// | `PGQRS_BATCH` | [`batch`](Self::batch) | `50` |
    /// | `PGQRS_POLL_INTERVAL` | [`poll_interval`](Self::poll_interval) | `100ms` |
    /// | `PGQRS_PAYLOAD_LIMIT` | [`payload_limit`](Self::payload_limit), bytes | `65536` |
    /// | `PGQRS_KEY_RETENTION` | [`key_retention`](Self::key_retention) | `12h` |
    ///
    /// What follows `sqlite://` is the path as it stands: nothing in it is decoded, and there are
    /// no parameters. A path with a `:` and then an `@` is refused, unseen: a password may be in
    /// it.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if `PGQRS_DSN` is not set or of another form, or a
    /// value does not parse: it names the variable, and the value except the DSN's.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(&Vars::of_the_process())
    }

    pub(crate) fn from_vars(vars: &Vars) -> Result<Self> {
        let Some(dsn) = vars.text("PGQRS_DSN")? else {
            let text = format!("PGQRS_DSN is not set: it names the database, as {FORMS}");
            return Err(Error::invalid(text));
        };
        let mut builder = Self::from_dsn(dsn)?;
        let durability =
            vars.parsed("PGQRS_DURABILITY", "full or normal", |value| match value {
                "full" => Ok(Durability::Full),
                "normal" => Ok(Durability::Normal),
                _ => Err("there are no others"),
            })?;
        set(&mut builder.durability, durability);
        set(&mut builder.busy_timeout, vars.span("PGQRS_BUSY_TIMEOUT")?);
        vars.set(&mut builder.settings)?;
        Ok(builder)
    }

    /// Starts a store where the text says.
    pub(crate) fn from_dsn(dsn: &str) -> Result<Self> {
        let refuse = |why: &str| Err(Error::invalid(format!("the DSN {why}: write {FORMS}")));
        let Some(place) = dsn.strip_prefix("sqlite:") else {
            // Not what it says instead: there may be a password in it.
            return refuse("does not begin with \"sqlite:\"");
        };
        if place == ":memory:" {
            return Ok(Self::in_memory());
        }
        match place.strip_prefix("//") {
            None => refuse("has no \"//\" after \"sqlite:\""),
            Some("") => refuse("names no file after \"sqlite://\""),
            Some(":memory:") => refuse("has a \"//\" too many before \":memory:\""),
            Some(path) if path.contains('?') => {
                refuse("has a \"?\" after \"sqlite://\", and parameters are not supported")
            }
            // As it may be another database's, the error that there is no such file must not
            // repeat it.
            Some(path)
                if path
                    .split_once(':')
                    .is_some_and(|(_, rest)| rest.contains('@')) =>
            {
                refuse(
                    "has a \":\" and then an \"@\" after \"sqlite://\", as if there were user and \
                     password; a file of such a name is for SqliteStore::open",
                )
            }
            Some(path) => Ok(SqliteStore::builder(path)),
        }
    }
}

#[cfg(test)]
mod tests;
