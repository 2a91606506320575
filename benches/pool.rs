//! What the pool's own threads cost: a handler that does nothing, on `MockStore`, against a
//! loop that dequeues and archives the same messages itself.
//!
//! ```text
//! cargo bench --bench pool
//! ```
//!
//! Messages per second; the difference of two lines is the price of fetching ahead, the two
//! channels, the batched settling and the counting, per message. The queue is filled
//! beforehand, which is not timed; starting and stopping the threads is.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgqrs::{Consumer, Context, Message, MockStore, Producer, Store, WorkerPool};
use serde_json::json;

const MESSAGES: usize = 20_000;
const BATCH: usize = 256;
const DEADLINE: Duration = Duration::from_secs(600);

/// A store of its own for each measurement: what others left behind does not count.
fn full_queue() -> MockStore {
    let store = MockStore::new();
    store.create_queue("bench").unwrap();
    let payload = json!({"p": "x".repeat(42)}); // 50 bytes
    let producer = Producer::new(store.clone(), "bench").unwrap();
    producer
        .batch_enqueue(std::iter::repeat_n(&payload, MESSAGES))
        .unwrap();
    store
}

fn check(store: &MockStore) {
    assert_eq!(store.counts("bench").unwrap().archived, MESSAGES as u64);
}

fn by_hand() -> Duration {
    let store = full_queue();
    let consumer = Consumer::new(store.clone(), "bench").unwrap();
    let began = Instant::now();
    loop {
        let messages = consumer.dequeue_many(BATCH).unwrap();
        if messages.is_empty() {
            break;
        }
        consumer.archive_many(&messages).unwrap();
    }
    let took = began.elapsed();
    check(&store);
    took
}

fn by_pool(threads: usize) -> Duration {
    let store = full_queue();
    let builder = WorkerPool::builder(store.clone(), "bench")
        .threads(threads)
        .prefetch(BATCH)
        .handle(|_: Message, _: &Context| Ok(()));
    let began = Instant::now();
    let pool = builder.start().unwrap();
    let all = |seen: &pgqrs::Report| seen.finished == MESSAGES as u64;
    assert!(pool.counters().wait(DEADLINE, all));
    pool.shutdown(DEADLINE).unwrap();
    let took = began.elapsed();
    check(&store);
    took
}

fn pool(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("no-op handler");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(MESSAGES as u64));
    let times = |count: u64, once: &dyn Fn() -> Duration| (0..count).map(|_| once()).sum();
    group.bench_function("consumer", |bencher| {
        bencher.iter_custom(|count| times(count, &by_hand));
    });
    for threads in [1, 4, 64] {
        let id = BenchmarkId::new("pool", threads);
        group.bench_function(id, |bencher| {
            bencher.iter_custom(|count| times(count, &|| by_pool(threads)));
        });
    }
    group.finish();
}

criterion_group!(benches, pool);
criterion_main!(benches);
