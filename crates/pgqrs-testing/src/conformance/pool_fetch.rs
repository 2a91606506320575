//! How a pool comes by its messages, and when it ends for want of them.

use std::thread;
use std::time::Duration;

use super::pool_scene::*;
use super::scene::*;
use crate::Harness;
use pgqrs::{Context, Counts, ErrorKind, IfNotEmpty, Message, RetryPolicy, Store};

/// A pool that has nothing to do finds what comes.
pub fn an_idle_pool_finds_new_messages(h: &impl Harness) {
    let tasks = tasks(h);
    let pool = tasks.pool().handle(fine).start().unwrap();
    for done in 1..=3 {
        wait(&pool, |seen| seen.asleep > 0);
        sleeps_again(&pool);
        tasks.put(1);
        wait(&pool, |seen| seen.finished == done);
    }
}

/// A delayed message is worked on when it is due.
pub fn an_idle_pool_finds_due_messages(h: &impl Harness) {
    let tasks = tasks(h);
    let pool = tasks.pool().handle(fine).start().unwrap();
    tasks.producer.enqueue_delayed("later", HOUR).unwrap();
    sleeps_again(&pool);
    sleeps_again(&pool);
    assert_eq!(pool.counters().read().fetched, 0);
    h.advance(HOUR);
    wait(&pool, |seen| seen.finished == 1);
}

/// What failed is worked on again when it is due.
pub fn an_idle_pool_finds_its_retries(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let pool = tasks
        .pool()
        .handle(|_: Message, context: &Context| match context.attempt() {
            1 => Err("not yet".into()),
            _ => Ok(()),
        });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.retried == 1);
    h.advance(HOUR);
    wait(&pool, |seen| seen.finished == 1);
}

/// What another process left behind is found when its lease runs out.
pub fn an_idle_pool_finds_expired_leases(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(3);
    assert_eq!(tasks.consumer().dequeue().unwrap().len(), 3);
    let pool = tasks.pool().handle(fine).start().unwrap();
    sleeps_again(&pool);
    h.advance(HOUR);
    wait(&pool, |seen| seen.finished == 3);
}

/// A pool holds no more messages than its threads work on and it may fetch ahead.
pub fn a_pool_holds_no_more_than_it_may(h: &impl Harness) {
    for (threads, prefetch) in [(1, 0), (3, 0), (2, 6)] {
        let tasks = queue(h, &format!("tasks-{threads}-{prefetch}"));
        tasks.put(50);
        let gate = Gate::default();
        let at_gate = gate.clone();
        let pool = tasks.pool().threads(threads).prefetch(prefetch);
        let pool = pool.handle(move |_: Message, _: &Context| {
            at_gate.pass();
            Ok(())
        });
        let pool = pool.start().unwrap();
        let (threads, most) = (threads as u64, (threads + prefetch) as u64);
        wait(&pool, |seen| {
            seen.started == threads && seen.fetched >= most
        });
        let (leased, ready) = (most, 50 - most);
        assert_eq!(
            tasks.counts(),
            Counts {
                leased,
                ready,
                ..NONE
            }
        );
        assert_eq!(pool.counters().read().fetched, most);
        gate.open();
        wait(&pool, |seen| seen.finished == 50);
    }
}

/// With a single thread, all is done on the caller's.
pub fn run_until_empty_works_on_the_callers_thread(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(10);
    let (seen, threads) = notes();
    let pool = tasks.pool().threads(1);
    let pool = pool.handle(move |_: Message, _: &Context| {
        seen.note(thread::current().id());
        Ok(())
    });
    let run = begin(|| (thread::current().id(), pool.run_until_empty().unwrap()));
    let (caller, report) = run.end();
    assert_eq!(report.finished, 10);
    assert_eq!(threads.all(), [caller; 10]);
}

/// It leaves what is not due, and what others hold; an empty queue is fine.
pub fn run_until_empty_leaves_what_is_not_ready(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let other = tasks.consumer();
    let held = tasks.lease_one(&other);
    tasks.producer.enqueue_delayed("later", HOUR).unwrap();
    for finished in [1, 0] {
        let report = run(tasks.pool().handle(fine)).unwrap();
        assert_eq!((report.fetched, report.finished), (finished, finished));
    }
    assert_eq!(
        tasks.counts(),
        Counts {
            scheduled: 1,
            leased: 1,
            archived: 1,
            ..NONE
        }
    );
    assert!(other.archive(&held).unwrap());
}

/// It does what comes again at once, and what a handler enqueues, in the same run; and does
/// not wait for the next look.
pub fn run_until_empty_does_what_comes_meanwhile(h: &impl Harness) {
    for woken in [true, false] {
        let tasks = queue(h, &format!("tasks-{woken}"));
        tasks.put(20);
        let producer = tasks.producer.clone();
        let pool = tasks.pool().poll_interval(HOUR).threads(2);
        let pool = if woken { pool } else { pool.poll_only() };
        let pool = pool.retry(RetryPolicy::fixed(Duration::ZERO));
        let pool = pool.handle(move |number: i64, context: &Context| {
            match (number, context.attempt()) {
                (10.., 1 | 2) => return Err("once more".into()),
                (10.., _) => drop(producer.enqueue(&-1)?),
                _ => {}
            }
            Ok(())
        });
        let report = run(pool).unwrap();
        let what = (report.finished, report.retried, report.lost);
        assert_eq!(what, (30, 20, 0));
        let archived = 30;
        assert_eq!(tasks.counts(), Counts { archived, ..NONE });
    }
}

/// When its queue is deleted, the pool ends, and says why.
pub fn a_pool_ends_when_its_queue_is_deleted(h: &impl Harness) {
    let tasks = tasks(h);
    let pool = tasks.pool().handle(fine).start().unwrap();
    wait(&pool, |seen| seen.asleep > 0);
    tasks
        .store
        .delete_queue("tasks", IfNotEmpty::Refuse)
        .unwrap();
    assert_error(join(pool), ErrorKind::UnknownQueue, "");
}

/// Pools share a queue: nothing is done twice.
pub fn pools_share_a_queue(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(500);
    let (seen, done) = notes();
    let reports = on_threads(3, |_| {
        let seen = seen.clone();
        let pool = tasks.pool().threads(2).prefetch(10);
        let pool = pool.handle(move |number: usize, _: &Context| {
            seen.note(number);
            Ok(())
        });
        run(pool).unwrap()
    });
    reports.iter().for_each(assert_adds_up);
    let mut done = done.all();
    done.sort_unstable();
    assert!(done.into_iter().eq(0..500));
    let archived = 500;
    assert_eq!(tasks.counts(), Counts { archived, ..NONE });
}
