//! Queues: their names, the states that their messages are in, and how many are in each.

use std::fmt;

use time::OffsetDateTime;

use crate::error::{Error, Result};

/// A queue as the store knows it.
///
/// The id is drawn when the queue is created and never used again: a queue that was
/// deleted and created anew under its old name is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// What the messages carry as `queue_id`.
    pub id: i64,
    /// What programs call it: 1 to 63 of the characters `A-Z a-z 0-9 _ . -`.
    pub name: String,
    /// When it was created, by the store's clock.
    pub created_at: OffsetDateTime,
}

impl Queue {
    /// Checks that a name can be a queue's: 1 to 63 of the characters `A-Z a-z 0-9 _ . -`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the rule that the name breaks.
    ///
    /// # Examples
    ///
    /// ```
    /// use pgqrs::Queue;
    /// assert!(Queue::check_name("mail.outgoing-2").is_ok());
    /// assert!(Queue::check_name("mail outgoing").is_err());
    /// ```
    pub fn check_name(name: &str) -> Result<()> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if name.is_empty() {
            Err(Error::invalid("a queue's name must not be empty"))
        } else if let Some(odd) = name.chars().find(|c| !allowed(*c)) {
            Err(Error::invalid(format!(
                "queue name {name:?}: {odd:?} is not one of the characters A-Z a-z 0-9 _ . -"
            )))
        } else if name.len() > 63 {
            Err(Error::invalid(format!(
                "queue name {name:?}: {} bytes are more than the 63 allowed",
                name.len()
            )))
        } else {
            Ok(())
        }
    }
}

/// The states of a message; it is in exactly one at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// A dequeue may have it now: enqueued, come due, or left by a lease that ran out.
    Ready,
    /// A consumer holds it until its `vt`.
    Leased,
    /// It waits until its `vt`: delayed, released or to be retried.
    Scheduled,
    /// Done, and kept.
    Archived,
    /// Given up, and kept with the error.
    Dead,
}

impl State {
    /// Every state, in the order of a message's life.
    pub const ALL: [State; 5] = [
        State::Ready,
        State::Leased,
        State::Scheduled,
        State::Archived,
        State::Dead,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Ready => "ready",
            State::Leased => "leased",
            State::Scheduled => "scheduled",
            State::Archived => "archived",
            State::Dead => "dead",
        })
    }
}

/// How many messages of a queue are in each state, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In [`State::Ready`].
    pub ready: u64,
    /// In [`State::Leased`].
    pub leased: u64,
    /// In [`State::Scheduled`].
    pub scheduled: u64,
    /// In [`State::Archived`].
    pub archived: u64,
    /// In [`State::Dead`].
    pub dead: u64,
}

impl Counts {
    /// Returns the sum over all states: everything that was enqueued and not deleted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.unfinished() + self.archived + self.dead
    }

    /// Returns how many messages still have work to come: ready, leased or scheduled.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.ready + self.leased + self.scheduled
    }
}

/// What [`delete_queue`](crate::Store::delete_queue) does when the queue has messages, in
/// whatever state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfNotEmpty {
    /// Fail, and change nothing.
    Refuse,
    /// Delete the messages with the queue, the archived and the dead ones too.
    Delete,
}
