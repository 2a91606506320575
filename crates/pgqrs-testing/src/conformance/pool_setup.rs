//! What a pool is made from, and what it refuses.

use std::time::{Duration, Instant};

use super::pool_scene::*;
use super::scene::*;
use crate::Harness;
use pgqrs::{
    Batch, Context, Counts, ErrorKind, Message, RetryPolicy, Store, WorkerPool, WorkerPoolBuilder,
};

type Change = fn(WorkerPoolBuilder) -> WorkerPoolBuilder;

/// Settings that make no sense are refused, by their names, and nothing starts.
pub fn bad_settings_of_a_pool_are_refused(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let bad: &[(&str, Change)] = &[
        ("threads", |pool| pool.threads(0)),
        ("threads", |pool| pool.threads(usize::MAX)),
        ("prefetch", |pool| pool.prefetch(usize::MAX)),
        ("lock_time", |pool| pool.lock_time(Duration::ZERO)),
        ("100ms", |pool| pool.lock_time(Duration::from_millis(99))),
        ("poll_interval", |pool| pool.poll_interval(Duration::ZERO)),
        ("\"tasks\"", |pool| pool.weight(0)),
        ("\"others\"", |pool| pool.queue("others", 0)),
        ("\"tasks\"", |pool| pool.queue("tasks", 1)),
        ("attempts", |pool| {
            pool.retry(RetryPolicy::default().attempts(0))
        }),
        ("longest", |pool| {
            pool.retry(RetryPolicy::exponential(HOUR..=MINUTE))
        }),
        ("most", |pool| pool.handle_batch(0, |_: &Batch| Vec::new())),
    ];
    for (names, change) in bad {
        let pool = || change(tasks.pool().handle(fine));
        assert_error(pool().start(), ErrorKind::Invalid, names);
        assert_error(run(pool()), ErrorKind::Invalid, names);
    }
    assert_error(tasks.pool().start(), ErrorKind::Invalid, "handler");
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
}

/// The widest settings are fine.
pub fn odd_settings_of_a_pool_are_fine(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(3);
    let pool = tasks
        .pool()
        .lock_time(Duration::MAX)
        .poll_interval(Duration::MAX);
    let pool = pool.retry(RetryPolicy::fixed(Duration::MAX).attempts(u32::MAX));
    let pool = pool.weight(u32::MAX).prefetch(100_000).threads(1);
    let pool = pool.handle(|number: u32, _: &Context| match number {
        0 => Err("never again".into()),
        _ => Ok(()),
    });
    let report = run(pool).unwrap();
    assert_eq!((report.finished, report.retried), (2, 1));
    let (archived, scheduled) = (2, 1);
    assert_eq!(
        tasks.counts(),
        Counts {
            archived,
            scheduled,
            ..NONE
        }
    );
}

/// A pool in a consumer's place works under its worker id, with its settings.
pub fn a_pool_takes_the_place_of_a_consumer(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(3);
    let consumer = tasks.builder().lock_time(DAY).build().unwrap();
    let worker = consumer.worker();
    let (seen, messages) = notes();
    let pool = WorkerPool::from_consumer(consumer);
    let pool = pool.handle(move |message: Message, _: &Context| {
        seen.note(message);
        Ok(())
    });
    assert_eq!(run(pool).unwrap().finished, 3);
    for message in messages.all() {
        assert_eq!(message.worker, Some(worker));
        assert!(message.vt >= message.enqueued_at + DAY);
    }
}

/// Whoever stops the consumer stops the pool.
pub fn stopping_its_consumer_stops_a_pool(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let pool = WorkerPool::from_consumer(consumer.clone()).poll_interval(OFTEN);
    let pool = pool.handle(fine).start().unwrap();
    wait(&pool, |seen| seen.asleep > 0);
    consumer.stop();
    assert_eq!(join(pool).unwrap().fetched, 0);
}

/// A pool starts from the settings of its store, and its leases are as long.
pub fn a_pool_starts_from_the_settings_of_its_store(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let lock_time = tasks.store.settings().lock_time;
    let pool = WorkerPool::builder(tasks.store.clone(), "tasks");
    let pool = pool.handle(move |message: Message, context: &Context| {
        assert!(message.vt >= message.enqueued_at + lock_time);
        assert!(context.deadline() <= Instant::now() + lock_time);
        Ok(())
    });
    assert_eq!(run(pool).unwrap().finished, 1);
}
