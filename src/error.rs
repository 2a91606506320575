//! The one error type of the crate.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: a [kind](ErrorKind) to act on, a text for people, and a
/// [source](StdError::source) where another library reported the failure.
///
/// # Examples
///
/// ```
/// use pgqrs::{ErrorKind, MockStore, Producer};
///
/// let error = Producer::new(MockStore::new(), "nowhere").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::UnknownQueue);
/// assert_eq!(error.to_string(), r#"there is no queue named "nowhere""#);
/// assert!(!error.is_transient());
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    text: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The kinds of failure a caller can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or a setting breaks a rule; the text names both. Nothing was done.
    Invalid,
    /// A payload cannot be stored (not JSON, too large, too deep, `\u0000`), or a stored
    /// one is not of the type asked for. Nothing was done.
    Payload,
    /// The queue does not exist, or no longer. Nothing was done.
    UnknownQueue,
    /// The queue still has messages, so it was not deleted.
    QueueNotEmpty,
    /// The database's schema is missing, or of another version than this library's.
    Schema,
    /// The call could not be carried out now: no connection, a timeout, a lock, a fault in
    /// the server. Nothing was done, for certain; trying again can help.
    Unavailable,
    /// The connection was lost after the call was sent and before it was answered: it was
    /// carried out wholly, or not at all, and nobody can say which. Trying again can help,
    /// at the price of doing it twice: an `enqueue` may store the messages again, unless they
    /// have keys ([`Producer::enqueue_once`](crate::Producer::enqueue_once)).
    FateUnknown,
    /// The database does not let its user do this, and says what was refused. Nothing was done.
    /// See `roles.sql` for who may do what.
    Denied,
    /// Anything else; nothing was done. A defect, or a database that is not as it should be.
    Unexpected,
}

impl Error {
    /// Makes an error of a kind, for a [`Store`](crate::Store) of your own.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            text: text.into(),
            source: None,
        }))
    }

    /// Adds the failure that caused this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Returns the kind, to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed if it is made again later.
    ///
    /// True for [`Unavailable`](ErrorKind::Unavailable) and for
    /// [`FateUnknown`](ErrorKind::FateUnknown); after the latter the first try may have
    /// been carried out as well.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable | ErrorKind::FateUnknown)
    }

    /// Says which element of a batch the error is about.
    pub(crate) fn at(mut self, position: usize) -> Self {
        self.0.text = format!("element {position} of the batch: {}", self.0.text);
        self
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &self.0.kind)
            .field("text", &self.0.text);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
