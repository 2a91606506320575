//! Settings of a [`SqliteStore`], and opening it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::install::{SQLITE_SCHEMA_VERSION, install, refuse};
use super::line::{Flush, Line};
use super::place::{Contents, Place};
use super::readers::Readers;
use super::turn::Turn;
use super::watch::Watch;
use super::writer::Writer;
use super::{Inner, SqliteStore};
use crate::error::{Error, Result};
use crate::settings::Settings;

/// What SQLite can count, in whole milliseconds.
const BUSY_TIMEOUTS: (Duration, Duration) = (
    Duration::from_millis(1),
    Duration::from_secs(24 * 24 * 3_600),
);

/// When what is confirmed is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Before it is confirmed: each enqueue and each settlement is flushed (SQLite's
    /// `synchronous = FULL`; calls that come together share one flush). Dequeues and extensions
    /// are not: a lease that is lost means a second delivery, and no loss.
    #[default]
    Full,
    /// Some time later (SQLite's `synchronous = NORMAL`), mostly with every 16 MiB that are
    /// written. If the *machine* loses power or its system crashes, the last seconds or minutes may be
    /// undone, from the last backwards: messages that were enqueued are gone, and what was
    /// archived is delivered again. The crash of a process undoes nothing, and the file stays
    /// good in any case.
    Normal,
}

/// Makes a [`SqliteStore`] with settings of its own.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use pgqrs::SqliteStore;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("queue.db");
/// let store = SqliteStore::builder(&path)
///     .busy_timeout(Duration::from_secs(5))
///     .lock_time(Duration::from_secs(60))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteStoreBuilder {
    /// None: in memory.
    pub(super) path: Option<PathBuf>,
    pub(super) durability: Durability,
    pub(super) busy_timeout: Duration,
    pub(crate) settings: Settings,
}

impl SqliteStore {
    /// Opens the database in a file with the default settings; makes the file, and the schema in
    /// it, if there is none or it is empty.
    ///
    /// A database that has other tables already is left as it is until
    /// [`install`](crate::Store::install) is called.
    ///
    /// # Errors
    ///
    /// As [`SqliteStoreBuilder::build`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).build()
    }

    /// Makes a database in memory with the default settings: a queue for the threads of one
    /// process, which ends with the last clone of the store.
    ///
    /// # Errors
    ///
    /// As [`SqliteStoreBuilder::build`].
    ///
    /// # Examples
    ///
    /// ```
    /// use pgqrs::{SqliteStore, Store};
    ///
    /// let store = SqliteStore::in_memory()?;
    /// store.create_queue("tasks")?;
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn in_memory() -> Result<Self> {
        SqliteStoreBuilder::in_memory().build()
    }

    /// Starts a store in a file with settings of its own.
    pub fn builder(path: impl AsRef<Path>) -> SqliteStoreBuilder {
        SqliteStoreBuilder {
            path: Some(path.as_ref().to_owned()),
            ..SqliteStoreBuilder::in_memory()
        }
    }

    pub(super) fn put_schema(&self) -> Result<()> {
        let place = &self.inner.place;
        if self.contents()? == Contents::Version(SQLITE_SCHEMA_VERSION) {
            return Ok(()); // without waiting for whoever writes
        }
        self.inner.line.with_writer(|db| place.use_wal(db))?;
        let name = place.to_string();
        self.write("install the schema", Flush::Yes, move |db| {
            install(db, &name)
        })
    }
}

impl SqliteStoreBuilder {
    /// Starts a store in memory with settings of its own.
    pub fn in_memory() -> Self {
        Self {
            path: None,
            durability: Durability::default(),
            busy_timeout: Duration::from_secs(30),
            settings: Settings::default(),
        }
    }

    /// Sets when what is confirmed is on the disk. Of no meaning in memory. Defaults to
    /// [`Durability::Full`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets how long a call waits for others that are writing, not zero, and cut to 24 days; then
    /// it fails with [`Unavailable`](crate::ErrorKind::Unavailable), and nothing was done. Calls
    /// of the same store do not count: those wait for each other as long as it takes. Defaults to
    /// 30 seconds.
    pub fn busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
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

    /// Opens the store.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a setting that breaks its rule, and for a path at which no
    /// database can be: it is a directory, its directory is not there, it may not be
    /// written, it is a file of another kind. [`Schema`](crate::ErrorKind::Schema) for a database of
    /// a newer version of this library, or with something else in the place of its tables. [`Unavailable`](crate::ErrorKind::Unavailable) if the disk is full or
    /// fails, or another process keeps the file locked. Nothing that is there is changed then.
    pub fn build(self) -> Result<SqliteStore> {
        let (place, busy_timeout) = self.place()?;
        let (db, contents) = place.open()?;
        refuse(contents, &place.to_string())?;
        let may_flush = place.is_file() && self.durability == Durability::Full;
        let (turn, readers) = match &place {
            Place::Memory => (None, None),
            Place::File { path, .. } => {
                (Some(Turn::open(path)?), Some(Readers::new(place.clone())))
            }
        };
        if let Contents::Version(_) = contents {
            place.use_wal(&db)?;
        }
        let writer = Writer::new(db, place.to_string(), turn, busy_timeout, may_flush);
        let store = SqliteStore {
            inner: Arc::new(Inner {
                watch: Watch::new(place.clone()),
                readers,
                line: Line::new(writer),
                place,
                settings: self.settings,
                checked: AtomicBool::new(false),
                quiet: Mutex::new(HashSet::new()),
            }),
        };
        if contents == Contents::Nothing {
            store.put_schema()?;
        }
        Ok(store)
    }

    /// Checks everything, and says where the database is to be; opens nothing.
    fn place(&self) -> Result<(Place, Duration)> {
        self.settings.check()?;
        if self.busy_timeout.is_zero() {
            return Err(Error::invalid(
                "busy_timeout is zero: calls of two processes at once would fail",
            ));
        }
        let busy_timeout = self.busy_timeout.clamp(BUSY_TIMEOUTS.0, BUSY_TIMEOUTS.1);
        let place = match &self.path {
            None => Place::Memory,
            Some(path) => Place::file(path, busy_timeout)?,
        };
        Ok((place, busy_timeout))
    }

    /// The file, if it is one, and the busy timeout: for the fuzz targets.
    #[cfg(fuzzing)]
    pub(crate) fn parsed(&self) -> Result<(Option<PathBuf>, Duration)> {
        let (place, busy_timeout) = self.place()?;
        let path = match place {
            Place::Memory => None,
            Place::File { path, .. } => Some(path),
        };
        Ok((path, busy_timeout))
    }
}
