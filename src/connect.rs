//! A store by its DSN: for programs that leave the choice to who runs them.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::mock::MockStore;
#[cfg(feature = "postgres")]
use crate::pg::{PgStore, PgStoreBuilder};
use crate::settings::Settings;
#[cfg(feature = "sqlite")]
use crate::sqlite::SqliteStoreBuilder;
use crate::store::Store;
use crate::vars::Vars;

/// Opens the store that a DSN names, with the default settings.
///
/// | DSN | store |
/// |---|---|
/// | `postgresql://localhost/mydb`, `postgres://…` | as [`PgStore::connect`](crate::PgStore::connect); feature `postgres` |
/// | `sqlite:///var/lib/app/queue.db` | as [`SqliteStore::open`](crate::SqliteStore::open) of that file; feature `sqlite` |
/// | `sqlite://queue.db` | the same, in the working directory |
/// | `sqlite::memory:` | as [`SqliteStore::in_memory`](crate::SqliteStore::in_memory): a new one each time |
/// | `mock:` | as [`MockStore::new`]: a new one each time, whose clock stands still |
///
/// What follows `sqlite://` is the path as it stands: nothing in it is decoded, and there are no
/// parameters (a `?` is refused, and so is a `:` with an `@` after it, as in `user:password@host`).
///
/// Where the schema may be missing, [`Store::install`] puts it there: programs for any store
/// call it at their start.
///
/// # Errors
///
/// [`Invalid`](crate::ErrorKind::Invalid) for a DSN of another form, and for that of a store whose
/// feature is off; else as what the table names. No text has the password in it.
///
/// # Examples
///
/// ```
/// use pgqrs::{Consumer, Producer};
///
/// let store = pgqrs::connect("mock:")?; // or what the command line says
/// store.install()?;
/// store.create_queue("tasks")?;
/// Producer::new(store.clone(), "tasks")?.enqueue("work")?;
/// assert_eq!(Consumer::new(store, "tasks")?.dequeue()?.len(), 1);
///
/// let error = pgqrs::connect("mysql://me:secret@db/app").unwrap_err();
/// assert!(error.to_string().contains("\"mysql\""));
/// # Ok::<(), pgqrs::Error>(())
/// ```
pub fn connect(dsn: &str) -> Result<Arc<dyn Store>> {
    match Scheme::of(dsn)? {
        #[cfg(feature = "postgres")]
        Scheme::Postgres => Ok(Arc::new(PgStore::connect(dsn)?)),
        #[cfg(feature = "sqlite")]
        Scheme::Sqlite => Ok(Arc::new(SqliteStoreBuilder::from_dsn(dsn)?.build()?)),
        Scheme::Mock => Ok(Arc::new(MockStore::new())),
    }
}

/// Opens the store that `PGQRS_DSN` names, with the settings in the environment.
///
/// `PGQRS_DSN` is what [`connect`] takes. The store's settings are those of
/// [`PgStoreBuilder::from_env`](crate::PgStoreBuilder::from_env) or
/// [`SqliteStoreBuilder::from_env`](crate::SqliteStoreBuilder::from_env); for `mock:` these:
///
/// | variable | setting | for example |
/// |---|---|---|
/// | `PGQRS_LOCK_TIME` | [`lock_time`](crate::Settings::lock_time) | `1m 30s` |
/// | `PGQRS_BATCH` | [`batch`](crate::Settings::batch) | `50` |
/// | `PGQRS_POLL_INTERVAL` | [`poll_interval`](crate::Settings::poll_interval) | `100ms` |
/// | `PGQRS_PAYLOAD_LIMIT` | [`payload_limit`](crate::Settings::payload_limit), bytes | `65536` |
/// | `PGQRS_KEY_RETENTION` | [`key_retention`](crate::Settings::key_retention) | `12h` |
///
/// Variables of the other stores are not looked at.
///
/// # Errors
///
/// As [`connect`], and [`Invalid`](crate::ErrorKind::Invalid) if `PGQRS_DSN` is not set, or a value
/// does not parse: it names the variable, and the value except the DSN's.
///
/// # Examples
///
/// ```no_run
/// let store = pgqrs::connect_from_env()?;
/// store.install()?;
/// # Ok::<(), pgqrs::Error>(())
/// ```
pub fn connect_from_env() -> Result<Arc<dyn Store>> {
    from_vars(&Vars::of_the_process())
}

fn from_vars(vars: &Vars) -> Result<Arc<dyn Store>> {
    let Some(dsn) = vars.text("PGQRS_DSN")? else {
        return Err(Error::invalid(
            "PGQRS_DSN is not set: it names the store, for example postgresql://localhost/mydb or \
             sqlite:///var/lib/app/queue.db",
        ));
    };
    match Scheme::of(dsn)? {
        #[cfg(feature = "postgres")]
        Scheme::Postgres => Ok(Arc::new(PgStoreBuilder::from_vars(vars)?.build()?)),
        #[cfg(feature = "sqlite")]
        Scheme::Sqlite => Ok(Arc::new(SqliteStoreBuilder::from_vars(vars)?.build()?)),
        Scheme::Mock => {
            let mut settings = Settings::default();
            vars.set(&mut settings)?;
            Ok(Arc::new(MockStore::builder().settings(settings).build()?))
        }
    }
}

/// Which store a DSN names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "sqlite")]
    Sqlite,
    Mock,
}

impl Scheme {
    pub(crate) fn of(dsn: &str) -> Result<Self> {
        let Some((scheme, rest)) = split(dsn) else {
            let hint = match dsn.contains('=') {
                true => "; a text like \"host=db dbname=app\" is for PgStore::connect",
                false => "",
            };
            return Err(refused(&format!("has no scheme{hint}")));
        };
        match scheme {
            "postgres" | "postgresql" if !rest.starts_with("//") => {
                Err(refused(&format!("has no \"//\" after \"{scheme}:\"")))
            }
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => Ok(Self::Postgres),
            #[cfg(not(feature = "postgres"))]
            "postgres" | "postgresql" => Err(off(scheme, "postgres")),
            #[cfg(feature = "sqlite")]
            "sqlite" => Ok(Self::Sqlite),
            #[cfg(not(feature = "sqlite"))]
            "sqlite" => Err(off(scheme, "sqlite")),
            "mock" if rest.is_empty() => Ok(Self::Mock),
            "mock" => Err(refused("goes on after \"mock:\"")),
            other => Err(refused(&format!("has the unknown scheme {other:?}"))),
        }
    }
}

/// The scheme, and what follows the colon. Other texts before a colon are no scheme, and not to be
/// repeated to anybody: with `password=a:b` it is part of the password.
fn split(dsn: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = dsn.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then_some((scheme, rest))
}

fn refused(why: &str) -> Error {
    Error::invalid(format!(
        "the DSN {why}: write postgresql://…, sqlite://path, sqlite::memory: or mock:"
    ))
}

#[cfg(any(test, not(feature = "postgres"), not(feature = "sqlite")))]
fn off(scheme: &str, feature: &str) -> Error {
    Error::invalid(format!(
        "the DSN has the scheme \"{scheme}\", whose store is not part of this program: pgqrs was \
         built without its feature \"{feature}\""
    ))
}

#[cfg(test)]
mod tests;
