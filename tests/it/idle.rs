//! What a pool costs that has nothing to do: the server counts.

use std::time::Instant;

use pgqrs::{Context, WorkerPool, WorkerPoolBuilder};
use serde_json::Value;

use crate::counted::Counting;
use pgqrs_test_support::MINUTE;

/// How often each pool is seen to go to sleep while statements are counted.
const LOOKS: u64 = 8;

/// A look may have begun before the counting did, in each of three queues; and a pool that is
/// woken looks once more when it begins to be.
const EDGES: u64 = 4;

/// A pool with nothing to do, in a database of its own.
struct Idle {
    database: &'static str,
    /// How many statements in a second it may make.
    at_most: f64,
    pool: WorkerPool,
}

impl Idle {
    fn start(
        counting: &mut Counting,
        (database, at_most): (&'static str, f64),
        queues: &[&str],
        set: impl FnOnce(WorkerPoolBuilder) -> WorkerPoolBuilder,
    ) -> Self {
        let store = counting.store(database, queues);
        let mut pool = WorkerPool::builder(store, queues[0]);
        for queue in &queues[1..] {
            pool = pool.queue(queue, 1);
        }
        let pool = set(pool).handle(|_: Value, _: &Context| Ok(()));
        let pool = pool.start().unwrap();
        Self {
            database,
            at_most,
            pool,
        }
    }

    /// How often it went to sleep.
    fn slept(&self) -> u64 {
        self.pool.counters().read().asleep
    }

    /// Waits until it went to sleep so often.
    fn sleeps(&self, times: u64) {
        let counters = self.pool.counters();
        assert!(counters.wait(MINUTE, |seen| seen.asleep >= times));
    }

    /// How many statements its database was sent.
    fn statements(&self, counting: &mut Counting) -> f64 {
        counting.so_far(self.database).statements
    }
}

/// An upper bound: on a slow machine it is fewer.
#[test]
fn an_idle_pool_makes_at_most_four_statements_a_second() {
    let mut counting = Counting::new();
    let three = ["tasks", "mail", "news"];
    let pools = [
        // Woken, it looks a quarter as often.
        Idle::start(&mut counting, ("woken", 1.0), &three[..1], |pool| pool),
        Idle::start(&mut counting, ("woken_three", 1.0), &three, |pool| pool),
        Idle::start(
            &mut counting,
            ("polling", 4.0),
            &three[..1],
            WorkerPoolBuilder::poll_only,
        ),
        Idle::start(
            &mut counting,
            ("polling_three", 4.0),
            &three,
            WorkerPoolBuilder::poll_only,
        ),
    ];
    for idle in &pools {
        idle.sleeps(2); // until all is as it will stay
    }
    let before = pools
        .each_ref()
        .map(|idle| (Instant::now(), idle.statements(&mut counting), idle.slept()));
    for (idle, (began, before, slept)) in pools.into_iter().zip(before) {
        idle.sleeps(slept + LOOKS + EDGES);
        let made = idle.statements(&mut counting) - before;
        let seconds = began.elapsed().as_secs_f64();
        let name = idle.database;
        assert!(made >= LOOKS as f64, "{name}: {made}: they are not counted");
        assert!(
            made <= seconds * idle.at_most + EDGES as f64,
            "{name}: {made} statements in {seconds:.2} s"
        );
        idle.pool.shutdown(MINUTE).unwrap();
    }
}
