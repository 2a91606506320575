//! A real job: hashes and counts all files below a directory, one message per file, on
//! four threads.
//!
//! ```text
//! cargo run --release --example quickstart -- [DIR]
//! ```
//!
//! The queue is in the file `quickstart.db`, in SQLite, unless `PGQRS_DSN` names another database:
//! `sqlite://path`, or `postgresql://…`. Kill this program in the middle and run it again: it
//! first finishes what the queue still holds.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use pgqrs::{Context, Failure, Handled, Producer, Store, WorkerPool};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const DEFAULT_DSN: &str = "sqlite://quickstart.db";
const QUEUE: &str = "quickstart";
const THREADS: usize = 4;
const ENQUEUE_BATCH: usize = 500;

/// The payload of a message.
#[derive(Serialize, Deserialize)]
struct Job {
    path: String,
}

/// What the work on one file found out.
struct Facts {
    sha256: [u8; 32],
    bytes: usize,
    lines: usize,
}

/// What was found out, by path: a file that is done twice counts once.
type Found = BTreeMap<String, Facts>;

fn main() -> Result<(), Box<dyn Error>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let dir = std::env::args_os()
        .nth(1)
        .map_or(default.into(), PathBuf::from);
    let store = match std::env::var_os("PGQRS_DSN") {
        Some(_) => pgqrs::connect_from_env()?,
        None => {
            println!("the queue is in {DEFAULT_DSN}");
            pgqrs::connect(DEFAULT_DSN)?
        }
    };
    store.install()?;
    store.create_queue(QUEUE)?;

    let left = store.counts(QUEUE)?.unfinished();
    if left > 0 {
        println!("an earlier run left {left} messages; finishing them first");
        let (found, _) = work_off(&store, left)?;
        println!("finished {} of them", found.len());
    }

    let before = store.counts(QUEUE)?;
    let began = Instant::now();
    let enqueued = enqueue_files(&store, &dir)?;
    let (found, ended) = work_off(&store, enqueued as u64)?;
    let took = (ended - began).as_secs_f64();

    let bytes: usize = found.values().map(|facts| facts.bytes).sum();
    let lines: usize = found.values().map(|facts| facts.lines).sum();
    let mut all = Sha256::new();
    for (path, facts) in &found {
        all.update(path);
        all.update(facts.sha256);
    }
    let digest: String = all
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!("{} files, {bytes} bytes, {lines} lines", found.len());
    println!("sha256 over all paths and hashes: {digest}");
    println!(
        "{:.0} messages per second, from the first enqueue to the end of the queue",
        enqueued as f64 / took
    );

    let after = store.counts(QUEUE)?;
    println!(
        "queue {QUEUE:?}: {} ready + {} leased + {} scheduled + {} archived + {} dead = {}",
        after.ready,
        after.leased,
        after.scheduled,
        after.archived,
        after.dead,
        after.total()
    );
    let expected = before.total() + enqueued as u64;
    let finished = after.archived + after.dead - before.archived - before.dead;
    if after.total() != expected || finished != enqueued as u64 {
        return Err(format!(
            "it does not add up: {expected} were put in over all runs, and of the {enqueued} \
             of this run {finished} were finished"
        )
        .into());
    }
    println!("it adds up: {expected} were put in over all runs, {enqueued} of them in this one");
    Ok(())
}

/// Enqueues one message per file, in batches, and returns how many.
fn enqueue_files(store: &Arc<dyn Store>, dir: &Path) -> Result<usize, Box<dyn Error>> {
    let producer = Producer::new(store, QUEUE)?;
    let mut jobs = Vec::new();
    let mut dirs = vec![fs::canonicalize(dir).map_err(|e| format!("{}: {e}", dir.display()))?];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path().to_string_lossy().into_owned();
                jobs.push(Job { path });
            }
        }
    }
    for batch in jobs.chunks(ENQUEUE_BATCH) {
        producer.batch_enqueue(batch)?;
    }
    Ok(jobs.len())
}

/// Has a pool work until the queue has nothing left to do, also nothing that a killed run
/// still holds. Returns what was found out, and when the last message was done.
fn work_off(store: &Arc<dyn Store>, messages: u64) -> Result<(Found, Instant), Box<dyn Error>> {
    let found = Arc::new(Mutex::new(Found::new()));
    let finding = Arc::clone(&found);
    let pool = WorkerPool::builder(Arc::clone(store), QUEUE)
        .threads(THREADS)
        .handle(move |job: Job, _: &Context| -> Handled {
            // A file that cannot be read now will not be readable in a minute.
            let facts = hash(&job.path).map_err(Failure::dead_letter)?;
            let mut found = finding.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(job.path, facts);
            Ok(())
        })
        .start()?;

    // Without a terminal it shows nothing.
    let bar = ProgressBar::new(messages).with_style(ProgressStyle::with_template(
        "{bar:40} {pos} of {len} files, {per_sec}, {eta} left",
    )?);
    let counters = pool.counters();
    loop {
        let all = counters.wait(Duration::from_millis(100), |seen| {
            bar.set_position(seen.finished + seen.dead_lettered);
            seen.finished + seen.dead_lettered >= messages
        });
        let ended = Instant::now();
        // Others may work on the same queue: then it is the queue that says when it is empty.
        let idle = counters.read().asleep > 0;
        if (all || idle) && store.counts(QUEUE)?.unfinished() == 0 {
            bar.finish_and_clear();
            pool.shutdown(Duration::from_secs(60))?;
            let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
            return Ok((found, ended));
        }
    }
}

/// The work: reads the file that the message names.
fn hash(path: &str) -> Result<Facts, String> {
    let content = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(Facts {
        sha256: Sha256::digest(&content).into(),
        bytes: content.len(),
        lines: content.iter().filter(|byte| **byte == b'\n').count(),
    })
}
