//! Somebody who writes without a pause starves nobody.

use std::fs::{File, TryLockError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pgqrs::{Consumer, Producer, SqliteStore, Store};

use crate::file::InFile;
use pgqrs_test_support::{MINUTE, wait_until};

/// Short against what a starved call would wait.
const SHORT: Duration = Duration::from_secs(5);
const CALLS: usize = 200;
const ROUNDS: usize = 50;

/// Single calls, none of which fails.
fn modest_calls(store: &SqliteStore) {
    let producer = Producer::new(store, "tasks").unwrap();
    let consumer = Consumer::new(store, "tasks").unwrap();
    for number in 0..CALLS / 4 {
        producer.enqueue(&number).unwrap();
        producer.enqueue(&number).unwrap();
        let messages = consumer.dequeue_many(1).unwrap();
        assert!(consumer.archive(&messages[0]).unwrap());
    }
}

#[test]
fn a_process_gets_through_beside_one_that_writes_without_pause() {
    let file = InFile::with_tasks();
    file.store.create_queue("hog").unwrap();
    let mut hog = file.worker(&["hog", "4"]);
    assert!(hog.line().is_some(), "the hog is at work");
    let store = SqliteStore::builder(file.path()).busy_timeout(SHORT);
    let store = store.build().unwrap();
    let written = || store.counts("hog").unwrap().total();
    let before = written();
    modest_calls(&store);
    let after = written();
    assert!(after > before, "the hog got through, too");
    wait_until("the hog to be still at work", MINUTE, || written() > after);
    hog.kill();
}

/// The same among threads of one process: with a store of their own, and with the hog's.
#[test]
fn a_thread_gets_through_beside_threads_that_write_without_pause() {
    for is_own in [true, false] {
        let file = InFile::with_tasks();
        file.store.create_queue("hog").unwrap();
        let short = || SqliteStore::builder(file.path()).busy_timeout(SHORT);
        let hogs = SqliteStore::builder(file.path()).busy_timeout(MINUTE);
        let hogs = hogs.build().unwrap();
        let store = match is_own {
            true => short().build().unwrap(),
            false => hogs.clone(),
        };
        let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
        let written_now = || written.load(Ordering::SeqCst);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let producer = Producer::new(&hogs, "hog").unwrap();
                    while !is_over.load(Ordering::SeqCst) {
                        producer.batch_enqueue(0..20).unwrap();
                        written.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            let over = Over(&is_over);
            wait_until("the hogs to be at work", MINUTE, || written_now() > 0);
            let before = written_now();
            modest_calls(&store);
            let after = written_now();
            assert!(after > before, "the hogs got through, too");
            wait_until("the hogs to be still at work", MINUTE, || {
                written_now() > after
            });
            drop(over);
        });
    }
}

/// Ends the hogs, also if the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What makes it fair: one store waits for a stranger who writes, another comes later. Each is
/// as one of another process.
#[test]
fn who_waits_is_served_before_who_comes_later() {
    let file = InFile::with_tasks();
    let mut turn = file.path().into_os_string();
    turn.push("-turn");
    let turn = File::open(turn).unwrap();
    // To look at it takes it for a moment: whoever waits for it looks again.
    let is_taken = || match turn.try_lock() {
        Ok(()) => {
            turn.unlock().unwrap();
            false
        }
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(error)) => panic!("{error}"),
    };
    let (first, second) = (file.another(), file.another());
    let (first, second) = (
        Producer::new(&first, "tasks").unwrap(),
        Producer::new(&second, "tasks").unwrap(),
    );
    let stranger = file.foreign();
    let mut in_order = 0;
    for _ in 0..ROUNDS {
        stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
        let begun = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let earlier = scope.spawn(|| first.enqueue("earlier").unwrap().id);
            wait_until("the first to have its turn", MINUTE, is_taken);
            let later = scope.spawn(|| {
                begun.store(true, Ordering::SeqCst);
                second.enqueue("later").unwrap().id
            });
            wait_until("the second to begin", MINUTE, || {
                begun.load(Ordering::SeqCst)
            });
            stranger.execute_batch("ROLLBACK").unwrap();
            // Ids are given in the order of the commits.
            in_order += usize::from(earlier.join().unwrap() < later.join().unwrap());
        });
    }
    // Not in all: where threads stand still for longer than a turn is waited for, it is luck.
    assert!(in_order > ROUNDS * 3 / 4, "{in_order} of {ROUNDS}");
}
