//! Without a server: queues in an SQLite file. All of it in one section, so that it can be run where
//! there is no PostgreSQL.

use super::{LARGE, SMALL, SQLITE};
use crate::Result;
use crate::bench::{Bench, rate};
use crate::report::thousands;
use crate::results::{Cell, Figure};
use crate::sqlite::job::{Job, Work};
use crate::sqlite::{ASYNC, NAMES, ONE_CALL, OURS, Programs};

/// The variants.
pub(crate) const DRAIN: &str = "drain";
const ENQUEUE: &str = "enqueue";
const BACKLOG: &str = "backlog of ";

pub(crate) fn is_backlog(variant: &str) -> bool {
    variant.starts_with(BACKLOG)
}

const BACKLOG_BATCH: usize = 50;
/// Ours gets through a million in a time that one can wait for, and only the rate of all of
/// it says whether it stays flat.
const PATIENCE: u32 = 40;

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    if !NAMES.iter().any(|name| bench.args.wants_queue(name)) {
        return Ok(());
    }
    let programs = Programs::build()?;
    drains(bench, &programs)?;
    backlogs(bench, &programs)?;
    enqueues(bench, &programs)
}

fn drains(bench: &mut Bench<'_>, programs: &Programs) -> Result<()> {
    let args = bench.args;
    for payload_bytes in [SMALL, LARGE] {
        for batch in [1, 10, 50, 100] {
            for consumers in [1, 4] {
                bench.rounds_without_server(SQLITE, NAMES, |queue| {
                    let job = Job {
                        work: drain(queue),
                        messages: args.messages,
                        payload_bytes,
                        consumers,
                        batch,
                        limit: args.limit,
                    };
                    Ok(vec![figure(programs, queue, &job, DRAIN.to_owned())?])
                })?;
            }
        }
    }
    Ok(())
}

fn backlogs(bench: &mut Bench<'_>, programs: &Programs) -> Result<()> {
    let args = bench.args;
    bench.rounds_without_server(SQLITE, NAMES, |queue| {
        let backlog = |messages| {
            let messages = args.scaled(messages);
            let job = Job {
                work: drain(queue),
                messages,
                payload_bytes: SMALL,
                consumers: 1,
                batch: BACKLOG_BATCH,
                limit: args.limit * if queue == ASYNC { 1 } else { PATIENCE },
            };
            let variant = format!("{BACKLOG}{}", thousands(messages as f64));
            figure(programs, queue, &job, variant)
        };
        Ok(vec![backlog(10_000)?, backlog(1_000_000)?])
    })
}

fn enqueues(bench: &mut Bench<'_>, programs: &Programs) -> Result<()> {
    let args = bench.args;
    for payload_bytes in [SMALL, LARGE] {
        for batch in [1, 100, 1_000] {
            let job = Job {
                work: Work::Enqueue,
                messages: args.messages,
                payload_bytes,
                consumers: 1,
                batch,
                limit: args.limit,
            };
            bench.rounds_without_server(SQLITE, &[OURS, ASYNC], |queue| {
                // A part of it says as much as all: nothing is marked.
                Ok(vec![Figure {
                    cut_off: false,
                    ..figure(programs, queue, &job, ENQUEUE.to_owned())?
                }])
            })?;
        }
    }
    Ok(())
}

fn drain(queue: &str) -> Work {
    match queue {
        ONE_CALL => Work::DrainInOneCall,
        _ => Work::Drain,
    }
}

fn figure(programs: &Programs, queue: &str, job: &Job, variant: String) -> Result<Figure> {
    let done = programs.run(queue, job)?;
    let cell = Cell::new(job.payload_bytes, job.consumers, job.batch);
    Ok(rate(cell.variant(variant), &done))
}
