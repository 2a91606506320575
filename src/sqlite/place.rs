//! Where a database is, and opening it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::fault::{cannot_open, is_busy};
use super::sql;
use crate::error::{Error, Result};

/// The pause between two tries where several processes make the same file.
const PAUSE: Duration = Duration::from_millis(2);

/// How many statements stay prepared on a connection: all.
const STATEMENTS: usize = 64;

#[derive(Clone, Debug)]
pub(super) enum Place {
    Memory,
    File {
        path: PathBuf,
        busy_timeout: Duration,
    },
}

/// What stands in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// No table at all.
    Nothing,
    /// Somebody else's tables only.
    Foreign,
    /// Ours, of this version, and perhaps others'.
    Version(i32),
    /// A table of the name by which we know ours, that is none of ours.
    Stranger,
}

impl Place {
    pub(super) fn file(path: &Path, busy_timeout: Duration) -> Result<Self> {
        let refuse = |why: &str| Err(Error::invalid(format!("path {}: {why}", path.display())));
        if path.as_os_str().is_empty() {
            return Err(Error::invalid(
                "the path is empty: it names the database's file",
            ));
        }
        if path.to_str().is_some_and(|path| path.contains("://")) {
            // Not to be repeated: there may be a password in it.
            return Err(Error::invalid(
                "the path has \"://\" in it: a DSN is for pgqrs::connect",
            ));
        }
        if path == Path::new(":memory:") {
            return refuse("for a store in memory, call SqliteStore::in_memory()");
        }
        if path.as_os_str().as_encoded_bytes().contains(&0) {
            return refuse("there is a NUL character in it");
        }
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return refuse("it ends as the name of a directory does, and should be a file");
        }
        if let Ok(there) = path.metadata() {
            if there.is_dir() {
                return refuse("it is a directory, and should be a file");
            }
            if !there.is_file() {
                return refuse("it is not an ordinary file");
            }
            // SQLite takes that for an empty file, and would write over it.
            if there.len() == 1 {
                return refuse("it is not an SQLite database, and was left as it is");
            }
        }
        // Not to be another one when the process changes its directory.
        let absolute = std::path::absolute(path);
        let path = absolute.map_err(|error| {
            let text = format!("path {}: {error}", path.display());
            Error::invalid(text).because(error)
        })?;
        // As SQLite does, where it is a link: the files beside it are the same for all its names.
        let path = path.canonicalize().unwrap_or(path);
        match path.parent() {
            Some(parent) if !parent.is_dir() => Err(Error::invalid(format!(
                "path {}: there is no directory {}",
                path.display(),
                parent.display()
            ))),
            _ => Ok(Self::File { path, busy_timeout }),
        }
    }

    /// Whether a connection of somebody else's is to this database.
    pub(super) fn check_same(&self, db: &Connection) -> Result<()> {
        let theirs = db.path().map(Path::new).filter(|path| *path != "");
        let is_same = match (self, theirs) {
            (Self::File { path, .. }, Some(theirs)) => {
                path == theirs || theirs.canonicalize().is_ok_and(|theirs| theirs == *path)
            }
            _ => false,
        };
        if is_same {
            return Ok(());
        }
        let theirs = theirs.map_or("a database in memory".into(), Path::to_string_lossy);
        Err(Error::invalid(format!(
            "the transaction is on {theirs}, and the store is on {self}"
        )))
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }

    /// Opens one more connection to a file that is there.
    pub(super) fn connect(&self) -> Result<Connection> {
        self.connect_with(OpenFlags::empty())
    }

    fn connect_with(&self, more: OpenFlags) -> Result<Connection> {
        let connected = match self {
            Self::Memory => Connection::open_in_memory(),
            // Neither URIs, that a path might look like, nor locks: each is used by one thread
            // at a time.
            Self::File { path, .. } => Connection::open_with_flags(
                path,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more,
            ),
        };
        let opened = connected.and_then(|db| {
            if let Self::File { busy_timeout, .. } = self {
                db.busy_timeout(*busy_timeout)?;
            }
            db.set_prepared_statement_cache_capacity(STATEMENTS);
            Ok(db)
        });
        opened.map_err(|error| cannot_open(&self.to_string(), error))
    }

    /// Opens the connection that is to write; finds out what is in the database, and changes
    /// nothing.
    pub(super) fn open(&self) -> Result<(Connection, Contents)> {
        let db = self.connect_with(OpenFlags::SQLITE_OPEN_CREATE)?;
        let failed = |error| cannot_open(&self.to_string(), error);
        // Asked first: reading may leave a log beside it.
        if db.is_readonly("main").map_err(failed)? {
            return Err(Error::invalid(format!(
                "{self}: this process may read it, and not write to it"
            )));
        }
        let contents = contents(&db).map_err(failed)?;
        let set = db.execute_batch(sql::ON_OPEN);
        // From here on the writer waits by itself: in its turn, and quicker than SQLite.
        set.and_then(|()| db.busy_timeout(Duration::ZERO))
            .map_err(failed)?;
        Ok((db, contents))
    }

    /// Switches the database to the write-ahead log, for good: readers and the writer do not
    /// wait for each other then, and a commit is one flush.
    pub(super) fn use_wal(&self, db: &Connection) -> Result<()> {
        let Self::File { busy_timeout, .. } = self else {
            return Ok(()); // there is none in memory
        };
        let began = Instant::now();
        loop {
            // SQLite does not wait here, where several do this at once.
            match db.query_row(sql::WAL, [], |row| row.get::<_, String>(0)) {
                Ok(mode) if mode == "wal" => return Ok(()),
                Ok(mode) => {
                    return Err(Error::invalid(format!(
                        "{self}: SQLite cannot use a write-ahead log here (the journal is \
                         {mode:?}); is it on a network's file system?"
                    )));
                }
                Err(error) if is_busy(&error) && began.elapsed() < *busy_timeout => {
                    thread::sleep(PAUSE);
                }
                Err(error) => return Err(cannot_open(&self.to_string(), error)),
            }
        }
    }
}

/// Looks what tables there are, and of which version ours.
pub(super) fn contents(db: &Connection) -> rusqlite::Result<Contents> {
    let (tables, ours): (i64, i64) =
        db.query_row(sql::TABLES, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match (tables, ours) {
        (0, _) => Ok(Contents::Nothing),
        (_, 0) => Ok(Contents::Foreign),
        _ => match db.query_row(sql::VERSION, [], |row| row.get(0)) {
            Ok(version) => Ok(Contents::Version(version)),
            Err(error @ rusqlite::Error::SqliteFailure(..)) => Err(error),
            // No such column, no row, no number.
            Err(_) => Ok(Contents::Stranger),
        },
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("the database in memory"),
            Self::File { path, .. } => write!(f, "the database {}", path.display()),
        }
    }
}
