//! Ours: consumers, one thread each.

use std::time::Duration;

use pgqrs::{Consumer, Message, PgStore, Producer, Store};

use super::Queue;
use crate::Result;
use crate::drive::{self, Done, Drain, Enqueue};
use crate::load::Load;
use crate::server::Database;

pub(super) const QUEUE: &str = "peers";
pub(super) const TABLES: &str =
    "pgqrs_messages, pgqrs_live, pgqrs_scheduled, pgqrs_done, pgqrs_dead";
pub(super) const WAITING: &str =
    "SELECT (SELECT count(*) FROM pgqrs_live) + (SELECT count(*) FROM pgqrs_scheduled)";
pub(super) const DONE: &str = "SELECT count(*) FROM pgqrs_done";

/// With which calls the consumers work.
#[derive(Clone, Copy)]
pub(super) enum Calls {
    /// `dequeue_many`, and then `archive_many`.
    Two,
    /// `archive_and_dequeue`: what is done, and for more.
    One,
}

pub(super) struct Pgqrs {
    url: String,
    calls: Calls,
}

/// A consumer, and what it holds.
struct Worker<'a> {
    consumer: Consumer<&'a PgStore>,
    held: Vec<Message>,
    warmed_up: bool,
}

impl Worker<'_> {
    fn two_calls(&self, batch: usize) -> Result<usize> {
        let messages = self.consumer.dequeue_many(batch)?;
        if messages.is_empty() {
            return Ok(0);
        }
        Ok(count(&self.consumer.archive_many(&messages)?))
    }

    fn one_call(&mut self, batch: usize) -> Result<usize> {
        if !self.warmed_up {
            // Holds nothing when the clock starts: what is counted was dequeued while it ran.
            self.warmed_up = true;
            let first = self.consumer.dequeue_many(batch)?;
            let (archived, more) = self.consumer.archive_and_dequeue(&first, 1)?;
            return Ok(count(&archived) + count(&self.consumer.archive_many(&more)?));
        }
        let (archived, more) = self.consumer.archive_and_dequeue(&self.held, batch)?;
        self.held = more;
        Ok(count(&archived))
    }
}

fn count(archived: &[bool]) -> usize {
    archived.iter().filter(|archived| **archived).count()
}

/// The connections of a store, where it is not told otherwise.
const CONNECTIONS: usize = 16;

/// A store for so many threads. Made anew for each measurement, so that none starts with
/// the scan hint of the one before.
pub(super) fn store(url: &str, threads: usize) -> Result<PgStore> {
    Ok(PgStore::builder(url)
        .pool_size(u32::try_from(threads.min(CONNECTIONS))?)
        .lock_time(Duration::from_secs(60))
        .build()?)
}

pub(super) fn install(db: &Database) -> Result<String> {
    let store = store(&db.url, 1)?;
    store.install()?;
    store.create_queue(QUEUE)?;
    Ok(db.url.clone())
}

pub(super) fn prefill(url: &str, messages: usize, load: &Load) -> Result<()> {
    enqueue(
        url,
        &Enqueue {
            messages,
            batch: 1_000,
            limit: Duration::MAX,
            load,
        },
    )?;
    Ok(())
}

pub(super) fn enqueue(url: &str, enqueue: &Enqueue<'_>) -> Result<Done> {
    let producer = Producer::new(store(url, 1)?, QUEUE)?;
    drive::batches(enqueue, |batch| {
        let payloads = &enqueue.load.values[batch];
        match payloads {
            [payload] if enqueue.batch == 1 => drop(producer.enqueue(payload)?),
            _ => drop(producer.batch_enqueue(payloads)?),
        }
        Ok(())
    })
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
        let store = store(&self.url, drain.consumers)?;
        drive::threads(
            drain,
            |_| {
                let consumer = Consumer::new(&store, QUEUE)?;
                Ok(Worker {
                    consumer,
                    held: Vec::new(),
                    warmed_up: drain.is_cold(),
                })
            },
            |worker| match self.calls {
                Calls::Two => worker.two_calls(drain.batch),
                Calls::One => worker.one_call(drain.batch),
            },
        )
    }
}
