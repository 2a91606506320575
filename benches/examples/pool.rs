//! The load driver of the worker pool: fills a queue, has a pool work it off, and prints one
//! line of JSON.
//!
//! ```text
//! cargo run --release -p pgqrs-benches --example pool -- --messages 200000 --threads 4 --payload-bytes 50
//!     [--prefetch 2000] [--latency] [--poll-only] [--dsn DSN]
//! ```
//!
//! With `--latency` instead: an idle pool, one message every 5 ms for 10 s, and how long it
//! takes from before the enqueue to the start of the handler, and to the archive.
//!
//! Without `--dsn` it starts a throwaway Postgres. With one it works in whatever that names
//! (`postgresql://…`, `sqlite://path`, `sqlite::memory:`, `mock:`), in a schema or a queue of its
//! own, which it deletes in the end.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use pgqrs::{Context, Delivery, Events, Message, Producer, Report, WorkerPool, WorkerPoolBuilder};
use pgqrs_benches::Target;
use pgqrs_test_support::load::payloads;
use serde_json::{Value, json};

const ENQUEUE_BATCH: usize = 1_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// One message this often, for this long, with `--latency`.
const PACE: Duration = Duration::from_millis(5);
const PACED: usize = 2_000;

/// What was asked for.
struct Args {
    messages: usize,
    threads: usize,
    prefetch: usize,
    payload_bytes: usize,
    latency: bool,
    poll_only: bool,
    dsn: Option<String>,
}

impl Args {
    fn parse() -> Result<Self, lexopt::Error> {
        let mut args = Self {
            messages: 200_000,
            threads: 4,
            prefetch: 2_000,
            payload_bytes: 50,
            latency: false,
            poll_only: false,
            dsn: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("messages") => args.messages = parser.value()?.parse()?,
                Long("threads") => args.threads = parser.value()?.parse()?,
                Long("prefetch") => args.prefetch = parser.value()?.parse()?,
                Long("payload-bytes") => args.payload_bytes = parser.value()?.parse()?,
                Long("latency") => args.latency = true,
                Long("poll-only") => args.poll_only = true,
                Long("dsn") => args.dsn = Some(parser.value()?.string()?),
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(args)
    }

    fn pool(&self, target: &Target) -> WorkerPoolBuilder {
        let pool = WorkerPool::builder(Arc::clone(&target.store), &target.queue)
            .threads(self.threads)
            .prefetch(self.prefetch)
            .lock_time(Duration::from_secs(60));
        match self.poll_only {
            true => pool.poll_only(),
            false => pool,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse()?;
    // The default of PgStore.
    let target = Target::open(args.dsn.as_deref(), "pool", 16)?;
    let line = match args.latency {
        true => latency(&args, &target)?,
        false => throughput(&args, target)?,
    };
    println!("{line}");
    Ok(())
}

/// Fills the queue, then works it off.
fn throughput(args: &Args, target: Target) -> Result<Value, Box<dyn Error>> {
    let payloads = payloads(ENQUEUE_BATCH, args.payload_bytes);
    let began = Instant::now();
    let producer = Producer::new(&target.store, &target.queue)?;
    let mut left = args.messages;
    while left > 0 {
        let batch = &payloads[..left.min(payloads.len())];
        producer.batch_enqueue(batch)?;
        left -= batch.len();
    }
    let enqueue = began.elapsed();

    let began = Instant::now();
    let handler = |_: Message, _: &Context| Ok(());
    let pool = args.pool(&target).handle(handler).start()?;
    let all = |seen: &Report| seen.finished == args.messages as u64;
    let in_time = pool.counters().wait(HOUR, all);
    let handled = began.elapsed();
    let report = pool.shutdown(HOUR)?;

    let counts = target.store.counts(&target.queue)?;
    if !in_time || counts.archived != args.messages as u64 || counts.total() != counts.archived {
        return Err(format!("{} went in; {report}; {counts:?}", args.messages).into());
    }
    let messages = args.messages as f64;
    drop(producer);
    let mut line = json!({
        "messages": args.messages,
        "threads": args.threads,
        "prefetch": args.prefetch,
        "payload_bytes": payloads[0].to_string().len(),
        "enqueue_per_s": (messages / enqueue.as_secs_f64()).round(),
        "handled_per_s": (messages / handled.as_secs_f64()).round(),
    });
    for (name, figure) in target.figures(args.messages)? {
        line[name] = figure;
    }
    Ok(line)
}

/// When something happened to a message.
type Moments = Arc<Mutex<HashMap<i64, Instant>>>;

/// Notes when messages were archived.
struct Archived(Moments);

impl Events for Archived {
    fn finished(&self, delivery: &Delivery<'_>) {
        note(&self.0, delivery.id);
    }
}

fn note(moments: &Moments, id: i64) {
    let mut moments = moments.lock().unwrap_or_else(PoisonError::into_inner);
    moments.insert(id, Instant::now());
}

/// Has an idle pool wait for single messages.
fn latency(args: &Args, target: &Target) -> Result<Value, Box<dyn Error>> {
    let (started, archived) = (Moments::default(), Moments::default());
    let starting = Arc::clone(&started);
    let pool = args
        .pool(target)
        .events(Archived(Arc::clone(&archived)))
        .handle(move |_: Value, context: &Context| {
            note(&starting, context.id());
            Ok(())
        })
        .start()?;
    let producer = Producer::new(&target.store, &target.queue)?;
    let payload = &payloads(1, args.payload_bytes)[0];
    // Connections are open, and statements prepared, before anything is measured.
    for count in 1..=20 {
        producer.enqueue(payload)?;
        pool.counters().wait(HOUR, |seen| seen.finished == count);
    }
    let mut sent = Vec::with_capacity(PACED);
    let mut next = Instant::now();
    for _ in 0..PACED {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        next += PACE;
        let began = Instant::now();
        sent.push((producer.enqueue(payload)?.id, began));
    }
    let all = |seen: &Report| seen.finished == 20 + PACED as u64;
    if !pool.counters().wait(HOUR, all) {
        return Err("the messages were not finished in an hour".into());
    }
    pool.shutdown(HOUR)?;

    let since = |moments: &Moments| -> Vec<f64> {
        let moments = moments.lock().unwrap_or_else(PoisonError::into_inner);
        let took = |(id, began): &(i64, Instant)| Some((*moments.get(id)? - *began).as_secs_f64());
        let mut times: Vec<f64> = sent.iter().filter_map(took).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let (start, done) = (since(&started), since(&archived));
    if start.len() != PACED || done.len() != PACED {
        return Err(format!("{} started, {} done of {PACED}", start.len(), done.len()).into());
    }
    let millis = |sorted: &[f64], percent: usize| -> f64 {
        (sorted[PACED * percent / 100] * 1e6).round() / 1e3
    };
    Ok(json!({
        "messages": PACED,
        "threads": args.threads,
        "start_p50_ms": millis(&start, 50),
        "start_p99_ms": millis(&start, 99),
        "done_p50_ms": millis(&done, 50),
        "done_p99_ms": millis(&done, 99),
    }))
}
