//! The load driver: fills a queue, drains it with dequeue + archive, and prints one line of
//! JSON.
//!
//! ```text
//! cargo run --release -p pgqrs-benches --example drain -- --messages 50000 --consumers 4 --batch 50
//!     [--payload-bytes 50] [--consumers-first] [--dsn DSN]
//! ```
//!
//! Without `--dsn` it starts a throwaway Postgres. With one it works in whatever that names
//! (`postgresql://…`, `sqlite://path`, `sqlite::memory:`, `mock:`), in a schema or a queue of its
//! own, which it deletes in the end.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use pgqrs::{Consumer, Producer, Store};
use pgqrs_benches::Target;
use pgqrs_test_support::load::payloads;
use serde_json::{Value, json};

const PREFILL_BATCH: usize = 1_000;

/// What was asked for.
struct Args {
    messages: usize,
    consumers: usize,
    batch: usize,
    payload_bytes: usize,
    consumers_first: bool,
    dsn: Option<String>,
}

impl Args {
    fn parse() -> Result<Self, lexopt::Error> {
        let mut args = Self {
            messages: 50_000,
            consumers: 2,
            batch: 100,
            payload_bytes: 50,
            consumers_first: false,
            dsn: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("messages") => args.messages = parser.value()?.parse()?,
                Long("consumers") => args.consumers = parser.value()?.parse()?,
                Long("batch") => args.batch = parser.value()?.parse()?,
                Long("payload-bytes") => args.payload_bytes = parser.value()?.parse()?,
                Long("consumers-first") => args.consumers_first = true,
                Long("dsn") => args.dsn = Some(parser.value()?.string()?),
                _ => return Err(arg.unexpected()),
            }
        }
        if args.messages == 0 || args.consumers == 0 || args.batch == 0 {
            return Err("--messages, --consumers and --batch must be at least 1".into());
        }
        Ok(args)
    }
}

/// How long each call took, in milliseconds.
#[derive(Default)]
struct Times {
    dequeue: Vec<f64>,
    archive: Vec<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse()?;
    let target = Target::open(args.dsn.as_deref(), "drain", args.consumers + 1)?;
    let payloads = payloads(PREFILL_BATCH, args.payload_bytes);

    let done = AtomicUsize::new(0);
    let began = Instant::now();
    let (enqueue, drain, times) = thread::scope(|scope| -> pgqrs::Result<_> {
        let start = || -> Vec<_> {
            let worker = || drain(&target.store, &target.queue, &args, &done);
            (0..args.consumers).map(|_| scope.spawn(worker)).collect()
        };
        let early = args.consumers_first.then(start);
        prefill(&target.store, &target.queue, args.messages, &payloads)?;
        let enqueue = began.elapsed();
        let late = Instant::now();
        let threads = early.unwrap_or_else(start);
        let mut times = Times::default();
        for thread in threads {
            let own = thread.join().expect("a consumer panicked")?;
            times.dequeue.extend(own.dequeue);
            times.archive.extend(own.archive);
        }
        let since = if args.consumers_first { began } else { late };
        Ok((enqueue, since.elapsed(), times))
    })?;

    let counts = target.store.counts(&target.queue)?;
    let archived = usize::try_from(counts.archived)?;
    if archived != args.messages || counts.total() != counts.archived {
        return Err(format!(
            "{} messages went in, and came out as {counts:?}",
            args.messages
        )
        .into());
    }
    let messages = args.messages as f64;
    let mut line = json!({
        "messages": args.messages,
        "consumers": args.consumers,
        "batch": args.batch,
        "payload_bytes": payloads[0].to_string().len(),
        "enqueue_per_s": (messages / enqueue.as_secs_f64()).round(),
        "drain_per_s": (messages / drain.as_secs_f64()).round(),
    });
    for (name, mut times) in [("dequeue", times.dequeue), ("archive", times.archive)] {
        times.sort_by(f64::total_cmp);
        line[format!("{name}_p50_ms")] = percentile(&times, 50).into();
        line[format!("{name}_p95_ms")] = percentile(&times, 95).into();
    }
    for (name, figure) in target.figures(args.messages)? {
        line[name] = figure;
    }
    println!("{line}");
    Ok(())
}

fn prefill(
    store: &dyn Store,
    queue: &str,
    messages: usize,
    payloads: &[Value],
) -> pgqrs::Result<()> {
    let producer = Producer::new(store, queue)?;
    let mut left = messages;
    while left > 0 {
        let batch = &payloads[..left.min(payloads.len())];
        producer.batch_enqueue(batch)?;
        left -= batch.len();
    }
    Ok(())
}

/// One consumer: until all messages are done, whoever did them.
fn drain(store: &dyn Store, queue: &str, args: &Args, done: &AtomicUsize) -> pgqrs::Result<Times> {
    let consumer = Consumer::builder(store, queue)
        .lock_time(Duration::from_secs(60))
        .poll_interval(Duration::from_millis(10))
        .build()?;
    let mut times = Times::default();
    while done.load(Ordering::Relaxed) < args.messages {
        let began = Instant::now();
        let mut messages = consumer.dequeue_many(args.batch)?;
        if messages.is_empty() {
            // Its time is mostly waiting, and so is in no figure.
            messages = consumer.poll(args.batch, Duration::from_millis(100))?;
            if messages.is_empty() {
                continue;
            }
        } else {
            times.dequeue.push(millis(began));
        }
        let began = Instant::now();
        let archived = consumer.archive_many(&messages)?;
        times.archive.push(millis(began));
        let count = archived.into_iter().filter(|archived| *archived).count();
        done.fetch_add(count, Ordering::Relaxed);
    }
    Ok(times)
}

fn millis(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

/// To the microsecond.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |ms| (ms * 1e3).round() / 1e3)
}
