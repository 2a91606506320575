//! Where a dequeue begins: how far it walks, counted in steps of SQLite's virtual machine, and
//! that it overlooks nothing.

use rusqlite::StatementStatus;

use super::*;
use crate::{Consumer, Producer};

const HOUR: Duration = Duration::from_secs(3_600);

/// How many steps a dequeue of ten takes to find them.
fn steps(store: &SqliteStore, consumer: &Consumer<SqliteStore>) -> i32 {
    let count = |reset: bool| {
        store.inner.line.with_writer(|db| {
            let live = db.prepare_cached(sql::LIVE).unwrap();
            match reset {
                true => live.reset_status(StatementStatus::VmStep),
                false => live.get_status(StatementStatus::VmStep),
            }
        })
    };
    count(true);
    assert_eq!(consumer.dequeue_many(10).unwrap().len(), 10);
    count(false)
}

fn filled(store: &SqliteStore, count: usize) -> Consumer<SqliteStore> {
    store.create_queue("tasks").unwrap();
    let producer = Producer::new(store.clone(), "tasks").unwrap();
    producer.batch_enqueue(0..count).unwrap();
    let consumer = Consumer::builder(store.clone(), "tasks").lock_time(HOUR);
    consumer.build().unwrap()
}

#[test]
fn a_dequeue_walks_over_neither_leases_nor_the_backlog() {
    let few = InFile::new();
    let consumer = filled(&few.store, 20);
    consumer.dequeue_many(1).unwrap();
    let expected = steps(&few.store, &consumer);

    let many = InFile::new();
    let consumer = filled(&many.store, 20_000);
    consumer.dequeue_many(10_000).unwrap();
    assert_eq!(steps(&many.store, &consumer), expected);
    // Another process knows the same.
    let other = Consumer::new(many.another(), "tasks").unwrap();
    assert_eq!(other.dequeue_many(10).unwrap().len(), 10);
    assert_eq!(steps(&many.store, &consumer), expected);
}

/// Once in a lock time, one dequeue walks over what is leased, and the next ones do not.
#[test]
fn the_first_end_of_a_lease_is_looked_for_once() {
    let file = InFile::new();
    let consumer = filled(&file.store, 5_000);
    let brief = consumer
        .dequeue_many_with_delay(1, Duration::from_secs(60))
        .unwrap();
    consumer.dequeue_many(2_000).unwrap();
    let expected = steps(&file.store, &consumer);
    assert!(consumer.archive(&brief[0]).unwrap());
    file.advance(Duration::from_secs(61));
    let once = steps(&file.store, &consumer);
    assert!(once > 2_000, "{once} steps");
    assert_eq!(steps(&file.store, &consumer), expected);
}

/// Leases that end in any order are found as soon as they have, oldest message first.
#[test]
fn leases_are_found_in_the_moment_in_which_they_end() {
    let file = InFile::new();
    let consumer = filled(&file.store, 40);
    let mut random = fastrand::Rng::with_seed(7);
    let mut ends: Vec<(u64, i64)> = Vec::new();
    for _ in 0..20 {
        let minutes = random.u64(1..=20);
        let lock_time = Duration::from_secs(60 * minutes + 30);
        let messages = consumer.dequeue_many_with_delay(2, lock_time).unwrap();
        ends.extend(messages.iter().map(|message| (minutes, message.id)));
    }
    for minute in 1..=20 {
        file.advance(Duration::from_secs(60));
        let mut expected: Vec<i64> = ends
            .iter()
            .filter(|(minutes, _)| *minutes == minute - 1)
            .map(|(_, id)| *id)
            .collect();
        expected.sort_unstable();
        let found = consumer.dequeue_many(40).unwrap();
        let found: Vec<i64> = found.iter().map(|message| message.id).collect();
        assert_eq!(found, expected, "minute {minute}");
    }
}
