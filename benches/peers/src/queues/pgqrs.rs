//! Ours: consumers, one thread each.

use pgqrs::{PgStore, Store};

use super::Queue;
use crate::Result;
use crate::drive::{Done, Drain, Enqueue};
use crate::load::Load;
use crate::loops::{self, Calls};
use crate::server::Database;

pub(super) use crate::loops::QUEUE;

pub(super) const TABLES: &str =
    "pgqrs_messages, pgqrs_live, pgqrs_scheduled, pgqrs_done, pgqrs_dead";
pub(super) const WAITING: &str =
    "SELECT (SELECT count(*) FROM pgqrs_live) + (SELECT count(*) FROM pgqrs_scheduled)";
pub(super) const DONE: &str = "SELECT count(*) FROM pgqrs_done";

pub(super) struct Pgqrs {
    url: String,
    calls: Calls,
}

/// The connections of a store, where it is not told otherwise.
const CONNECTIONS: usize = 16;

/// A store for so many threads. Made anew for each measurement, so that none starts with
/// the scan hint of the one before.
pub(super) fn store(url: &str, threads: usize) -> Result<PgStore> {
    Ok(PgStore::builder(url)
        .pool_size(u32::try_from(threads.min(CONNECTIONS))?)
        .lock_time(loops::LOCK_TIME)
        .build()?)
}

pub(super) fn install(db: &Database) -> Result<String> {
    let store = store(&db.url, 1)?;
    store.install()?;
    store.create_queue(QUEUE)?;
    Ok(db.url.clone())
}

pub(super) fn prefill(url: &str, messages: usize, load: &Load) -> Result<()> {
    loops::prefill(&store(url, 1)?, messages, load)
}

pub(super) fn enqueue(url: &str, enqueue: &Enqueue<'_>) -> Result<Done> {
    loops::enqueue(&store(url, 1)?, enqueue)
}

impl Pgqrs {
    pub(super) fn install(db: &Database, calls: Calls) -> Result<Self> {
        let url = install(db)?;
        Ok(Self { url, calls })
    }
}

impl Queue for Pgqrs {
    fn tables(&self) -> &'static str {
        TABLES
    }

    fn waiting(&self) -> &'static str {
        WAITING
    }

    fn done(&self) -> Option<&'static str> {
        Some(DONE)
    }

    fn prefill(&mut self, messages: usize, load: &Load) -> Result<()> {
        prefill(&self.url, messages, load)
    }

    fn enqueue(&mut self, put: &Enqueue<'_>) -> Result<Done> {
        enqueue(&self.url, put)
    }

    fn drain(&mut self, drain: &Drain) -> Result<Done> {
        loops::drain(&store(&self.url, drain.consumers)?, self.calls, drain)
    }
}
