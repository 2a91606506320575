//! What a pool does about leases: renews them, and lives with those that were lost.

use std::time::{Duration, Instant};

use super::pool_scene::*;
use super::scene::*;
use crate::Harness;
use pgqrs::{Context, Counts, Message, RetryPolicy, State, Store};

/// Short enough to be renewed while a case waits.
const SHORT: Duration = Duration::from_millis(600);

/// Attempts that ended without a word are attempts: when they are used up, the message goes
/// to the dead letters, and no handler sees it.
pub fn attempts_that_lapsed_use_a_message_up(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(3);
    let crashed = tasks.consumer();
    for _ in 0..2 {
        assert_eq!(crashed.dequeue_many(2).unwrap().len(), 2);
        h.advance(HOUR);
    }
    let policy = RetryPolicy::never().attempts(2);
    let pool = tasks.pool().retry(policy).handle(fine);
    let report = run(pool).unwrap();
    assert_eq!(
        (report.started, report.finished, report.dead_lettered),
        (1, 1, 2)
    );
    let (archived, dead) = (1, 2);
    assert_eq!(
        tasks.counts(),
        Counts {
            archived,
            dead,
            ..NONE
        }
    );
}

/// One lapse is no end: the message is worked on, as the next attempt.
pub fn what_a_crash_left_behind_is_worked_off(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(20);
    assert_eq!(tasks.consumer().dequeue_many(15).unwrap().len(), 15);
    h.advance(HOUR);
    let (seen, attempts) = notes();
    let pool = tasks
        .pool()
        .threads(2)
        .handle(move |_: Message, context: &Context| {
            seen.note(context.attempt());
            Ok(())
        });
    let report = run(pool).unwrap();
    assert_eq!((report.started, report.finished), (20, 20));
    assert_adds_up(&report);
    let attempts = attempts.all();
    let again = attempts.iter().filter(|attempt| **attempt == 2).count();
    assert_eq!((attempts.len(), again), (20, 15));
}

/// The leases of what waits and of what runs are renewed, for as long as it takes.
pub fn leases_are_renewed_while_messages_wait_and_run(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(5);
    let gate = Gate::default();
    let at_gate = gate.clone();
    let pool = tasks.pool().lock_time(SHORT).threads(1);
    let pool = pool.handle(move |_: Message, _: &Context| {
        at_gate.pass();
        Ok(())
    });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.fetched >= 5);
    wait(&pool, |seen| seen.renewed >= 5 * 6);
    gate.open();
    wait(&pool, |seen| seen.finished == 5);
    pool.stop();
    let report = join(pool).unwrap();
    assert_eq!(report.started, 5);
    assert_adds_up(&report);
    let archived = 5;
    assert_eq!(tasks.counts(), Counts { archived, ..NONE });
}

/// So they are after a stop, until the last handler has ended.
pub fn leases_are_renewed_after_a_stop(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let gate = Gate::default();
    let at_gate = gate.clone();
    let pool = tasks.pool().lock_time(SHORT).threads(1);
    let pool = pool.handle(move |_: Message, _: &Context| {
        at_gate.pass();
        Ok(())
    });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.started == 1);
    pool.stop();
    let before = pool.counters().read().renewed;
    wait(&pool, |seen| seen.renewed >= before + 4);
    gate.open();
    assert_eq!(join(pool).unwrap().finished, 1);
}

/// A message that another consumer took over is not the pool's any more: what its handler
/// answers changes nothing.
pub fn a_lease_lost_to_another_consumer_changes_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let gate = Gate::default();
    let at_gate = gate.clone();
    // Without room for another message it does not look, and cannot take it back itself.
    let pool = tasks.pool().threads(1).prefetch(0);
    let pool = pool.handle(move |_: Message, _: &Context| {
        at_gate.pass();
        Ok(())
    });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.started == 1);
    h.advance(HOUR);
    let other = tasks.consumer();
    let taken = only(other.poll(1, MINUTE).unwrap());
    gate.open();
    wait(&pool, |seen| seen.lost == 1);
    pool.stop();
    let report = join(pool).unwrap();
    assert_eq!((report.fetched, report.started, report.finished), (1, 1, 0));
    assert_adds_up(&report);
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
    assert!(other.archive(&taken).unwrap());
}

/// A message whose lease ran out while its handler runs is not started a second time by the
/// same pool: it goes on under the new lease.
pub fn a_message_is_not_started_twice_by_one_pool(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let gate = Gate::default();
    let at_gate = gate.clone();
    let pool = tasks.pool().threads(2);
    let pool = pool.handle(move |_: Message, context: &Context| {
        at_gate.pass();
        assert!(!context.is_lost());
        Ok(())
    });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.started == 1);
    h.advance(HOUR);
    wait(&pool, |seen| seen.fetched == 2 && seen.lost == 1);
    let leased = 1;
    assert_eq!(tasks.counts(), Counts { leased, ..NONE });
    gate.open();
    wait(&pool, |seen| seen.finished == 1);
    pool.stop();
    let report = join(pool).unwrap();
    assert_eq!((report.fetched, report.started, report.finished), (2, 1, 1));
    assert_adds_up(&report);
    let archived = 1;
    assert_eq!(tasks.counts(), Counts { archived, ..NONE });
}

/// A handler learns that its message is gone, and a message that is gone is not started.
pub fn a_message_that_is_gone_is_not_started(h: &impl Harness) {
    let tasks = tasks(h);
    let gate = Gate::default();
    let at_gate = gate.clone();
    let (seen, lost) = notes();
    let pool = tasks.pool().lock_time(SHORT).threads(1).prefetch(9);
    let pool = pool.handle(move |number: u32, context: &Context| {
        at_gate.pass();
        seen.note((number, context.is_lost()));
        Ok(())
    });
    let pool = pool.start().unwrap();
    tasks.put(2);
    wait(&pool, |seen| seen.fetched >= 2 && seen.started == 1);
    tasks
        .store
        .purge("tasks", &[State::Ready, State::Leased])
        .unwrap();
    tasks.producer.enqueue(&7).unwrap();
    let before = pool.counters().read().renewed;
    // Two may still be those that are gone. Any more are of a renewal after that.
    wait(&pool, |seen| seen.renewed >= before + 6);
    gate.open();
    wait(&pool, |seen| seen.finished == 1);
    pool.stop();
    let report = join(pool).unwrap();
    assert_adds_up(&report);
    assert_eq!(lost.all(), [(0, true), (7, false)]);
    assert!(report.lost >= 2, "{report}");
}

/// The deadline that a handler sees moves on with every renewal.
pub fn a_renewed_lease_has_a_later_deadline(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let gate = Gate::default();
    let at_gate = gate.clone();
    let (seen, deadlines) = notes();
    let pool = tasks.pool().lock_time(SHORT).threads(1);
    let pool = pool.handle(move |_: Message, context: &Context| {
        seen.note(context.deadline());
        at_gate.pass();
        seen.note(context.deadline());
        Ok(())
    });
    let pool = pool.start().unwrap();
    let first: Instant = deadlines.next();
    wait(&pool, |seen| seen.renewed >= 2);
    gate.open();
    assert!(deadlines.next() > first);
    wait(&pool, |seen| seen.finished == 1);
}
