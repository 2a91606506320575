//! Our producer and consumers, one thread each, over any of our stores.

use std::time::Duration;

use pgqrs::{Consumer, Message, Producer, Store};

use crate::Result;
use crate::drive::{self, Done, Drain, Enqueue};
use crate::load::Load;

pub(crate) const QUEUE: &str = "peers";
pub(crate) const LOCK_TIME: Duration = Duration::from_secs(60);

/// With which calls the consumers work.
#[derive(Clone, Copy)]
pub(crate) enum Calls {
    /// `dequeue_many`, and then `archive_many`.
    Two,
    /// `archive_and_dequeue`: what is done, and for more.
    One,
}

pub(crate) fn drain(store: &impl Store, calls: Calls, drain: &Drain) -> Result<Done> {
    drive::threads(
        drain,
        |_| {
            let consumer = Consumer::new(store, QUEUE)?;
            Ok(Worker {
                consumer,
                held: Vec::new(),
                warmed_up: drain.is_cold(),
            })
        },
        |worker| match calls {
            Calls::Two => worker.two_calls(drain.batch),
            Calls::One => worker.one_call(drain.batch),
        },
    )
}

pub(crate) fn prefill(store: &impl Store, messages: usize, load: &Load) -> Result<()> {
    enqueue(
        store,
        &Enqueue {
            messages,
            batch: 1_000,
            limit: Duration::MAX,
            load,
        },
    )?;
    Ok(())
}

pub(crate) fn enqueue(store: &impl Store, enqueue: &Enqueue<'_>) -> Result<Done> {
    let producer = Producer::new(store, QUEUE)?;
    drive::batches(enqueue, |batch| {
        let payloads = &enqueue.load.values[batch];
        match payloads {
            [payload] if enqueue.batch == 1 => drop(producer.enqueue(payload)?),
            _ => drop(producer.batch_enqueue(payloads)?),
        }
        Ok(())
    })
}

/// A consumer, and what it holds.
struct Worker<S> {
    consumer: Consumer<S>,
    held: Vec<Message>,
    warmed_up: bool,
}

impl<S: Store> Worker<S> {
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
