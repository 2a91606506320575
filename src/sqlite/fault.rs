//! What a failure of SQLite means: the only place that knows its codes.

use rusqlite::ErrorCode;

use crate::error::{Error, ErrorKind};

/// Why a piece of work failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// It breaks a rule of the contract.
    Rule(Error),
}

pub(super) type Work<T> = std::result::Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Rule(error)
    }
}

impl Fault {
    /// Makes the library's error of it. `doing`: "archive messages"; `place`: which database.
    pub(super) fn error(self, doing: &str, place: &str) -> Error {
        match self {
            Self::Rule(error) => error,
            Self::Sqlite(error) => from_sqlite(doing, place, error),
        }
    }
}

/// The same for what failed outside a transaction, or was undone with it.
pub(super) fn from_sqlite(doing: &str, place: &str, error: rusqlite::Error) -> Error {
    let kind = kind(&error);
    let hint = match kind {
        ErrorKind::Schema => ": the schema is not as this version of pgqrs needs it; run install()",
        _ => "",
    };
    let text = format!("could not {doing} in {place}: {}{hint}", message(&error));
    Error::new(kind, text).because(error)
}

/// For a commit that failed, with the same error for each call. Whether the disk has it after a
/// failed write or flush, nobody knows before it is read again.
pub(super) fn from_commit(doing: &str, place: &str, error: &rusqlite::Error) -> Error {
    let said = message(error);
    let (kind, text) = match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => (
            ErrorKind::FateUnknown,
            format!(
                "could not learn the fate of the call to {doing} in {place}: the disk failed while \
                 it was written ({said})"
            ),
        ),
        _ => (kind(error), format!("could not {doing} in {place}: {said}")),
    };
    Error::new(kind, text).because(said)
}

/// For a database that could not be opened: mostly it is the path that is wrong, and stays so.
pub(super) fn cannot_open(place: &str, error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            ErrorKind::Invalid
        }
        Some(ErrorCode::NotADatabase) => {
            let text = format!("{place} is not an SQLite database, and was left as it is");
            return Error::new(ErrorKind::Invalid, text).because(error);
        }
        _ => kind(&error),
    };
    Error::new(kind, format!("could not open {place}: {}", message(&error))).because(error)
}

/// Whether another connection is writing.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// What SQLite says, without the statement that it says it of.
pub(super) fn message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

fn kind(error: &rusqlite::Error) -> ErrorKind {
    let code = match error {
        // Of a statement that could not be prepared.
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        other => other.sqlite_error_code(),
    };
    let text = message(error);
    match code {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::DiskFull
            | ErrorCode::OutOfMemory
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::OperationInterrupted,
        ) => ErrorKind::Unavailable,
        Some(ErrorCode::TooBig) => ErrorKind::Payload,
        // SQLite has no code of its own for a table or a column that is not there.
        Some(ErrorCode::Unknown) if text.contains("no such") => ErrorKind::Schema,
        Some(ErrorCode::Unknown) if text.contains("has no column") => ErrorKind::Schema,
        _ => ErrorKind::Unexpected,
    }
}
