//! A pool at work while its server goes down.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use pgqrs::{Context, PgStore, Producer, Store, WorkerPool};

use pgqrs_test_support::{MINUTE, private_server, wait_until};
use pgqrs_tests::told::{Event, Told};

/// How many messages are enqueued at least, ...
const MESSAGES: u64 = 5_000;
/// ... and how many at a time.
const BATCH: u64 = 50;

/// The pool is let fall behind by so many.
const BACKLOG: u64 = 1_000;

/// Ends the producer, also where the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_pool_works_on_over_restarts_and_loses_nothing() {
    let server = private_server();
    let store = PgStore::connect(server.dsn()).unwrap();
    store.install().unwrap();
    store.create_queue("tasks").unwrap();
    let told = Told::default();
    // Its calls fail while the server is away; they do not wait until it is back.
    let impatient = PgStore::builder(server.dsn()).connection_timeout(Duration::from_secs(1));
    let pool = WorkerPool::builder(impatient.build().unwrap(), "tasks")
        .threads(4)
        .lock_time(Duration::from_secs(2))
        .events(told.clone())
        .handle(|_: u64, _: &Context| Ok(()))
        .start()
        .unwrap();
    let counters = pool.counters();

    let over = AtomicBool::new(false);
    let enqueued = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let producer = Producer::new(&store, "tasks").unwrap();
            while !over.load(Ordering::SeqCst) || enqueued.load(Ordering::SeqCst) < MESSAGES {
                let number = enqueued.load(Ordering::SeqCst);
                // The pool goes on by itself, and if that takes a minute the test has failed.
                assert!(counters.wait(MINUTE, |seen| seen.settled() + BACKLOG > number));
                match producer.batch_enqueue(number..number + BATCH) {
                    Ok(_) => {
                        enqueued.fetch_add(BATCH, Ordering::SeqCst);
                    }
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
            }
        });
        let _over = Over(&over);
        for round in 1..=3 {
            let before = counters.read().finished;
            assert!(counters.wait(MINUTE, |seen| seen.finished > before + 500));
            let moment = told.now();
            match round {
                1 => server.kill(),
                _ => server.stop(),
            }
            let failing = |event: &Event| matches!(event, Event::Reconnecting(_));
            told.wait("the pool to notice", |events| {
                events[moment..].iter().any(failing)
            });
            server.start();
            let reconnected = |event: &Event| matches!(event, Event::Reconnected(_));
            told.wait("the pool to reconnect", |events| {
                events[moment..].iter().any(reconnected)
            });
        }
    });
    wait_until("everything to be archived", MINUTE, || {
        store.counts("tasks").unwrap().unfinished() == 0
    });
    told.armed(); // it listens again, too
    let report = pool.shutdown(MINUTE).unwrap();
    assert_eq!(report.fetched, report.settled(), "{report}");
    assert!(report.reconnecting > 0);

    // What was told to be enqueued is there; and so may be what was not.
    let archived: Vec<i64> = server
        .connect()
        .query("SELECT payload::text::bigint FROM pgqrs_archive", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let enqueued = enqueued.into_inner() as i64;
    let distinct: HashSet<i64> = archived.iter().copied().collect();
    assert!((0..enqueued).all(|number| distinct.contains(&number)));
    let counts = store.counts("tasks").unwrap();
    assert_eq!(counts.archived, archived.len() as u64);
    assert_eq!(counts.total(), counts.archived, "{counts:?}");
    assert!(report.finished <= counts.archived, "{report}: {counts:?}");
}
