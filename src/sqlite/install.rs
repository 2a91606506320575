//! Putting the schema into the database, and telling whether the one there is ours.

use rusqlite::Connection;

use super::fault::{Work, message};
use super::place::{Contents, contents};
use crate::error::{Error, ErrorKind, Result};

/// The schema of [`SqliteStore`](crate::SqliteStore), as `schema.sqlite.sql` has it.
pub const SQLITE_SCHEMA: &str = include_str!("../../schema.sqlite.sql");

/// The version of the schema that [`SqliteStore`](crate::SqliteStore) works with.
pub const SQLITE_SCHEMA_VERSION: i32 = 1;

/// Creates everything, where there is nothing of ours. Inside a transaction.
pub(super) fn install(db: &Connection, place: &str) -> Work<()> {
    match contents(db)? {
        Contents::Nothing | Contents::Foreign => {}
        Contents::Version(older) if older < SQLITE_SCHEMA_VERSION => {
            let text = format!(
                "{place} has version {older} of pgqrs, older than the {SQLITE_SCHEMA_VERSION} of \
                 this program, which knows no way from there"
            );
            return Err(Error::new(ErrorKind::Schema, text).into());
        }
        there => return Ok(refuse(there, place)?),
    }
    let created = db.execute_batch(SQLITE_SCHEMA);
    created.map_err(|error| match message(&error) {
        text if text.contains("already") => {
            let text = format!(
                "could not install the schema in {place}: {text}, and is not ours; nothing was \
                 changed"
            );
            Error::new(ErrorKind::Schema, text).because(error).into()
        }
        _ => error.into(),
    })
}

/// Whether a store can work with what is there.
pub(super) fn check(contents: Contents, place: &str) -> Result<()> {
    let text = match contents {
        Contents::Version(SQLITE_SCHEMA_VERSION) => return Ok(()),
        Contents::Version(newer) if newer > SQLITE_SCHEMA_VERSION => {
            return refuse(contents, place);
        }
        Contents::Stranger => return refuse(contents, place),
        Contents::Version(older) => format!(
            "{place} has version {older} of pgqrs, older than the {SQLITE_SCHEMA_VERSION} that this \
             program needs: run install()"
        ),
        Contents::Nothing | Contents::Foreign => {
            format!("pgqrs is not installed in {place}: run install()")
        }
    };
    Err(Error::new(ErrorKind::Schema, text))
}

/// Whether this library may touch what is there.
pub(super) fn refuse(contents: Contents, place: &str) -> Result<()> {
    let text = match contents {
        Contents::Version(newer) if newer > SQLITE_SCHEMA_VERSION => format!(
            "{place} has version {newer} of pgqrs, newer than the {SQLITE_SCHEMA_VERSION} that this \
             program knows: update the program"
        ),
        Contents::Stranger => {
            format!("{place} has a table pgqrs_store that is not ours: use a file of its own")
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::Schema, text))
}
