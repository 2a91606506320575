//! What a pool costs that has nothing to do: the server counts.

use std::time::Instant;

use pgqrs::{Context, PgStore, Store, WorkerPool, WorkerPoolBuilder};
use postgres::Client;
use serde_json::Value;

use crate::support::{Cluster, private_server};
use crate::told::MINUTE;

/// How often each pool is seen to go to sleep while statements are counted.
const LOOKS: u64 = 8;

/// A look may have begun before the counting did, in each of three queues; and a pool that is
/// woken looks once more when it begins to be.
const EDGES: f64 = 4.0;

/// A pool with nothing to do, in a database of its own.
struct Idle {
    database: &'static str,
    /// How many statements in a second it may make.
    at_most: f64,
    pool: WorkerPool,
}

impl Idle {
    fn start(
        server: &Cluster,
        (database, at_most): (&'static str, f64),
        queues: &[&str],
        set: impl FnOnce(WorkerPoolBuilder) -> WorkerPoolBuilder,
    ) -> Self {
        let sql = format!("CREATE DATABASE {database}");
        server.connect().batch_execute(&sql).unwrap();
        let (address, _) = server.dsn().rsplit_once('/').unwrap();
        let store = PgStore::connect(&format!("{address}/{database}")).unwrap();
        store.install().unwrap();
        for queue in queues {
            store.create_queue(queue).unwrap();
        }
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
    fn statements(&self, monitor: &mut Client) -> f64 {
        let sql = "SELECT sum(s.calls)::float8
                   FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
                   WHERE d.datname = $1";
        monitor.query_one(sql, &[&self.database]).unwrap().get(0)
    }
}

/// An upper bound: on a slow machine it is fewer.
#[test]
fn an_idle_pool_makes_at_most_four_statements_a_second() {
    let server = private_server();
    server
        .connect()
        .batch_execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        .unwrap();
    server.restart_immediate();
    let mut monitor = server.connect();
    monitor
        .batch_execute("CREATE EXTENSION pg_stat_statements")
        .unwrap();

    let three = ["tasks", "mail", "news"];
    let pools = [
        // Woken, it looks a quarter as often.
        Idle::start(&server, ("woken", 1.0), &three[..1], |pool| pool),
        Idle::start(&server, ("woken_three", 1.0), &three, |pool| pool),
        Idle::start(
            &server,
            ("polling", 4.0),
            &three[..1],
            WorkerPoolBuilder::poll_only,
        ),
        Idle::start(
            &server,
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
        .map(|idle| (Instant::now(), idle.statements(&mut monitor), idle.slept()));
    for (idle, (began, before, slept)) in pools.into_iter().zip(before) {
        idle.sleeps(slept + LOOKS);
        let made = idle.statements(&mut monitor) - before;
        let seconds = began.elapsed().as_secs_f64();
        let name = idle.database;
        assert!(made >= LOOKS as f64, "{name}: {made}: they are not counted");
        assert!(
            made <= seconds * idle.at_most + EDGES,
            "{name}: {made} statements in {seconds:.2} s"
        );
        idle.pool.shutdown(MINUTE).unwrap();
    }
}
