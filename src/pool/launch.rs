//! Starting the threads of a pool.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Sender, bounded};

use super::backoff::Backoff;
use super::builder::Setup;
use super::caution::Caution;
use super::fetch::Fetch;
use super::handler::Handler;
use super::held::{Holding, Job};
use super::jobs::{self, JobReceiver};
use super::settle::Finished;
use super::turns::{Source, Turns};
use super::{Shared, WorkerPool, renew, run, settle};
use crate::bell::{Bell, Bells};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Counters, Reporter};
use crate::queue::Queue;
use crate::stop::StopHandle;

/// A pool whose threads run, and the ends of its channels for a handler thread more.
pub(super) struct Launched {
    pub(super) pool: WorkerPool,
    pub(super) handler: Arc<Handler>,
    pub(super) jobs: JobReceiver<Job>,
    pub(super) finished: Sender<Finished>,
}

impl Launched {
    /// Is a handler thread of the pool, until it stops.
    pub(super) fn work_here(self) -> WorkerPool {
        run::run(&self.pool.shared, &self.handler, &self.jobs, &self.finished);
        self.pool
    }
}

/// A queue that the pool is registered for.
pub(super) struct Registered {
    pub(super) queue: Queue,
    pub(super) worker: i64,
    pub(super) weight: u32,
}

/// Starts all threads but `fewer` handler threads.
pub(super) fn launch(setup: Setup, queues: Vec<Registered>, fewer: usize) -> Result<Launched> {
    let bells = Bells::new();
    let careful = || {
        let attempts = setup.retry.max_attempts();
        Caution::new(setup.threads, attempts, setup.settings.lock_time)
    };
    let source = |r: Registered| Source::new(r.queue, r.worker, r.weight, careful(), bells.bell());
    let sources: Vec<Source> = queues.into_iter().map(source).collect();
    let (ending, ended) = bounded(0);
    let handler = Arc::clone(&setup.handler);
    let shared = share(&setup, bells.bell());
    let rings: Vec<(i64, Bell)> = sources
        .iter()
        .map(|source| (source.queue.id, source.bell.clone()))
        .collect();
    let (jobs, queued) = jobs::channel(shared.capacity());
    // Room for all that the pool can hold: no handler waits for the settle thread.
    let (finished, results) = bounded(shared.most_held());
    let mut pool = WorkerPool {
        shared: Arc::clone(&shared),
        threads: Vec::new(),
        ended,
    };
    let mut start = |name: String, work: Box<dyn FnOnce() + Send>| {
        let ending = ending.clone();
        spawn(name, move || {
            work();
            drop(ending);
        })
        .map(|thread| pool.threads.push(thread))
    };

    let fetch = Fetch {
        // Who ends when there is nothing need not be woken.
        wakeups: match shared.poll_only || shared.until_empty {
            true => None,
            false => shared.store.wakeups(rings),
        },
        backoff: Backoff::new("dequeue"),
        shared: Arc::clone(&shared),
        turns: Turns::new(sources),
        bells,
        jobs,
        queued: queued.clone(),
        finished: finished.clone(),
    };
    let of = |work: fn(&Shared)| {
        let shared = Arc::clone(&shared);
        Box::new(move || work(&shared))
    };
    let all_started = (|| {
        let settling = Arc::clone(&shared);
        start(
            "pgqrs-settle".to_owned(),
            Box::new(move || settle::run(&settling, &results)),
        )?;
        start("pgqrs-renew".to_owned(), of(renew::run))?;
        for number in fewer..shared.threads {
            let (shared, handler) = (Arc::clone(&shared), Arc::clone(&handler));
            let (jobs, finished) = (queued.clone(), finished.clone());
            start(
                format!("pgqrs-run-{number}"),
                Box::new(move || run::run(&shared, &handler, &jobs, &finished)),
            )?;
        }
        start("pgqrs-fetch".to_owned(), Box::new(move || fetch.run()))
    })();
    if let Err(error) = all_started {
        // What was started ends once the channels are closed; the pool waits for it.
        drop((queued, finished));
        return Err(error);
    }
    Ok(Launched {
        pool,
        handler,
        jobs: queued,
        finished,
    })
}

/// What the threads of a pool share at first. `room`: rung when there may be room for more.
pub(super) fn share(setup: &Setup, room: Bell) -> Arc<Shared> {
    Arc::new(Shared {
        store: Arc::clone(&setup.store),
        threads: setup.threads,
        prefetch: setup.prefetch,
        lock_time: setup.settings.lock_time,
        poll_interval: setup.settings.poll_interval,
        poll_only: setup.poll_only,
        until_empty: setup.until_empty,
        retry: setup.retry.clone(),
        done: setup.done.clone(),
        reporter: Reporter {
            counters: Counters::default(),
            others: setup.events.clone(),
        },
        holding: Holding::default(),
        unfinished: AtomicUsize::new(0),
        room,
        stop: StopHandle::new(),
        asked: setup.stop.clone(),
        drained: StopHandle::new(),
        abandon: StopHandle::new(),
        settled: StopHandle::new(),
        error: Mutex::new(None),
    })
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let started = thread::Builder::new().name(name.clone()).spawn(work);
    started.map_err(|error| {
        let text = format!("could not start the thread {name}: {error}");
        Error::new(ErrorKind::Unavailable, text).because(error)
    })
}
