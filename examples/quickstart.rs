//! A real job: hashes and counts all files below a directory, one message per file, on
//! four threads.
//!
//! ```text
//! cargo run --release --example quickstart -- [DIR]
//! ```
//!
//! `PGQRS_DSN` names the database; without it, a throwaway Postgres is started. With one
//! that stays, kill this program in the middle and run it again: it first finishes what
//! the queue still holds.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use pgqrs::{Consumer, Message, PgStore, Producer, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const QUEUE: &str = "quickstart";
const THREADS: usize = 4;
const ENQUEUE_BATCH: usize = 500;
const DEQUEUE_BATCH: usize = 50;

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

fn main() -> Result<(), Box<dyn Error>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let dir = std::env::args_os()
        .nth(1)
        .map_or(default.into(), PathBuf::from);
    let store = match std::env::var_os("PGQRS_DSN") {
        Some(_) => PgStore::from_env()?,
        None => PgStore::connect(support::server().dsn())?,
    };
    store.install()?;
    store.create_queue(QUEUE)?;

    let left = store.counts(QUEUE)?.unfinished();
    if left > 0 {
        println!("an earlier run left {left} messages; finishing them first");
        let finished = work_off(&store)?;
        println!("finished {} of them", finished.found.len());
    }

    let before = store.counts(QUEUE)?;
    let began = Instant::now();
    let enqueued = enqueue_files(&store, &dir)?;
    let Work { found, ended } = work_off(&store)?;
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
        "{:.0} messages per second, from the first enqueue to the last archive",
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
fn enqueue_files(store: &PgStore, dir: &Path) -> Result<usize, Box<dyn Error>> {
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

/// What was done.
struct Work {
    /// What was found out, by path.
    found: BTreeMap<String, Facts>,
    /// When the last message was archived.
    ended: Instant,
}

/// Works on four threads until the queue has nothing left to do, also nothing that a
/// killed run still holds.
fn work_off(store: &PgStore) -> pgqrs::Result<Work> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| worker(store)))
            .collect();
        let mut all = Work {
            found: BTreeMap::new(),
            ended: Instant::now(),
        };
        for thread in threads {
            let own = thread.join().expect("a worker panicked")?;
            all.found.extend(own.found);
            all.ended = all.ended.max(own.ended);
        }
        Ok(all)
    })
}

fn worker(store: &PgStore) -> pgqrs::Result<Work> {
    let consumer = Consumer::new(store, QUEUE)?;
    let mut found = BTreeMap::new();
    let mut ended = Instant::now();
    loop {
        let messages = consumer.poll(DEQUEUE_BATCH, Duration::from_millis(300))?;
        if messages.is_empty() && store.counts(QUEUE)?.unfinished() == 0 {
            return Ok(Work { found, ended });
        }
        let mut done: Vec<(&Message, String, Facts)> = Vec::new();
        for message in &messages {
            match hash(message) {
                Ok((path, facts)) => done.push((message, path, facts)),
                Err(why) => {
                    consumer.dead_letter(message, why.to_string())?;
                }
            }
        }
        let archived = consumer.archive_many(done.iter().map(|(message, ..)| *message))?;
        if !archived.is_empty() {
            ended = Instant::now();
        }
        // Where the lease was lost, somebody else does the work again, and counts it.
        let mine = done.into_iter().zip(archived).filter(|(_, mine)| *mine);
        found.extend(mine.map(|((_, path, facts), _)| (path, facts)));
    }
}

/// The work: reads the file that the message names.
fn hash(message: &Message) -> Result<(String, Facts), Box<dyn Error>> {
    let job: Job = message.json()?;
    let content = fs::read(&job.path).map_err(|e| format!("{}: {e}", job.path))?;
    let facts = Facts {
        sha256: Sha256::digest(&content).into(),
        bytes: content.len(),
        lines: content.iter().filter(|byte| **byte == b'\n').count(),
    };
    Ok((job.path, facts))
}
