//! The loops that are the same for all: until everything is done, or the time is over.

use std::ops::Range;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::load::Load;

/// Everything is in the queue; work it off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    pub(crate) messages: usize,
    pub(crate) consumers: usize,
    pub(crate) batch: usize,
    pub(crate) limit: Duration,
}

impl Drain {
    /// There is not enough for a warm-up.
    pub(crate) fn is_cold(&self) -> bool {
        self.messages < self.consumers * (self.batch + 1) * 2
    }
}

/// Put messages in, by one producer.
#[derive(Clone, Copy)]
pub(crate) struct Enqueue<'a> {
    pub(crate) messages: usize,
    pub(crate) batch: usize,
    pub(crate) limit: Duration,
    pub(crate) load: &'a Load,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// How many while the clock ran.
    pub(crate) messages: u64,
    pub(crate) took: Duration,
    /// The time was over before everything was done.
    pub(crate) cut_off: bool,
    /// How many when it had stopped; what the database must say as well.
    pub(crate) in_the_end: u64,
}

impl Done {
    pub(crate) fn rate(&self) -> f64 {
        self.messages as f64 / self.took.as_secs_f64()
    }
}

/// Has a thread per consumer take `step` again and again, which says how many messages it
/// got done. What is measured begins when each has taken one: connecting, preparing and planning
/// are over then, which would be much of a drain that takes a fraction of a second.
pub(crate) fn threads<C: Send>(
    drain: &Drain,
    connect: impl FnMut(usize) -> Result<C>,
    step: impl Fn(&mut C) -> Result<usize> + Sync,
) -> Result<Done> {
    let mut consumers = (0..drain.consumers)
        .map(connect)
        .collect::<Result<Vec<C>>>()?;
    let warms_up = !drain.is_cold();
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let warm = Barrier::new(drain.consumers + 1);
    let work = |consumer: &mut C| -> Result<()> {
        let mut once = || -> Result<u64> {
            let count = step(consumer).inspect_err(|_| stop.store(true, Ordering::Relaxed))? as u64;
            done.fetch_add(count, Ordering::Relaxed);
            Ok(count)
        };
        let warmed_up = if warms_up { once().map(drop) } else { Ok(()) };
        warm.wait(); // for the count of the warm-up
        warm.wait(); // for the clock
        warmed_up?;
        let began = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let count = once()?;
            let all = done.load(Ordering::Relaxed);
            if all >= drain.messages as u64 || began.elapsed() >= drain.limit {
                stop.store(true, Ordering::Relaxed);
            } else if count == 0 {
                // The others have the rest.
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    };
    let (before, began) = thread::scope(|scope| -> Result<_> {
        let work = &work;
        let all: Vec<_> = consumers
            .iter_mut()
            .map(|consumer| scope.spawn(move || work(consumer)))
            .collect();
        warm.wait();
        let before = done.load(Ordering::Relaxed);
        let began = Instant::now();
        warm.wait();
        all.into_iter()
            .try_for_each(|one| one.join().map_err(|_| "a consumer panicked")?)?;
        Ok((before, began))
    })?;
    let took = began.elapsed();
    let in_the_end = done.into_inner();
    Ok(Done {
        messages: in_the_end - before,
        took,
        cut_off: in_the_end < drain.messages as u64,
        in_the_end,
    })
}

/// Puts in one batch after the other: `put` is given places in the lists of the load.
pub(crate) fn batches(
    enqueue: &Enqueue<'_>,
    mut put: impl FnMut(Range<usize>) -> Result<()>,
) -> Result<Done> {
    let began = Instant::now();
    let mut messages = 0;
    for batch in Load::batches(enqueue.messages, enqueue.batch) {
        messages += batch.len() as u64;
        put(batch)?;
        if began.elapsed() >= enqueue.limit {
            break;
        }
    }
    Ok(Done {
        messages,
        took: began.elapsed(),
        cut_off: messages < enqueue.messages as u64,
        in_the_end: messages,
    })
}
