//! What a program of the section `sqlite` is asked to do: its second argument, as JSON. The first
//! one is the database, which is not there yet. It answers with a line of JSON, a `Done`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) messages: usize,
    pub(crate) payload_bytes: usize,
    pub(crate) consumers: usize,
    pub(crate) batch: usize,
    pub(crate) limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    Enqueue,
    /// Fills the queue first. Dequeue and archive are two calls.
    Drain,
    /// The same, and they are one call.
    DrainInOneCall,
}
