//! Putting the schema into the database, and telling whether the one there is ours.

use rusqlite::Connection;

use super::fault::Work;
use super::place::{Contents, contents};
use crate::error::{Error, ErrorKind, Result};

/// The schema of [`SqliteStore`](crate::SqliteStore), as `schema.sqlite.sql` has it.
pub const SQLITE_SCHEMA: &str = include_str!("../../schema.sqlite.sql");

/// The version of the schema that [`SqliteStore`](crate::SqliteStore) works with.
pub const SQLITE_SCHEMA_VERSION: i32 = 1;

/// Creates everything, where there is nothing of ours. Inside a transaction.
pub(super) fn install(db: &Connection) -> Work<Contents> {
    let before = contents(db)?;
    if !matches!(before, Contents::Version(_)) {
        db.execute_batch(SQLITE_SCHEMA)?;
    }
    Ok(before)
}

/// Whether a store can work with what is there.
pub(super) fn check(contents: Contents, place: &str) -> Result<()> {
    let text = match contents {
        Contents::Version(SQLITE_SCHEMA_VERSION) => return Ok(()),
        Contents::Version(newer) if newer > SQLITE_SCHEMA_VERSION => newer_text(newer, place),
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
pub(super) fn refuse_newer(contents: Contents, place: &str) -> Result<()> {
    match contents {
        Contents::Version(newer) if newer > SQLITE_SCHEMA_VERSION => {
            Err(Error::new(ErrorKind::Schema, newer_text(newer, place)))
        }
        _ => Ok(()),
    }
}

fn newer_text(newer: i32, place: &str) -> String {
    format!(
        "{place} has version {newer} of pgqrs, newer than the {SQLITE_SCHEMA_VERSION} that this \
         program knows: update the program"
    )
}
