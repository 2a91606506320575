//! How a pool ends.

use std::time::Duration;

use super::pool_scene::*;
use super::scene::*;
use crate::Harness;
use pgqrs::{
    Context, Counts, Failure, Handled, Message, RetryPolicy, StopHandle, Store, WorkerPool,
};

/// A pool of one thread with ten messages, the first of which is with its handler until the
/// gate is opened.
fn busy<S: Store + Clone + 'static>(tasks: &Tasks<S>, gate: &Gate) -> WorkerPool {
    tasks.put(10);
    let at_gate = gate.clone();
    let pool = tasks
        .pool()
        .threads(1)
        .handle(move |_: Message, _: &Context| {
            at_gate.pass();
            Ok(())
        });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.fetched == 10 && seen.started == 1);
    pool
}

/// The first message is done, and the others are as if nobody had tried them.
#[track_caller]
fn assert_one_done<S: Store + Clone>(tasks: &Tasks<S>) {
    let (archived, ready) = (1, 9);
    assert_eq!(
        tasks.counts(),
        Counts {
            archived,
            ready,
            ..NONE
        }
    );
    for message in tasks.drain() {
        assert_eq!(reads(&message), (2, 1));
    }
}

/// A stop waits for what runs, and gives back what was not started without charging it.
pub fn a_stop_gives_back_what_was_not_started(h: &impl Harness) {
    let tasks = tasks(h);
    let gate = Gate::default();
    let pool = busy(&tasks, &gate);
    pool.stop();
    wait(&pool, |seen| seen.given_back == 9);
    gate.open();
    let report = join(pool).unwrap();
    assert_eq!(
        (report.started, report.finished, report.given_back),
        (1, 1, 9)
    );
    assert_adds_up(&report);
    assert_one_done(&tasks);
}

/// Dropping a pool does the same.
pub fn a_dropped_pool_gives_back_what_was_not_started(h: &impl Harness) {
    let tasks = tasks(h);
    let gate = Gate::default();
    let pool = busy(&tasks, &gate);
    let counters = pool.counters();
    let dropping = begin(|| drop(pool));
    assert!(counters.wait(MINUTE, |seen| seen.given_back == 9));
    assert_eq!(counters.read().finished, 0);
    gate.open();
    dropping.end();
    assert_eq!(counters.read().finished, 1);
    assert_one_done(&tasks);
}

/// A shutdown whose grace is enough is a stop.
pub fn a_shutdown_waits_for_what_runs(h: &impl Harness) {
    let tasks = tasks(h);
    let gate = Gate::default();
    let pool = busy(&tasks, &gate);
    let counters = pool.counters();
    let ending = begin(|| pool.shutdown(HOUR));
    assert!(counters.wait(MINUTE, |seen| seen.given_back == 9));
    gate.open();
    let report = ending.end().unwrap();
    assert_eq!(
        (report.finished, report.given_back, report.abandoned),
        (1, 9, 0)
    );
    assert_one_done(&tasks);
}

/// A handler that does not end within the grace is left to itself, and its message to the
/// lease.
pub fn a_shutdown_abandons_what_does_not_end(h: &impl Harness) {
    let tasks = tasks(h);
    let gate = Gate::default();
    let pool = busy(&tasks, &gate);
    pool.stop();
    wait(&pool, |seen| seen.given_back == 9);
    let report = begin(|| pool.shutdown(Duration::from_millis(1)));
    let report = report.end().unwrap();
    assert_eq!(
        (report.finished, report.given_back, report.abandoned),
        (0, 9, 1)
    );
    assert_adds_up(&report);
    gate.open();
    let (leased, ready) = (1, 9);
    assert_eq!(
        tasks.counts(),
        Counts {
            leased,
            ready,
            ..NONE
        }
    );
    h.advance(HOUR);
    let mut counts: Vec<_> = tasks.drain().iter().map(reads).collect();
    counts.sort_unstable();
    assert_eq!(counts[..], [[(2, 1); 9].as_slice(), &[(2, 2)]].concat());
}

/// A pool that was stopped before it started does nothing, and ends.
pub fn a_pool_that_is_stopped_before_it_starts_does_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(3);
    let stop = StopHandle::new();
    stop.stop();
    let pool = tasks.pool().stop_with(&stop).handle(fine);
    let report = join(pool.start().unwrap()).unwrap();
    assert_eq!((report.fetched, report.started), (0, 0));
    let pool = tasks.pool().stop_with(&stop).handle(fine);
    assert_eq!(run(pool).unwrap().fetched, 0);
    let fresh = tasks.drain();
    assert!(fresh.len() == 3 && fresh.iter().all(|message| message.read_ct == 1));
}

/// Stopping twice is fine, whoever does it.
pub fn a_pool_can_be_stopped_twice(h: &impl Harness) {
    let tasks = tasks(h);
    let stop = StopHandle::new();
    let pool = tasks.pool().stop_with(&stop).handle(fine).start().unwrap();
    stop.stop();
    pool.stop();
    pool.stop_handle().stop();
    assert!(pool.stop_handle().is_stopped());
    join(pool).unwrap();
}

/// A handler can know of the stop, and can be the one that asks for it.
pub fn a_handler_sees_the_stop(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let stop = StopHandle::new();
    let stopping = stop.clone();
    let pool = tasks.pool().stop_with(&stop);
    let pool = pool.handle(move |_: Message, context: &Context| -> Handled {
        assert!(!context.is_stopping());
        stopping.stop();
        assert!(context.is_stopping());
        Err(Failure::give_back(HOUR))
    });
    let report = join(pool.start().unwrap()).unwrap();
    assert_eq!((report.started, report.given_back), (1, 1));
    h.advance(HOUR);
    assert_eq!(reads(&only(tasks.drain())), (2, 1));
}

/// From the stop on, no handler is started, though the messages wait for one.
pub fn nothing_is_started_after_a_stop(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(200);
    let (stop, gate) = (StopHandle::new(), Gate::default());
    let (stopping, at_gate) = (stop.clone(), gate.clone());
    let pool = tasks.pool().stop_with(&stop).threads(1);
    let pool = pool.handle(move |_: Message, _: &Context| {
        at_gate.pass();
        stopping.stop();
        Ok(())
    });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.fetched == 200 && seen.started == 1);
    gate.open();
    let report = join(pool).unwrap();
    assert_eq!((report.started, report.given_back), (1, 199));
}

/// Without any grace, what handlers have begun is abandoned, and all else is given back.
pub fn a_shutdown_without_grace_gives_back_what_was_not_started(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(100);
    let gate = Gate::default();
    let at_gate = gate.clone();
    let pool = tasks.pool().threads(2).prefetch(200);
    let pool = pool.handle(move |_: Message, _: &Context| {
        at_gate.pass();
        Ok(())
    });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.fetched == 100 && seen.started == 2);
    let report = pool.shutdown(Duration::ZERO).unwrap();
    gate.open();
    assert_eq!((report.abandoned, report.given_back), (2, 98), "{report}");
    assert_adds_up(&report);
}

/// A stop handle may be shared: a pool that ends by itself leaves it, and the others, alone.
pub fn a_shared_stop_handle_is_not_stopped_by_a_pool(h: &impl Harness) {
    let tasks = tasks(h);
    let stop = StopHandle::new();
    let pool = || {
        let pool = tasks.pool().stop_with(&stop);
        pool.handle(|_: Message, _: &Context| Ok(()))
    };
    let lasting = pool().start().unwrap();
    for _ in 0..2 {
        run(pool()).unwrap();
        pool().start().unwrap().shutdown(MINUTE).unwrap();
    }
    assert!(!stop.is_stopped() && !lasting.stop_handle().is_stopped());
    tasks.put(1);
    wait(&lasting, |seen| seen.finished == 1);
    stop.stop();
    join(lasting).unwrap();
}

/// Whatever happens to messages, the report adds up to those that were fetched.
pub fn a_report_adds_up(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(600);
    let policy = RetryPolicy::fixed(Duration::ZERO).attempts(2);
    let pool = tasks.pool().retry(policy).threads(4).prefetch(16);
    let pool = pool.handle(|number: u64, _: &Context| match number % 6 {
        0 => Err("fails".into()),
        1 => Err(Failure::retry_after(HOUR, "later")),
        2 => Err(Failure::give_back(HOUR)),
        3 => Err(Failure::dead_letter("never")),
        4 => panic!("on purpose"),
        _ => Ok(()),
    });
    let report = run(pool).unwrap();
    assert_adds_up(&report);
    assert_eq!((report.fetched, report.started), (800, 800), "{report}");
    assert_eq!(
        (report.finished, report.retried, report.given_back),
        (100, 300, 100)
    );
    assert_eq!(report.dead_lettered, 300);
    assert_eq!(
        tasks.counts(),
        Counts {
            scheduled: 200,
            archived: 100,
            dead: 300,
            ..NONE
        }
    );
}

/// Pools that come and go lose nothing, charge nothing, and do nothing twice.
pub fn pools_that_come_and_go_lose_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2_000);
    let finished = on_threads(10, |_| {
        let mut finished = 0;
        for _ in 0..50 {
            let pool = tasks.pool().threads(2).prefetch(4).handle(fine);
            let pool = pool.start().unwrap();
            pool.stop();
            pool.stop();
            let report = join(pool).unwrap();
            assert_adds_up(&report);
            assert_eq!((report.started, report.lost), (report.finished, 0));
            finished += report.finished;
        }
        finished
    });
    let archived = finished.iter().sum();
    let ready = 2_000 - archived;
    assert_eq!(
        tasks.counts(),
        Counts {
            ready,
            archived,
            ..NONE
        }
    );
    for message in tasks.drain() {
        assert_eq!(message.attempt, 1);
    }
}
