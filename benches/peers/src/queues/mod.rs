//! The queues, a file each, behind one trait.

mod by_hand;
mod fang;
mod graphile;
mod json_text;
mod log;
mod pgmq;
mod pgqrs;
mod pgqrs_async;
mod pool;

use std::sync::Arc;

use crate::Result;
use crate::drive::{Done, Drain, Enqueue};
use crate::load::Load;
use crate::loops::Calls;
use crate::moments::Moments;
use crate::server::Database;
use crate::sqlite;

/// By these names they are in the tables. The first one is ours, in each list of those that are
/// compared.
pub(crate) const NAMES: &[&str] = &[
    "pgqrs",
    "pgqrs in one call",
    "pgqrs pool",
    "by hand",
    "pgqrs 0.15.3",
    "fang",
    "graphile_worker",
    "pgmq",
    "log",
    sqlite::OURS,
    sqlite::ONE_CALL,
    sqlite::ASYNC,
];

/// Those that need PostgreSQL.
pub(crate) fn on_server() -> impl Iterator<Item = &'static str> {
    let names = NAMES.iter().copied();
    names.filter(|name| !sqlite::NAMES.contains(name))
}

/// What the sections ask of a queue. It has a database to itself, and has installed itself.
pub(crate) trait Queue {
    /// Every table that messages are in, with commas.
    fn tables(&self) -> &'static str;

    /// Counts what is not done.
    fn waiting(&self) -> &'static str;

    /// Counts what is done, where that is kept.
    fn done(&self) -> Option<&'static str>;

    /// Puts messages in, by the quickest way there is: this is not measured.
    fn prefill(&mut self, messages: usize, load: &Load) -> Result<()>;

    /// Whether there is a way to put in so many at once.
    fn can_enqueue(&self, _batch: usize) -> bool {
        true
    }

    /// Puts messages in as its users do.
    fn enqueue(&mut self, enqueue: &Enqueue<'_>) -> Result<Done>;

    /// Whether its tables are analyzed before a drain: unless that makes it slower.
    fn wants_statistics(&self) -> bool {
        true
    }

    /// Whether so many can be taken at once.
    fn can_drain(&self, _batch: usize) -> bool {
        true
    }

    /// Takes what is there and gets it done, durably.
    fn drain(&mut self, drain: &Drain) -> Result<Done>;

    /// Waits for messages that it sends itself meanwhile. False if it has no way to wait.
    fn latency(&mut self, _moments: &Arc<Moments>) -> Result<bool> {
        Ok(false)
    }
}

/// Installs a queue.
pub(crate) fn open(name: &str, db: &mut Database) -> Result<Box<dyn Queue>> {
    Ok(match name {
        "pgqrs" => Box::new(pgqrs::Pgqrs::install(db, Calls::Two)?),
        "pgqrs in one call" => Box::new(pgqrs::Pgqrs::install(db, Calls::One)?),
        "pgqrs pool" => Box::new(pool::Pool::install(db)?),
        "by hand" => Box::new(by_hand::ByHand::install(db)?),
        "pgqrs 0.15.3" => Box::new(pgqrs_async::PgqrsAsync::install(db)?),
        "fang" => Box::new(fang::Fang::install(db)?),
        "graphile_worker" => Box::new(graphile::Graphile::install(db)?),
        "pgmq" => Box::new(pgmq::Pgmq::install(db)?),
        "log" => Box::new(log::Log::install(db)?),
        _ => return Err(format!("there is no queue named {name}").into()),
    })
}
