//! What the messages of a chaos run ask for. Which it is follows from a message's number, so that
//! the audit knows it without being told.

#![allow(
    dead_code,
    reason = "each of the programs that share this uses a part of it"
)]

use serde::{Deserialize, Serialize};

/// The queue whose messages a pool's handlers do all sorts of things with.
pub const ERRANDS: &str = "errands";

/// The queue whose messages a bare consumer archives, in one call with the next dequeue.
pub const PLAIN: &str = "plain";

/// A payload: message `n` of a producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    pub producer: String,
    pub n: u64,
    pub what: What,
    /// Of a length that follows from `n`: up to 2 kB, so that some are compressed and moved out.
    pub pad: String,
}

/// What a handler is to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum What {
    /// Nothing: the pool archives it.
    Archive,
    /// A row of the handler's own, in one transaction with the archiving.
    Effect,
    /// To delete it.
    Delete,
    /// To fail the first attempt.
    Retry,
    /// To give the first delivery back.
    GiveBack,
    /// To give it up.
    Dead,
}

impl Errand {
    pub fn new(queue: &str, producer: &str, n: u64) -> Self {
        let what = match n % 16 {
            _ if queue == PLAIN => What::Archive,
            _ if n % 40 == 39 => What::Dead,
            0..=4 => What::Archive,
            5..=9 => What::Effect,
            10 | 11 => What::Delete,
            12 | 13 => What::Retry,
            _ => What::GiveBack,
        };
        Self {
            producer: producer.to_owned(),
            n,
            what,
            pad: "x".repeat((n * 37 % 2_000) as usize),
        }
    }

    /// The idempotency key.
    pub fn key(&self) -> String {
        format!("{}/{}", self.producer, self.n)
    }
}
