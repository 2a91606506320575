//! What a failure of the database means: the only place that knows SQLSTATEs.

use postgres::error::{Severity, SqlState};

use crate::error::{Error, ErrorKind};

/// What schema.sql raises for an unknown queue.
const UNKNOWN_QUEUE: &str = "PQ001";

/// What says that nothing was done, and that the session is of no more use; see [`fate`].
const NOT_EXECUTED: [SqlState; 3] = [
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    SqlState::INVALID_SQL_STATEMENT_NAME,
];

/// Whether the server carried the statement out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It refused it, and the connection is good.
    Refused,
    /// It did not, and the connection is gone: safe to repeat on another one.
    NotExecuted,
    /// The connection is gone, and nobody knows.
    Unknown,
}

/// Tells what became of the statement that was answered by this error.
pub(super) fn fate(error: &postgres::Error) -> Fate {
    match error.as_db_error() {
        // 57P03: not let in. 25P03: it was idle for too long in a transaction, which is open no
        // more. 26000: it has forgotten what we had prepared.
        Some(db) if NOT_EXECUTED.contains(db.code()) => Fate::NotExecuted,
        // What ends a session, above all 57P01 (an administrator, a shutdown), 57P02 (the crash of
        // another) and 57P05 (idle for too long). The server says so instead of an answer, or right
        // after one; and of the two together, `postgres` tells the second alone.
        Some(db) => match db.parsed_severity() {
            Some(Severity::Fatal | Severity::Panic) => Fate::Unknown,
            _ => Fate::Refused,
        },
        // A value that could not be encoded or decoded here, or the like.
        None if !error.is_closed() && !is_io(error) => Fate::Refused,
        None => Fate::Unknown,
    }
}

/// Whether the session is on a server that takes no writes any more, having become a standby: a new
/// one may find the primary.
pub(super) fn is_read_only(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// Whether the server has undone the call because it and another waited for each other, as a purge
/// and a settlement of several messages may: again, it finds its way.
pub(super) fn is_deadlock(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED)
}

fn is_io(error: &postgres::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<std::io::Error>() {
            return true;
        }
        source = cause.source();
    }
    false
}

/// Makes the library's error of the database's. `doing`: "archive messages".
pub(super) fn error(doing: &str, fate: Fate, error: postgres::Error) -> Error {
    let kind = match fate {
        Fate::NotExecuted => ErrorKind::Unavailable,
        Fate::Unknown => ErrorKind::FateUnknown,
        Fate::Refused => error.code().map_or(ErrorKind::Unexpected, kind),
    };
    let said = said(&error);
    let text = match kind {
        ErrorKind::UnknownQueue => said,
        ErrorKind::Schema => format!(
            "could not {doing}: the schema is not as this version of pgqrs needs it ({said}); \
             run PgStore::install()"
        ),
        ErrorKind::FateUnknown => format!(
            "could not learn the fate of the call to {doing}: it was sent, and the connection \
             was lost before the answer ({said})"
        ),
        _ => format!("could not {doing}: {said}"),
    };
    Error::new(kind, text).because(error)
}

fn kind(code: &SqlState) -> ErrorKind {
    match code.code() {
        UNKNOWN_QUEUE => ErrorKind::UnknownQueue,
        // undefined table, column, function, schema: not installed, or not by us
        "42P01" | "42703" | "42883" | "3F000" => ErrorKind::Schema,
        // insufficient privilege
        "42501" => ErrorKind::Denied,
        // query canceled (statement_timeout), lock not available (lock_timeout), deadlock,
        // serialization failure, read-only (a standby; a failover under way)
        "57014" | "55P03" | "40P01" | "40001" | "25006" => ErrorKind::Unavailable,
        // 53: disk full, out of memory, too many connections; 58: I/O errors
        code if code.starts_with("53") || code.starts_with("58") => ErrorKind::Unavailable,
        // not JSON, or with a character that the server's encoding does not have
        "22P02" | "22P05" => ErrorKind::Payload,
        _ => ErrorKind::Unexpected,
    }
}

/// The error of the first connection, which tells what is wrong with the address: the names
/// and the password (SQLSTATE classes 28 and 3D) will not get better by waiting.
pub(super) fn cannot_connect(error: postgres::Error) -> Error {
    let refused = error.code().is_some_and(|code| {
        let code = code.code();
        code.starts_with("28") || code.starts_with("3D")
    });
    let kind = match refused {
        true => ErrorKind::Invalid,
        false => ErrorKind::Unavailable,
    };
    let text = format!("could not connect to PostgreSQL: {}", said(&error));
    Error::new(kind, text).because(error)
}

/// What the server said; or what was found here, with its causes: "error performing TLS
/// handshake" alone does not help anybody.
pub(super) fn said(error: &postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return db.message().to_owned();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The error of not getting a connection at all.
pub(super) fn no_connection(said: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("could not get a connection to PostgreSQL: {said}"),
    )
}
