//! What wakes a pool: it looks by itself once in hours, so that only a notification can.

use std::sync::mpsc::channel;
use std::time::Duration;

use pgqrs::{
    Consumer, Context, NewMessage, Outcome, Producer, Receipt, Settlement, Store, Transactional,
    WorkerPool,
};
use pgqrs_testing::Harness;
use serde_json::{Value, json};

use crate::ear::{Ear, waiting};
use crate::pg::Pg;
use pgqrs_test_support::MINUTE;
use pgqrs_tests::sleeper::Sleeper;
use pgqrs_tests::told::Event;

/// Long enough to be seen as a delay, short enough to wait for.
const SHORT: Duration = Duration::from_millis(100);
const HOUR: Duration = Duration::from_secs(3_600);

/// A queue, a pool that sleeps, and a producer as in another process.
fn sleeping() -> (Pg, Sleeper, Producer<pgqrs::PgStore>) {
    let pg = Pg::with_tasks();
    let sleeper = Sleeper::on(&pg.store);
    let producer = Producer::new(pg.another(|builder| builder), "tasks").unwrap();
    (pg, sleeper, producer)
}

#[test]
fn an_enqueue_wakes() {
    let (_pg, sleeper, producer) = sleeping();
    for number in 0..20 {
        producer.enqueue(&number).unwrap();
        assert_eq!(sleeper.next(), json!(number));
    }
    assert!(sleeper.is_idle());
}

#[test]
fn an_enqueue_by_hand_wakes() {
    let (pg, sleeper, _) = sleeping();
    let mut psql = pg.client();
    for _ in 0..5 {
        psql.batch_execute("SELECT pgqrs_enqueue('tasks', '1')")
            .unwrap();
        assert_eq!(sleeper.next(), json!(1));
    }
}

#[test]
fn a_transaction_wakes_when_it_commits() {
    let (pg, sleeper, producer) = sleeping();
    let mut client = pg.client();
    let mut tx = client.transaction().unwrap();
    producer.enqueue_in(&mut tx, "in a transaction").unwrap();
    producer.enqueue("meanwhile").unwrap();
    assert_eq!(sleeper.next(), json!("meanwhile"));
    assert!(sleeper.is_idle());
    tx.commit().unwrap();
    assert_eq!(sleeper.next(), json!("in a transaction"));
}

/// It could not know yet that anybody would wait: the one who waits has to ask.
#[test]
fn a_transaction_from_before_the_pool_waited_is_found_when_it_commits() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(pg.another(|builder| builder), "tasks").unwrap();
    let mut client = pg.client();
    let mut tx = client.transaction().unwrap();
    producer.enqueue_in(&mut tx, "early").unwrap();
    let sleeper = Sleeper::on(&pg.store);
    let mut ear = Ear::new(&pg);
    producer.enqueue("meanwhile").unwrap();
    assert_eq!(sleeper.next(), json!("meanwhile"));
    assert_eq!(ear.heard().len(), 1);
    tx.commit().unwrap();
    assert_eq!(sleeper.next(), json!("early"));
    assert!(ear.heard().is_empty(), "nobody could tell of it");
}

#[test]
fn a_delayed_message_wakes_when_it_is_due() {
    let (_pg, sleeper, producer) = sleeping();
    for number in 0..3 {
        producer.enqueue_delayed(&number, SHORT).unwrap();
        assert_eq!(sleeper.next(), json!(number));
    }
}

#[test]
fn a_message_that_was_delayed_before_the_pool_waited_wakes_when_it_is_due() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(pg.another(|builder| builder), "tasks").unwrap();
    producer.enqueue_delayed("last", HOUR).unwrap();
    producer.enqueue_delayed("second", 20 * SHORT).unwrap();
    producer.enqueue_delayed("first", 15 * SHORT).unwrap();
    let sleeper = Sleeper::on(&pg.store);
    assert_eq!(sleeper.next(), json!("first"));
    assert_eq!(sleeper.next(), json!("second"));
}

#[test]
fn a_message_that_is_due_before_the_one_known_wakes_first() {
    let (_pg, sleeper, producer) = sleeping();
    producer.enqueue_delayed("last", HOUR).unwrap();
    producer.enqueue_delayed("second", 20 * SHORT).unwrap();
    producer.enqueue_delayed("first", SHORT).unwrap();
    assert_eq!(sleeper.next(), json!("first"));
    assert_eq!(sleeper.next(), json!("second"));
}

#[test]
fn messages_that_were_delayed_in_a_transaction_wake_when_they_are_due() {
    let (pg, sleeper, producer) = sleeping();
    let queue = producer.queue().id;
    let mut client = pg.client();
    let mut tx = client.transaction().unwrap();
    for (name, delay) in [
        ("never", HOUR),
        ("second", 5 * SHORT),
        ("first", Duration::ZERO),
    ] {
        let message = NewMessage::new(name).unwrap();
        let store = &pg.store;
        store
            .enqueue_in(&mut tx, queue, vec![message], Some(delay))
            .unwrap();
    }
    tx.commit().unwrap();
    assert_eq!(sleeper.next(), json!("first"));
    assert_eq!(sleeper.next(), json!("second"));
}

#[test]
fn a_release_by_another_consumer_wakes() {
    let pg = Pg::with_tasks();
    let other = pg.another(|builder| builder.lock_time(HOUR));
    let producer = Producer::new(&other, "tasks").unwrap();
    producer.batch_enqueue(["now", "later"]).unwrap();
    let consumer = Consumer::new(&other, "tasks").unwrap();
    let held = consumer.dequeue().unwrap();
    assert_eq!(held.len(), 2);
    let sleeper = Sleeper::on(&pg.store);
    consumer.release(&held[0], Duration::ZERO).unwrap();
    assert_eq!(sleeper.next(), json!("now"));
    consumer.release(&held[1], SHORT).unwrap();
    assert_eq!(sleeper.next(), json!("later"));
    drop(sleeper); // or it might get what comes next
    // Some of them now, others later.
    producer
        .batch_enqueue_delayed(["now", "later"], HOUR)
        .unwrap();
    pg.advance(HOUR);
    other.forget_scan_hints(); // it believes that nothing is due for an hour
    let held = consumer.dequeue().unwrap();
    assert_eq!(held.len(), 2);
    let sleeper = Sleeper::on(&pg.store);
    let released = [Duration::ZERO, SHORT].into_iter().zip(&held);
    let released: Vec<Settlement> = released
        .map(|(delay, message)| Settlement {
            receipt: Receipt::from(message),
            outcome: Outcome::Release {
                delay,
                charged: false,
            },
        })
        .collect();
    let queue = consumer.queue().id;
    assert_eq!(other.settle(queue, &released).unwrap(), [true, true]);
    assert_eq!(sleeper.next(), json!("now"));
    assert_eq!(sleeper.next(), json!("later"));
}

/// Both are told of each message: while one is at work, the other is woken.
#[test]
fn two_pools_in_two_stores_are_both_woken() {
    let pg = Pg::with_tasks();
    let (begun, begins) = channel();
    let (go_on, gate) = crossbeam_channel::unbounded::<()>();
    let start = |name: &'static str| {
        let (begun, gate) = (begun.clone(), gate.clone());
        Sleeper::with(&pg.another(|builder| builder), |pool| {
            pool.threads(1)
                .prefetch(0)
                .handle(move |_: Value, _: &Context| {
                    begun.send(name)?;
                    gate.recv()?;
                    Ok(())
                })
        })
    };
    let pools = [start("one"), start("other")];
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    for _ in 0..3 {
        producer.enqueue("first").unwrap();
        let first = begins.recv_timeout(MINUTE).unwrap();
        producer.enqueue("second").unwrap();
        let second = begins.recv_timeout(MINUTE).unwrap();
        assert_ne!(first, second);
        go_on.send(()).unwrap();
        go_on.send(()).unwrap();
        for pool in &pools {
            pool.told.armed();
        }
    }
    let [one, other] = pools;
    one.pool.shutdown(MINUTE).unwrap();
    producer.enqueue("for who is left").unwrap();
    assert_eq!(begins.recv_timeout(MINUTE).unwrap(), "other");
    go_on.send(()).unwrap();
    other.pool.shutdown(MINUTE).unwrap();
}

#[test]
fn a_release_from_before_the_pool_waited_is_found_when_it_commits() {
    let pg = Pg::with_tasks();
    let other = pg.another(|builder| builder.lock_time(HOUR));
    let producer = Producer::new(&other, "tasks").unwrap();
    producer.enqueue("back").unwrap();
    let consumer = Consumer::new(&other, "tasks").unwrap();
    let held = consumer.dequeue().unwrap();
    let release = Settlement {
        receipt: Receipt::from(&held[0]),
        outcome: Outcome::Release {
            delay: Duration::ZERO,
            charged: false,
        },
    };
    let mut client = pg.client();
    let mut tx = client.transaction().unwrap();
    let queue = consumer.queue().id;
    assert_eq!(other.settle_in(&mut tx, queue, &[release]).unwrap(), [true]);
    let sleeper = Sleeper::on(&pg.store);
    tx.commit().unwrap();
    assert_eq!(sleeper.next(), json!("back"));
}

#[test]
fn every_queue_of_a_pool_wakes_it() {
    let pg = Pg::with_tasks();
    let names = ["mail", "tasks", "news"];
    for name in names {
        pg.store.create_queue(name).unwrap();
    }
    let sleeper = Sleeper::with(&pg.store, |pool| pool.queue("mail", 1).queue("news", 5));
    let other = pg.another(|builder| builder);
    for _ in 0..3 {
        for name in names {
            let producer = Producer::new(&other, name).unwrap();
            producer.enqueue(name).unwrap();
            assert_eq!(sleeper.next(), json!(name));
        }
    }
}

#[test]
fn a_pool_whose_listening_session_was_ended_listens_again() {
    let (pg, sleeper, producer) = sleeping();
    let mut client = pg.client();
    for round in 0..3 {
        let moment = sleeper.told.now();
        let listening = waiting(&mut client);
        assert_eq!(listening.len(), 1);
        let sql = "SELECT pg_terminate_backend($1)";
        client.query_one(sql, &[&listening[0]]).unwrap();
        sleeper.told.since(moment, &Event::Asleep(false));
        sleeper.told.armed();
        assert_ne!(waiting(&mut client), listening);
        producer.enqueue(&round).unwrap();
        assert_eq!(sleeper.next(), json!(round));
    }
}

/// Queue ids are a schema's own, channels and locks the database's.
#[test]
fn queues_of_two_schemas_with_the_same_id_do_not_wake_one_another() {
    let (pg, sleeper, producer) = sleeping();
    let (stranger, mut ear) = (Pg::with_tasks(), Ear::new(&pg));
    let mut strange_ear = Ear::new(&stranger);
    let queue = stranger.store.queue("tasks").unwrap();
    assert_eq!(queue.id, producer.queue().id);
    let strange = Producer::new(&stranger.store, "tasks").unwrap();
    for number in 0..10 {
        strange.enqueue(&number).unwrap();
    }
    assert!(ear.heard().is_empty() && strange_ear.heard().is_empty());
    producer.enqueue("ours").unwrap();
    assert_eq!(sleeper.next(), json!("ours"));
    assert_eq!(ear.heard(), ["ready"]);
    assert!(strange_ear.heard().is_empty());
}

/// The pool as it comes: nobody has to choose anything to be woken.
#[test]
fn a_pool_with_default_settings_is_woken() {
    let pg = Pg::with_tasks();
    let told = pgqrs_tests::told::Told::default();
    let pool = WorkerPool::builder(pg.store.clone(), "tasks")
        .events(told.clone())
        .handle(|_: Value, _: &Context| Ok(()))
        .start()
        .unwrap();
    told.armed();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    producer.enqueue("hello").unwrap();
    assert!(pool.counters().wait(MINUTE, |seen| seen.finished == 1));
}
