//! Handlers of several messages at a time.

use std::time::{Duration, Instant};

use super::pool_scene::*;
use super::scene::*;
use crate::Harness;
use pgqrs::{Batch, Counts, Failure, Handled, RetryPolicy};

/// The handler answers by position, and each message goes its own way.
pub fn a_batch_is_settled_by_position(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(5);
    let pool = tasks.pool().handle_batch(100, |batch: &Batch| {
        let answer = |number: Option<u64>| match number {
            Some(0 | 4) => Ok(()),
            Some(1) => Err("no".into()),
            Some(2) => Err(Failure::give_back(HOUR)),
            _ => Err(Failure::dead_letter("never")),
        };
        let answers = batch.iter().map(|message| answer(message.payload.as_u64()));
        answers.collect()
    });
    let report = run(pool).unwrap();
    assert_eq!((report.started, report.finished), (5, 2));
    assert_eq!(
        (report.retried, report.given_back, report.dead_lettered),
        (1, 1, 1)
    );
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 2,
            scheduled: 2,
            dead: 1,
            ..NONE
        }
    );
    h.advance(HOUR);
    let attempts: Vec<_> = tasks
        .drain()
        .iter()
        .map(|m| (m.payload.as_u64(), reads(m)))
        .collect();
    assert_eq!(attempts.len(), 2);
    assert!(attempts.contains(&(Some(1), (2, 2))), "{attempts:?}");
    assert!(attempts.contains(&(Some(2), (2, 1))), "{attempts:?}");
}

/// Messages without an answer are retried; those before them have theirs.
pub fn messages_without_an_answer_are_retried(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let pool = tasks.pool().handle_batch(100, |_: &Batch| Vec::new());
    let report = run(pool).unwrap();
    assert_eq!((report.finished, report.retried), (0, 1));
    let scheduled = 1;
    assert_eq!(tasks.counts(), Counts { scheduled, ..NONE });
}

/// Answers for more messages than there are belong to nobody knows which: all are retried.
pub fn a_batch_with_too_many_answers_is_retried(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(3);
    let many = |batch: &Batch| -> Vec<Handled> { (0..=batch.len()).map(|_| Ok(())).collect() };
    let pool = tasks.pool().handle_batch(100, many);
    let report = run(pool).unwrap();
    assert_eq!((report.finished, report.retried), (0, 3));
}

/// A panic is a failure of all the batch's messages, and of no other's.
pub fn a_batch_that_panics_is_retried(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(6);
    let policy = RetryPolicy::fixed(Duration::ZERO).attempts(2);
    let pool = tasks.pool().retry(policy).threads(2);
    let pool = pool.handle_batch(1, |batch: &Batch| {
        assert!(batch[0].payload != 3, "three, on purpose");
        vec![Ok(())]
    });
    let report = run(pool).unwrap();
    assert_eq!(
        (report.finished, report.retried, report.dead_lettered),
        (5, 1, 1)
    );
}

/// A batch has what waits, but never more than `most`.
pub fn a_batch_is_never_larger_than_most(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(50);
    let (seen, sizes) = notes();
    let pool = tasks
        .pool()
        .threads(2)
        .handle_batch(7, move |batch: &Batch| {
            seen.note(batch.len());
            batch.iter().map(|_| Ok(())).collect()
        });
    assert_eq!(run(pool).unwrap().finished, 50);
    let sizes = sizes.all();
    assert!(sizes.iter().all(|size| (1..=7).contains(size)), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 50);
}

/// What waits while all threads are busy comes together.
pub fn what_waits_comes_as_one_batch(h: &impl Harness) {
    let tasks = tasks(h);
    let gate = Gate::default();
    let at_gate = gate.clone();
    let (seen, sizes) = notes();
    let pool = tasks
        .pool()
        .threads(1)
        .handle_batch(100, move |batch: &Batch| {
            seen.note(batch.len());
            at_gate.pass();
            batch.iter().map(|_| Ok(())).collect()
        });
    let pool = pool.start().unwrap();
    tasks.put(1);
    assert_eq!(sizes.next(), 1);
    tasks.put(20);
    wait(&pool, |seen| seen.fetched == 21);
    sleeps_again(&pool); // so it has handed them out
    gate.open();
    assert_eq!(sizes.next(), 20);
    wait(&pool, |seen| seen.finished == 21);
}

/// A batch knows its messages' contexts.
pub fn a_batch_knows_its_contexts(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(5);
    let pool = tasks.pool().handle_batch(3, |batch: &Batch| {
        assert!(!batch.is_empty() && batch.contexts().len() == batch.len());
        assert!(batch.deadline() > Instant::now() && !batch.is_stopping());
        for (message, context) in batch.iter().zip(batch.contexts()) {
            assert_eq!(context.id(), message.id);
            assert_eq!(context.attempt(), message.attempt);
            assert!(batch.deadline() <= context.deadline());
        }
        batch.iter().map(|_| Ok(())).collect()
    });
    assert_eq!(run(pool).unwrap().finished, 5);
}
