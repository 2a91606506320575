//! What calls cost, counted by the server: none of it depends on anybody's speed. (That leases
//! are heap-only updates stands in `hot_path`, the plans in `plans`.)

use std::time::Duration;

use pgqrs::{Consumer, Message, Producer};

use crate::counted::Counting;
use pgqrs_test_support::load::payloads;
use pgqrs_test_support::{MINUTE, wait_until};

const DATABASE: &str = "costs";
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn every_call_is_one_statement() {
    let mut counting = Counting::new();
    let store = counting.store(DATABASE, &["tasks"]);
    let producer = Producer::new(&store, "tasks").unwrap();
    let consumer = Consumer::builder(&store, "tasks")
        .lock_time(HOUR)
        .build()
        .unwrap();
    let mut held: Vec<Message> = Vec::new();
    let mut one = |what: &str, work: &mut dyn FnMut(&mut Vec<Message>)| {
        let (cost, ()) = counting.cost(DATABASE, || work(&mut held));
        assert_eq!(cost.statements, 1.0, "{what}");
    };
    one("enqueue", &mut |_| drop(producer.enqueue("a").unwrap()));
    one("enqueue_delayed", &mut |_| {
        drop(producer.enqueue_delayed("a", HOUR).unwrap());
    });
    one("batch_enqueue", &mut |_| {
        drop(producer.batch_enqueue(0..1_000).unwrap());
    });
    one("enqueue_once", &mut |_| {
        drop(producer.enqueue_once("a", "a").unwrap());
    });
    one("batch_enqueue_once", &mut |_| {
        let keyed = (0..1_000).map(|number| (number.to_string(), number));
        drop(producer.batch_enqueue_once(keyed).unwrap());
    });
    for _ in 0..3 {
        one("dequeue", &mut |held| {
            held.extend(consumer.dequeue_many(100).unwrap());
        });
    }
    one("archive", &mut |held| {
        assert!(consumer.archive(&held[0]).unwrap());
    });
    one("archive_many", &mut |held| {
        let all = consumer.archive_many(&held[1..40]).unwrap();
        assert_eq!(all, [true; 39]);
    });
    one("delete_many", &mut |held| {
        let all = consumer.delete_many(&held[40..60]).unwrap();
        assert_eq!(all, [true; 20]);
    });
    one("release_many", &mut |held| {
        let all = consumer.release_many(&held[60..80], HOUR).unwrap();
        assert_eq!(all, [true; 20]);
    });
    one("retry_many", &mut |held| {
        let all = consumer.retry_many(&held[80..100], HOUR).unwrap();
        assert_eq!(all, [true; 20]);
    });
    one("dead_letter_many", &mut |held| {
        let all = consumer.dead_letter_many(&held[100..120], "why").unwrap();
        assert_eq!(all, [true; 20]);
    });
    one("extend_visibility_many", &mut |held| {
        let all = consumer.extend_visibility_many(&held[120..], 2 * HOUR);
        assert_eq!(all.unwrap(), [true; 180]);
    });
}

/// Except where its look is a sweep or for due messages, whose time is wanted without the
/// archive's: then it is two statements in a transaction. When one is due, the clock says.
#[test]
fn archive_and_dequeue_is_one_statement() {
    let mut counting = Counting::new();
    let store = counting.store(DATABASE, &["tasks"]);
    let producer = Producer::new(&store, "tasks").unwrap();
    let consumer = Consumer::builder(&store, "tasks")
        .lock_time(HOUR)
        .build()
        .unwrap();
    // Beforehand: a slow disk between two calls would make a sweep due each time.
    producer.batch_enqueue(0..50_000).unwrap();
    let mut held: Vec<Message> = Vec::new();
    let mut seen_alone = false;
    wait_until("a turnover of one statement", MINUTE, || {
        let (cost, (all, next)) = counting.cost(DATABASE, || {
            consumer.archive_and_dequeue(&held, 100).unwrap()
        });
        assert_eq!((all, next.len()), (vec![true; held.len()], 100));
        let begun_and_committed = 2.0;
        match cost.statements {
            1.0 => seen_alone = !held.is_empty(),
            apart => assert_eq!(apart, 2.0 + begun_and_committed),
        }
        held = next;
        seen_alone
    });
}

#[test]
fn write_ahead_log_is_the_payload_and_800_bytes() {
    const MESSAGES: usize = 20_000;
    let mut counting = Counting::new();
    for (database, bytes) in [("small", 50), ("large", 1_024)] {
        let store = counting.store(database, &["tasks"]);
        let payloads = payloads(1_000, bytes);
        let (cost, ()) = counting.cost(database, || {
            let producer = Producer::new(&store, "tasks").unwrap();
            for _ in 0..MESSAGES / payloads.len() {
                producer.batch_enqueue(&payloads).unwrap();
            }
            let consumer = Consumer::builder(&store, "tasks")
                .lock_time(HOUR)
                .build()
                .unwrap();
            let mut done = 0;
            while done < MESSAGES {
                let messages = consumer.dequeue_many(100).unwrap();
                done += messages.len();
                consumer.archive_many(&messages).unwrap();
            }
        });
        let beyond = cost.wal / MESSAGES as f64 - bytes as f64;
        // The lower one only says that it was counted at all.
        assert!((300.0..=800.0).contains(&beyond), "{database}: {beyond}");
    }
}

/// A row and its places in two indexes.
#[test]
fn a_key_is_400_bytes_of_write_ahead_log() {
    const MESSAGES: usize = 20_000;
    let mut counting = Counting::new();
    let store = counting.store(DATABASE, &["tasks"]);
    let producer = Producer::new(&store, "tasks").unwrap();
    let mut wal = |has_keys: bool| {
        let (cost, ()) = counting.cost(DATABASE, || {
            for batch in (0..MESSAGES).step_by(1_000) {
                let numbers = batch..batch + 1_000;
                match has_keys {
                    false => producer.batch_enqueue(numbers).map(drop),
                    true => {
                        // In no order.
                        let key =
                            |n: usize| format!("{:08x}", (n as u32).wrapping_mul(2_654_435_761));
                        producer
                            .batch_enqueue_once(numbers.map(|n| (key(n), n)))
                            .map(drop)
                    }
                }
                .unwrap();
            }
        });
        cost.wal / MESSAGES as f64
    };
    let (without, with) = (wal(false), wal(true));
    let repeated = wal(true);
    println!("{without} bytes, with a key {with}, for a repeat {repeated}");
    assert!(
        (100.0..=400.0).contains(&(with - without)),
        "{without}, {with}"
    );
    assert!(repeated < 100.0, "{repeated}");
}

/// What an old snapshot keeps from being removed is not walked over: the hint sees to that.
/// Except by the sweeps, which are few: so it is the dequeue in the middle that counts.
#[test]
fn a_dequeue_behind_dead_rows_touches_as_few_pages() {
    const MESSAGES: usize = 40_000;
    let mut counting = Counting::new();
    let store = counting.store(DATABASE, &["tasks"]);
    let producer = Producer::new(&store, "tasks").unwrap();
    for _ in 0..2 {
        producer.batch_enqueue(0..MESSAGES).unwrap();
    }
    let mut old = counting.client(DATABASE);
    let mut snapshot = old
        .build_transaction()
        .isolation_level(postgres::IsolationLevel::RepeatableRead)
        .start()
        .unwrap();
    snapshot.query("SELECT FROM pg_class", &[]).unwrap();

    let consumer = Consumer::builder(&store, "tasks")
        .lock_time(HOUR)
        .build()
        .unwrap();
    let mut pages = || {
        let (cost, messages) = counting.cost(DATABASE, || consumer.dequeue_many(100).unwrap());
        assert_eq!(messages.len(), 100);
        consumer.archive_many(&messages).unwrap();
        cost.pages
    };
    let mut middle = |dequeues: usize| {
        let mut each: Vec<f64> = (0..dequeues).map(|_| pages()).collect();
        each.sort_by(f64::total_cmp);
        each[dequeues / 2]
    };
    let at_first = middle(51);
    middle(MESSAGES / 100);
    let behind = middle(51);
    assert!(
        behind < 1.5 * at_first,
        "{at_first} pages, and then {behind}"
    );
    store.forget_scan_hints();
    let swept = middle(1);
    assert!(
        swept > 2.0 * behind,
        "{swept} from the start, {behind} not: nothing was dead"
    );
    snapshot.rollback().unwrap();
}
