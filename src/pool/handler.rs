//! What a user's handler is given, and what it answers.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::context::Context;
use crate::error::Result;
use crate::message::Message;

/// What a handler can take as its first argument: any type that the payload deserializes to,
/// or the [`Message`] itself.
pub trait FromMessage: Sized {
    /// Makes the argument of the message.
    ///
    /// # Errors
    ///
    /// [`Payload`](crate::ErrorKind::Payload) if the payload is not such a thing: that is a
    /// failed attempt, like any other.
    fn from_message(message: Message) -> Result<Self>;
}

impl<T: DeserializeOwned> FromMessage for T {
    fn from_message(message: Message) -> Result<Self> {
        message.json()
    }
}

impl FromMessage for Message {
    fn from_message(message: Message) -> Result<Self> {
        Ok(message)
    }
}

/// What a handler answers for one message: done, or why not.
pub type Handled = std::result::Result<(), Failure>;

/// Why a message is not done, and what is to become of it.
///
/// Any error converts, by `?` or `into()`, also a `&str` or a `String`: the message is then
/// retried as the pool's [`RetryPolicy`](crate::RetryPolicy) says, and goes to the dead
/// letters after the last attempt. The constructors say something else.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use pgqrs::{Context, Failure, Handled};
///
/// fn send(address: String, context: &Context) -> Handled {
///     if !address.contains('@') {
///         return Err(Failure::dead_letter("not an address")); // no retry will help
///     }
///     if context.is_stopping() {
///         return Err(Failure::give_back(Duration::ZERO)); // as if it had not been tried
///     }
///     let _port: u16 = "25".parse()?; // any error: retried by the policy
///     Err(Failure::retry_after(Duration::from_secs(60), "mailbox full"))
/// }
/// ```
#[derive(Debug)]
pub struct Failure {
    pub(super) then: Then,
    pub(super) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    RetryByPolicy,
    RetryAfter(Duration),
    GiveBack(Duration),
    DeadLetter,
}

impl Failure {
    /// The message is to be retried as the policy says; what other errors convert to.
    pub fn retry(reason: impl fmt::Display) -> Self {
        Self::new(Then::RetryByPolicy, reason)
    }

    /// The message is to be retried after this time, whatever the policy says of times. The
    /// attempt counts, and after the last one the message goes to the dead letters.
    pub fn retry_after(wait: Duration, reason: impl fmt::Display) -> Self {
        Self::new(Then::RetryAfter(wait), reason)
    }

    /// The message is to come again after this time as if it had not been tried: the attempt
    /// does not count. For ever, if need be: give it back with a wait.
    #[must_use]
    pub fn give_back(wait: Duration) -> Self {
        Self::new(Then::GiveBack(wait), "given back")
    }

    /// The message is to go to the dead letters at once.
    pub fn dead_letter(reason: impl fmt::Display) -> Self {
        Self::new(Then::DeadLetter, reason)
    }

    /// Returns the reason, as the dead letters keep it.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    fn new(then: Then, reason: impl fmt::Display) -> Self {
        Self {
            then,
            reason: reason.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Failure {
    /// Retried by the policy. The reason is the error's text with those of its sources.
    fn from(error: E) -> Self {
        let error = error.into();
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Many errors repeat their source.
            if !reason.contains(&text) {
                reason = format!("{reason}: {text}");
            }
            source = cause.source();
        }
        Self::retry(reason)
    }
}

/// Several messages at once, for a handler that is given to
/// [`handle_batch`](crate::WorkerPoolBuilder::handle_batch): a `[Message]`, and what a
/// [`Context`] knows of them all.
///
/// A pool of several queues mixes them: [`Message::queue_id`] tells them apart.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(super) messages: &'a [Message],
    pub(super) contexts: &'a [Context<'a>],
}

impl Deref for Batch<'_> {
    type Target = [Message];

    fn deref(&self) -> &[Message] {
        self.messages
    }
}

impl Batch<'_> {
    /// Returns the messages' contexts, by position.
    #[must_use]
    pub fn contexts(&self) -> &[Context<'_>] {
        self.contexts
    }

    /// Returns when the first of the leases ends unless it is renewed; see
    /// [`Context::deadline`].
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let deadlines = self.contexts.iter().map(Context::deadline);
        deadlines.min().unwrap_or_else(Instant::now)
    }

    /// Whether the pool was asked to stop; see [`Context::is_stopping`].
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.contexts.first().is_some_and(Context::is_stopping)
    }
}

pub(super) type HandleOne = dyn Fn(Message, &Context<'_>) -> Handled + Send + Sync;
pub(super) type HandleMany = dyn Fn(&Batch<'_>) -> Vec<Handled> + Send + Sync;

/// The user's function, its types forgotten.
pub(super) enum Handler {
    One(Box<HandleOne>),
    Many {
        most: usize,
        handler: Box<HandleMany>,
    },
}

impl Handler {
    pub(super) fn one<T, F>(handler: F) -> Self
    where
        T: FromMessage,
        F: Fn(T, &Context<'_>) -> Handled + Send + Sync + 'static,
    {
        Self::One(Box::new(move |message, context| {
            handler(T::from_message(message)?, context)
        }))
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Handler::One(_) => "Handler::One",
            Handler::Many { .. } => "Handler::Many",
        })
    }
}
