//! Ours: the worker pool. Consumers are its threads, and it fetches a batch ahead for each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgqrs::{Context, Message, Producer, Report, WorkerPool};

use super::Queue;
use super::pgqrs::{self as ours, QUEUE};
use crate::Result;
use crate::drive::{Done, Drain, Enqueue};
use crate::load::Load;
use crate::moments::Moments;
use crate::server::Database;

/// The longest a stop may take.
const GRACE: Duration = Duration::from_secs(60);

pub(super) struct Pool {
    url: String,
}

impl Pool {
    pub(super) fn install(db: &Database) -> Result<Self> {
        let url = ours::install(db)?;
        Ok(Self { url })
    }
}

impl Queue for Pool {
    fn tables(&self) -> &'static str {
        ours::TABLES
    }

    fn waiting(&self) -> &'static str {
        ours::WAITING
    }

    fn done(&self) -> Option<&'static str> {
        Some(ours::DONE)
    }

    fn prefill(&mut self, messages: usize, load: &Load) -> Result<()> {
        ours::prefill(&self.url, messages, load)
    }

    fn enqueue(&mut self, enqueue: &Enqueue<'_>) -> Result<Done> {
        ours::enqueue(&self.url, enqueue)
    }

    fn drain(&mut self, drain: &Drain) -> Result<Done> {
        let store = ours::store(&self.url, 16)?;
        let began = Instant::now();
        let pool = WorkerPool::builder(store, QUEUE)
            .threads(drain.consumers)
            .prefetch(drain.consumers * drain.batch)
            .lock_time(Duration::from_secs(60))
            .handle(|_: Message, _: &Context| Ok(()))
            .start()?;
        let all = |seen: &Report| seen.finished >= drain.messages as u64;
        let in_time = pool.counters().wait(drain.limit, all);
        let (took, messages) = (began.elapsed(), pool.counters().read().finished);
        let report = pool.shutdown(GRACE)?;
        Ok(Done {
            messages,
            took,
            cut_off: !in_time,
            in_the_end: report.finished,
        })
    }

    fn latency(&mut self, moments: &Arc<Moments>) -> Result<bool> {
        let store = ours::store(&self.url, 16)?;
        let begun = Arc::clone(moments);
        let pool = WorkerPool::builder(store.clone(), QUEUE)
            .threads(4)
            .handle(move |payload: serde_json::Value, _: &Context| {
                begun.begins(&payload);
                Ok(())
            })
            .start()?;
        let producer = Producer::new(store, QUEUE)?;
        moments.send(|_, payload| {
            producer.enqueue(payload)?;
            Ok(())
        })?;
        pool.shutdown(GRACE)?;
        Ok(true)
    }
}
