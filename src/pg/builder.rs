//! Settings of a [`PgStore`], from code and from the environment.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Config, NoTls, Socket};

use super::dsn;
use super::hint::Hints;
use super::pool::{Database, PoolSettings, Texts};
use super::together::Together;
use super::{Inner, PgStore};
use crate::error::{Error, Result};
use crate::settings::{Settings, check_limit};
use crate::vars::{Vars, set};

/// Makes a [`PgStore`] with settings of its own.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use pgqrs::PgStore;
///
/// let store = PgStore::builder("postgresql://app@db.example/app?sslmode=disable")
///     .schema("queues")
///     .pool_size(4)
///     .lock_time(Duration::from_secs(60))
///     .build()?;
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct PgStoreBuilder {
    dsn: String,
    pub(crate) schema: String,
    pub(crate) pool_size: u32,
    pub(crate) connection_timeout: Duration,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) prepared_statements: bool,
    pub(crate) settings: Settings,
}

impl PgStore {
    /// Connects to a database with the default settings.
    ///
    /// `dsn` is a `postgresql://` URL or a `key=value` string, as libpq takes them. In a URL, write
    /// `%40` for an `@` in a name or a password, `%2F` for a `/` and `%3F` for a `?`. Without
    /// TLS: for that, see [`PgStoreBuilder::build_with_tls`].
    ///
    /// # Errors
    ///
    /// As [`PgStoreBuilder::build`].
    pub fn connect(dsn: &str) -> Result<Self> {
        Self::builder(dsn).build()
    }

    /// Starts a store with settings of its own.
    pub fn builder(dsn: &str) -> PgStoreBuilder {
        PgStoreBuilder {
            dsn: dsn.to_owned(),
            schema: "public".to_owned(),
            pool_size: 16,
            connection_timeout: Duration::from_secs(30),
            statement_timeout: None,
            prepared_statements: true,
            settings: Settings::default(),
        }
    }

    /// Connects with the settings in the environment; see [`PgStoreBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// As [`PgStoreBuilder::from_env`] and [`PgStoreBuilder::build`].
    pub fn from_env() -> Result<Self> {
        PgStoreBuilder::from_env()?.build()
    }
}

impl PgStoreBuilder {
    /// Starts from the environment. What is not set keeps its default; the setters of this
    /// builder still override.
    ///
    /// | variable | setting | for example |
    /// |---|---|---|
    /// | `PGQRS_DSN` | the database; required | `postgresql://localhost/mydb` |
    /// | `PGQRS_SCHEMA` | [`schema`](Self::schema) | `queues` |
    /// | `PGQRS_POOL_SIZE` | [`pool_size`](Self::pool_size) | `4` |
    /// | `PGQRS_CONNECTION_TIMEOUT` | [`connection_timeout`](Self::connection_timeout) | `10s` |
    /// | `PGQRS_STATEMENT_TIMEOUT` | [`statement_timeout`](Self::statement_timeout) | `1m` |
    /// | `PGQRS_PREPARED_STATEMENTS` | [`prepared_statements`](Self::prepared_statements) | `false` |
    /// | `PGQRS_LOCK_TIME` | [`lock_time`](Self::lock_time) | `1m 30s` |
    /// | `PGQRS_BATCH` | [`batch`](Self::batch) | `50` |
    /// | `PGQRS_POLL_INTERVAL` | [`poll_interval`](Self::poll_interval) | `100ms` |
    /// | `PGQRS_PAYLOAD_LIMIT` | [`payload_limit`](Self::payload_limit), bytes | `65536` |
    /// | `PGQRS_KEY_RETENTION` | [`key_retention`](Self::key_retention) | `12h` |
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if `PGQRS_DSN` is not set, or a value does not
    /// parse: it names the variable, and the value except the DSN's.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(&Vars::of_the_process())
    }

    pub(crate) fn from_vars(vars: &Vars) -> Result<Self> {
        let Some(dsn) = vars.text("PGQRS_DSN")? else {
            return Err(Error::invalid(
                "PGQRS_DSN is not set: it names the database, for example \
                 postgresql://localhost/mydb",
            ));
        };
        let mut builder = PgStore::builder(dsn);
        if let Some(schema) = vars.text("PGQRS_SCHEMA")? {
            builder = builder.schema(schema);
        }
        set(&mut builder.pool_size, vars.number("PGQRS_POOL_SIZE")?);
        set(
            &mut builder.connection_timeout,
            vars.span("PGQRS_CONNECTION_TIMEOUT")?,
        );
        let statement_timeout = vars.span("PGQRS_STATEMENT_TIMEOUT")?;
        builder.statement_timeout = statement_timeout.or(builder.statement_timeout);
        let name = "PGQRS_PREPARED_STATEMENTS";
        let prepared = vars.parsed(name, "true or false", bool::from_str)?;
        set(&mut builder.prepared_statements, prepared);
        vars.set(&mut builder.settings)?;
        Ok(builder)
    }

    /// Sets the PostgreSQL schema that the tables are in: any name of 1 to 63 bytes that the
    /// server takes. Defaults to `public`.
    pub fn schema(mut self, schema: &str) -> Self {
        schema.clone_into(&mut self.schema);
        self
    }

    /// Sets how many connections the store opens at most, at least 1; they are opened as
    /// they are needed. Each call holds one while it runs. Defaults to 16.
    ///
    /// Threads may be many more. What they settle (archive, delete, …) while none is free is
    /// sent together: if that connection is lost, nobody knows the fate of any of it.
    pub fn pool_size(mut self, pool_size: u32) -> Self {
        self.pool_size = pool_size;
        self
    }

    /// Sets how long a call waits for a connection, not zero: for a free one of the pool,
    /// and for the server to come back. Defaults to 30 seconds.
    pub fn connection_timeout(mut self, connection_timeout: Duration) -> Self {
        self.connection_timeout = connection_timeout;
        self
    }

    /// Sets how long a statement may run before the server ends it, not zero; `None` leaves
    /// the server's own setting. A call that ran into it fails with
    /// [`Unavailable`](crate::ErrorKind::Unavailable), and nothing was done. Defaults to
    /// `None`.
    pub fn statement_timeout(mut self, statement_timeout: Option<Duration>) -> Self {
        self.statement_timeout = statement_timeout;
        self
    }

    /// Sets whether statements are prepared once per connection and kept there.
    ///
    /// Switch it off behind a pooler in transaction mode that does not know of prepared
    /// statements (PgBouncer before 1.21, or without `max_prepared_statements`), and give no
    /// [`statement_timeout`](Self::statement_timeout) there: every statement is then sent as
    /// a whole and parsed anew. The plans inside the schema's functions stay cached either
    /// way. Defaults to `true`.
    pub fn prepared_statements(mut self, prepared_statements: bool) -> Self {
        self.prepared_statements = prepared_statements;
        self
    }

    /// Sets how long a dequeued message is hidden from other consumers: see
    /// [`Settings::lock_time`]. Defaults to 5 seconds.
    pub fn lock_time(mut self, lock_time: Duration) -> Self {
        self.settings.lock_time = lock_time;
        self
    }

    /// Sets how many messages a plain `dequeue` takes at most: see [`Settings::batch`].
    /// Defaults to 100.
    pub fn batch(mut self, batch: usize) -> Self {
        self.settings.batch = batch;
        self
    }

    /// Sets the pause between two looks at an empty queue: see [`Settings::poll_interval`].
    /// Defaults to 250 milliseconds.
    pub fn poll_interval(mut self, poll_interval: Duration) -> Self {
        self.settings.poll_interval = poll_interval;
        self
    }

    /// Sets the longest payload, in bytes of JSON text: see [`Settings::payload_limit`].
    /// Defaults to 1 MiB.
    pub fn payload_limit(mut self, payload_limit: usize) -> Self {
        self.settings.payload_limit = payload_limit;
        self
    }

    /// Sets for how long keys are remembered: see [`Settings::key_retention`]. Defaults to a day.
    pub fn key_retention(mut self, key_retention: Duration) -> Self {
        self.settings.key_retention = key_retention;
        self
    }

    /// Connects, without TLS.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a DSN that does not parse or a setting
    /// that breaks its rule; [`Unavailable`](crate::ErrorKind::Unavailable) if the server
    /// cannot be reached or does not let us in: the text says what it said.
    pub fn build(self) -> Result<PgStore> {
        self.build_with_tls(NoTls)
    }

    /// Connects over TLS, with a connector such as `postgres_native_tls::MakeTlsConnector`.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_with_tls<T>(self, tls: T) -> Result<PgStore>
    where
        T: MakeTlsConnect<Socket> + Clone + 'static + Sync + Send,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let config = self.config()?;
        let pool = PoolSettings {
            size: self.pool_size,
            connection_timeout: self.connection_timeout,
            statement_timeout: self.statement_timeout,
        };
        let texts = Texts::new(&self.schema, self.prepared_statements);
        Ok(PgStore {
            inner: Arc::new(Inner {
                database: Database::open(config, tls, &pool, texts)?,
                settings: self.settings,
                hints: Hints::default(),
                together: Together::default(),
                checked: AtomicBool::new(false),
            }),
        })
    }

    /// Checks everything, and reads the DSN.
    pub(crate) fn config(&self) -> Result<Config> {
        self.settings.check()?;
        check_limit("pool_size", self.pool_size as usize)?;
        for (name, span) in [
            ("connection_timeout", Some(self.connection_timeout)),
            ("statement_timeout", self.statement_timeout),
        ] {
            if span.is_some_and(|span| span.is_zero()) {
                return Err(Error::invalid(format!("{name} is zero")));
            }
        }
        let schema = &self.schema;
        if schema.is_empty() || schema.len() > 63 || schema.contains('\0') {
            return Err(Error::invalid(format!(
                "schema {schema:?}: a schema's name has 1 to 63 bytes, and no U+0000"
            )));
        }
        let mut config = dsn::parse(&self.dsn)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(self.connection_timeout);
        }
        if config.get_application_name().is_none() {
            config.application_name("pgqrs");
        }
        notice_dead_peers(&mut config);
        Ok(config)
    }
}

/// Has the kernel find out within about a minute that the other side is gone without a word: a call
/// would wait for its answer for ever. What the DSN says holds.
fn notice_dead_peers(config: &mut Config) {
    const LIBRARY_DEFAULT: Duration = Duration::from_secs(2 * 60 * 60);
    if config.get_keepalives_idle() == LIBRARY_DEFAULT {
        config.keepalives_idle(Duration::from_secs(30));
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(Duration::from_secs(10));
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(3);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(60));
    }
}

/// Leaves the DSN out: there may be a password in it.
impl std::fmt::Debug for PgStoreBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgStoreBuilder")
            .field("schema", &self.schema)
            .field("pool_size", &self.pool_size)
            .field("connection_timeout", &self.connection_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("prepared_statements", &self.prepared_statements)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
