//! The load driver: fills a queue, drains it with dequeue + archive, and prints one line of
//! JSON.
//!
//! ```text
//! cargo run --release --example drain -- --messages 50000 --consumers 4 --batch 50
//!     [--payload-bytes 50] [--consumers-first] [--dsn postgresql://…]
//! ```
//!
//! Without `--dsn` it starts a throwaway Postgres. It works in a schema of its own, which
//! it drops in the end.

#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::support::load::payloads;
use self::support::wal::wal_position;
use lexopt::prelude::*;
use pgqrs::{Consumer, PgStore, Producer, Store};
use postgres::{Client, NoTls};
use serde_json::{Value, json};

const QUEUE: &str = "drain";
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
    let dsn = match &args.dsn {
        Some(dsn) => dsn.clone(),
        None => support::server().dsn().to_owned(),
    };
    let schema = format!("pgqrs_drain_{}", std::process::id());
    let mut monitor = Client::connect(&dsn, NoTls)?;
    let line = run(&args, &dsn, &schema, &mut monitor);
    monitor.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))?;
    println!("{}", line?);
    Ok(())
}

fn run(
    args: &Args,
    dsn: &str,
    schema: &str,
    monitor: &mut Client,
) -> Result<String, Box<dyn Error>> {
    let store = PgStore::builder(dsn)
        .schema(schema)
        .pool_size(u32::try_from(args.consumers)? + 1)
        .lock_time(Duration::from_secs(60))
        .poll_interval(Duration::from_millis(10))
        .build()?;
    store.install()?;
    store.create_queue(QUEUE)?;
    let payloads = payloads(PREFILL_BATCH, args.payload_bytes);
    let wal = wal_position(monitor)?;

    let done = AtomicUsize::new(0);
    let began = Instant::now();
    let (enqueue, drain, times) = thread::scope(|scope| -> pgqrs::Result<_> {
        let start = || -> Vec<_> {
            let worker = || drain(&store, args, &done);
            (0..args.consumers).map(|_| scope.spawn(worker)).collect()
        };
        let early = args.consumers_first.then(start);
        prefill(&store, args.messages, &payloads)?;
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
    let wal = wal_position(monitor)? - wal;

    let counts = store.counts(QUEUE)?;
    let archived = usize::try_from(counts.archived)?;
    if archived != args.messages || counts.total() != counts.archived {
        return Err(format!(
            "{} messages went in, and came out as {counts:?}",
            args.messages
        )
        .into());
    }
    drop(store); // its sessions end, and with that report their statistics
    let messages = args.messages as f64;
    let mut line = json!({
        "messages": args.messages,
        "consumers": args.consumers,
        "batch": args.batch,
        "payload_bytes": payloads[0].to_string().len(),
        "enqueue_per_s": (messages / enqueue.as_secs_f64()).round(),
        "drain_per_s": (messages / drain.as_secs_f64()).round(),
        "wal_bytes_per_message": (wal as f64 / messages).round(),
        "hot_updates_percent": hot_updates_percent(monitor, schema, args.messages)?,
    });
    for (name, mut times) in [("dequeue", times.dequeue), ("archive", times.archive)] {
        times.sort_by(f64::total_cmp);
        line[format!("{name}_p50_ms")] = percentile(&times, 50).into();
        line[format!("{name}_p95_ms")] = percentile(&times, 95).into();
    }
    Ok(line.to_string())
}

fn prefill(store: &PgStore, messages: usize, payloads: &[Value]) -> pgqrs::Result<()> {
    let producer = Producer::new(store, QUEUE)?;
    let mut left = messages;
    while left > 0 {
        let batch = &payloads[..left.min(payloads.len())];
        producer.batch_enqueue(batch)?;
        left -= batch.len();
    }
    Ok(())
}

/// One consumer: until all messages are done, whoever did them.
fn drain(store: &PgStore, args: &Args, done: &AtomicUsize) -> pgqrs::Result<Times> {
    let consumer = Consumer::new(store, QUEUE)?;
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

/// The share of leases that wrote no index, once the server has counted them all.
fn hot_updates_percent(
    monitor: &mut Client,
    schema: &str,
    messages: usize,
) -> Result<f64, Box<dyn Error>> {
    let sql = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
               WHERE schemaname = $1 AND relname = 'pgqrs_live'";
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let row = monitor.query_one(sql, &[&schema])?;
        let (updates, hot): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if updates >= i64::try_from(messages)? {
            return Ok((1e4 * hot as f64 / updates as f64).round() / 100.0);
        }
        if Instant::now() > deadline {
            return Err(format!("the server counted {updates} of {messages} leases").into());
        }
        thread::yield_now();
    }
}
