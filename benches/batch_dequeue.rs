//! Batch dequeue + archive, at several batch sizes, on every store: messages per second.
//!
//! ```text
//! cargo bench --bench batch_dequeue
//! benches/compare.sh                  # against the last commit
//! ```
//!
//! Each measurement drains a queue that was filled beforehand; the filling is not timed.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgqrs::{Consumer, MockStore, PgStore, Producer, SqliteStore, Store};
use serde_json::json;

const BATCHES: [usize; 4] = [1, 10, 100, 1_000];

/// Works off so many messages in batches.
type Loop<S> = fn(&Consumer<S>, batch: usize, count: usize);

fn two_calls<S: Store>(consumer: &Consumer<S>, batch: usize, count: usize) {
    let mut left = count;
    while left > 0 {
        let messages = consumer.dequeue_many(batch).unwrap();
        assert!(!messages.is_empty(), "{left} messages are left");
        left -= done(&consumer.archive_many(&messages).unwrap());
    }
}

fn one_call<S: Store>(consumer: &Consumer<S>, batch: usize, count: usize) {
    let mut left = count;
    let mut held = consumer.dequeue_many(batch).unwrap();
    while left > 0 {
        assert!(!held.is_empty(), "{left} messages are left");
        let (archived, next) = consumer.archive_and_dequeue(&held, batch).unwrap();
        left -= done(&archived);
        held = next;
    }
}

fn done(archived: &[bool]) -> usize {
    archived.iter().filter(|archived| **archived).count()
}

/// Times the draining of `count` messages in batches.
fn drain<S: Store + Clone>(store: &S, work: Loop<S>, batch: usize, count: usize) -> Duration {
    let name = format!("bench{batch}");
    store.create_queue(&name).unwrap();
    let producer = Producer::new(store.clone(), &name).unwrap();
    let payload = json!({"p": "x".repeat(42)}); // 50 bytes
    for at in (0..count).step_by(1_000) {
        let part = (count - at).min(1_000);
        producer
            .batch_enqueue(std::iter::repeat_n(&payload, part))
            .unwrap();
    }
    let consumer = Consumer::builder(store.clone(), &name)
        .lock_time(Duration::from_secs(3600))
        .build()
        .unwrap();
    let began = Instant::now();
    work(&consumer, batch, count);
    let took = began.elapsed();
    // The next measurement begins on an empty queue, as this one did.
    store
        .delete_queue(&name, pgqrs::IfNotEmpty::Delete)
        .unwrap();
    took
}

fn bench<S: Store + Clone>(criterion: &mut Criterion, name: &str, store: &S, work: Loop<S>) {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher.iter_custom(|times| {
                drain(store, work, batch, batch * usize::try_from(times).unwrap())
            });
        });
    }
    group.finish();
}

fn mock(criterion: &mut Criterion) {
    bench(criterion, "MockStore", &MockStore::new(), two_calls);
}

fn postgres(criterion: &mut Criterion) {
    let schema = pgqrs_test_support::Schema::new();
    let store = PgStore::builder(schema.dsn())
        .schema(schema.name())
        .build()
        .unwrap();
    store.install().unwrap();
    bench(criterion, "PgStore", &store, two_calls);
    bench(criterion, "PgStore in one call", &store, one_call);
}

fn sqlite(criterion: &mut Criterion) {
    // Not where temporary files are, which may be in memory: a flush is to be one.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = SqliteStore::open(directory.path().join("queue.db")).unwrap();
    bench(criterion, "SqliteStore", &store, two_calls);
    bench(criterion, "SqliteStore in one call", &store, one_call);
    let memory = SqliteStore::in_memory().unwrap();
    bench(criterion, "SqliteStore in memory", &memory, two_calls);
}

criterion_group!(benches, mock, sqlite, postgres);
criterion_main!(benches);
