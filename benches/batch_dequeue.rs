//! Batch dequeue + archive, at several batch sizes, on every store: messages per second.
//!
//! ```text
//! cargo bench --bench batch_dequeue
//! ```
//!
//! Each measurement drains a queue that was filled beforehand; the filling is not timed.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgqrs::{Consumer, MockStore, PgStore, Producer, Store};
use serde_json::json;

const BATCHES: [usize; 4] = [1, 10, 100, 1_000];

/// Times the draining of `count` messages in batches.
fn drain<S: Store + Clone>(store: &S, batch: usize, count: usize) -> Duration {
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
    let mut left = count;
    let began = Instant::now();
    while left > 0 {
        let messages = consumer.dequeue_many(batch).unwrap();
        assert!(!messages.is_empty(), "{left} messages are left");
        let archived = consumer.archive_many(&messages).unwrap();
        left -= archived.into_iter().filter(|archived| *archived).count();
    }
    let took = began.elapsed();
    // The next measurement begins on an empty queue, as this one did.
    store
        .delete_queue(&name, pgqrs::IfNotEmpty::Delete)
        .unwrap();
    took
}

fn bench<S: Store + Clone>(criterion: &mut Criterion, name: &str, store: &S) {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher
                .iter_custom(|times| drain(store, batch, batch * usize::try_from(times).unwrap()));
        });
    }
    group.finish();
}

fn mock(criterion: &mut Criterion) {
    bench(criterion, "MockStore", &MockStore::new());
}

fn postgres(criterion: &mut Criterion) {
    let schema = support::Schema::new();
    let store = PgStore::builder(schema.dsn())
        .schema(schema.name())
        .build()
        .unwrap();
    store.install().unwrap();
    bench(criterion, "PgStore", &store);
}

criterion_group!(benches, mock, postgres);
criterion_main!(benches);
