//! Many threads at once.

use std::collections::BTreeSet;
use std::time::Duration;

use super::scene::*;
use crate::Harness;
use pgqrs::{Counts, ErrorKind, IfNotEmpty, Message, Producer, State, Store};

/// Each message goes to one consumer.
pub fn two_consumers_never_share_a_message(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(10_000));
    let got = on_threads(8, |_| {
        let consumer = tasks.builder().batch(50).build().unwrap();
        drain(&consumer)
    });
    let mut got = ids(&got.concat());
    got.extend(ids(&tasks.drain())); // what all others had in their hands for a moment
    got.sort_unstable();
    assert_eq!(got, sent);
}

/// The same for the threads of one consumer.
pub fn threads_of_one_consumer_never_share_a_message(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(2_000));
    let consumer = tasks.builder().batch(20).build().unwrap();
    let got = on_threads(8, |_| drain(&consumer));
    let mut got = ids(&got.concat());
    got.extend(ids(&drain(&consumer)));
    got.sort_unstable();
    assert_eq!(got, sent);
}

/// The same for delayed messages, which all come due at once.
pub fn two_consumers_never_share_a_due_message(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = tasks
        .producer
        .batch_enqueue_delayed(0..2_000, HOUR)
        .unwrap();
    h.advance(HOUR);
    let got = on_threads(8, |_| {
        let consumer = tasks.builder().batch(20).build().unwrap();
        drain(&consumer)
    });
    let mut got = ids(&got.concat());
    got.extend(ids(&tasks.drain()));
    got.sort_unstable();
    assert_eq!(got, ids(&sent));
}

/// An expired lease goes to one of those who want it: no delivery happens twice.
pub fn an_expired_lease_goes_to_one_consumer(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(1_000));
    tasks.consumer().dequeue_many(1_000).unwrap();
    h.advance(HOUR);
    let got = on_threads(8, |_| {
        let consumer = tasks.builder().batch(20).build().unwrap();
        drain(&consumer)
    });
    let mut got = got.concat();
    got.extend(tasks.drain());
    assert!(got.iter().all(|message| reads(message) == (2, 2)));
    got.sort_by_key(|message| message.id);
    assert_eq!(ids(&got), sent);
}

/// Even where leases run out as soon as they begin, each delivery happens once, and each
/// message is settled once.
pub fn no_delivery_happens_twice(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(500);
    let deliveries = on_threads(8, |_| {
        let consumer = tasks.consumer();
        let mut settled = Vec::new();
        for _ in 0..50 {
            let got = consumer
                .dequeue_many_with_delay(10, Duration::from_nanos(1))
                .unwrap();
            let answers = consumer.archive_many(&got).unwrap();
            settled.extend(got.into_iter().zip(answers));
        }
        settled
    });
    let deliveries = deliveries.concat();
    let mut seen = BTreeSet::new();
    let mut archived = BTreeSet::new();
    for (message, was_archived) in &deliveries {
        assert!(seen.insert((message.id, message.read_ct)), "{message:?}");
        assert!(!was_archived || archived.insert(message.id), "{message:?}");
    }
    assert_eq!(tasks.counts().archived, archived.len() as u64);
    assert_eq!(tasks.counts().total(), 500);
}

/// No answer is over the limit, whoever else asks at the same time.
pub fn the_limit_is_kept_under_load(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2_000);
    let got = on_threads(16, |_| {
        let consumer = tasks.consumer();
        let mut got = Vec::new();
        loop {
            let messages = consumer.dequeue_many(7).unwrap();
            assert!(messages.len() <= 7);
            if messages.is_empty() {
                return got.len();
            }
            got.extend(messages);
        }
    });
    let rest = tasks.drain().len();
    assert_eq!(got.iter().sum::<usize>() + rest, 2_000);
}

/// Of many who settle the same delivery one does.
pub fn a_delivery_is_settled_once(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    for _ in 0..20 {
        tasks.put(1);
        let message = tasks.lease_one(&consumer);
        let wins = on_threads(8, |number| {
            let done = match number % 4 {
                0 => consumer.archive(&message),
                1 => consumer.delete(&message),
                2 => consumer.dead_letter(&message, "why"),
                _ => consumer.release(&message, HOUR),
            };
            done.unwrap()
        });
        assert_eq!(wins.iter().filter(|won| **won).count(), 1);
        assert_eq!(tasks.counts().unfinished(), tasks.counts().scheduled);
    }
}

/// The same for batches, in whatever order each names its receipts: nobody waits for ever.
pub fn batches_in_any_order_settle_each_delivery_once(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(400);
    let consumer = tasks.consumer();
    let held = consumer.dequeue_many(400).unwrap();
    let answers = on_threads(8, |number| {
        let mut held: Vec<&Message> = held.iter().collect();
        held.rotate_left(number * 50);
        if number % 2 == 0 {
            held.reverse();
        }
        assert!(consumer.extend_visibility_many(held.clone(), DAY).is_ok());
        let answers = consumer.archive_many(held.clone()).unwrap();
        let won = held.iter().zip(answers).filter(|(_, won)| *won);
        won.map(|(message, _)| message.id).collect::<Vec<_>>()
    });
    let mut won = answers.concat();
    won.sort_unstable();
    assert_eq!(won, ids(&held));
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 400,
            ..NONE
        }
    );
}

/// An expired lease is either settled by who had it or taken by another, never both.
pub fn an_expired_lease_is_settled_or_taken(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(300);
    let (late, thief) = (tasks.consumer(), tasks.consumer());
    let held = late.dequeue_many(300).unwrap();
    h.advance(HOUR);
    let outcomes = on_threads(2, |number| {
        if number == 0 {
            let settled = held
                .iter()
                .filter(|message| late.archive(*message).unwrap());
            return settled.map(|message| message.id).collect();
        }
        ids(&drain(&thief))
    });
    let (settled, taken) = (&outcomes[0], &outcomes[1]);
    assert!(settled.iter().all(|id| !taken.contains(id)));
    let archived = settled.len() as u64;
    let leased = taken.len() as u64;
    assert_eq!(
        tasks.counts(),
        Counts {
            leased,
            archived,
            ..NONE
        }
    );
    assert_eq!(archived + leased, 300);
}

/// An expired lease is either extended by who had it or taken by another, never both.
pub fn an_expired_lease_is_extended_or_taken(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(300);
    let (late, thief) = (tasks.consumer(), tasks.consumer());
    let held = late.dequeue_many(300).unwrap();
    h.advance(HOUR);
    let outcomes = on_threads(2, |number| {
        if number == 0 {
            let extended = held
                .iter()
                .filter(|message| late.extend_visibility(*message, HOUR).unwrap());
            return extended.map(|message| message.id).collect();
        }
        ids(&drain(&thief))
    });
    let mut all = outcomes.concat();
    all.sort_unstable();
    assert_eq!(all, ids(&held));
    assert_eq!(
        tasks.counts(),
        Counts {
            leased: 300,
            ..NONE
        }
    );
}

/// Many producers, one producer, or clones of one: every message is stored, once, and each
/// batch stays in order.
pub fn producers_do_not_get_in_each_others_way(h: &impl Harness) {
    let tasks = tasks(h);
    let batches = on_threads(8, |number| {
        let producer = match number % 2 {
            0 => tasks.producer.clone(),
            _ => Producer::new(tasks.store.clone(), "tasks").unwrap(),
        };
        let mut sent = Vec::new();
        for size in 0..20 {
            sent.extend(producer.batch_enqueue(0..size).unwrap());
            sent.push(tasks.producer.enqueue("between").unwrap());
        }
        assert!(ascending(&ids(&sent)));
        sent
    });
    let mut sent = ids(&batches.concat());
    sent.sort_unstable();
    assert!(ascending(&sent));
    assert_eq!(ids(&tasks.drain()), sent);
}

/// Producers and consumers at once: all that goes in comes out.
pub fn what_goes_in_comes_out_under_load(h: &impl Harness) {
    let tasks = tasks(h);
    let done = on_threads(8, |number| {
        if number < 4 {
            for _ in 0..20 {
                tasks.put(25);
            }
            return 0;
        }
        let consumer = tasks.builder().batch(30).build().unwrap();
        let mut done = 0;
        // Enough to be in the middle of things; what is left comes out below.
        for _ in 0..40 {
            let got = consumer.dequeue().unwrap();
            let answers = consumer.archive_many(&got).unwrap();
            assert!(answers.iter().all(|owned| *owned));
            done += got.len();
        }
        done
    });
    let rest = tasks.drain().len();
    assert_eq!(done.iter().sum::<usize>() + rest, 2_000);
    assert_eq!(tasks.counts().total(), 2_000);
}

/// Many create the same queue: one queue comes of it.
pub fn a_queue_is_created_once(h: &impl Harness) {
    let store = h.store();
    let queues = on_threads(8, |_| store.create_queue("tasks").unwrap());
    assert!(queues.iter().all(|queue| *queue == queues[0]));
    assert_eq!(store.queues().unwrap(), queues[..1]);
}

/// Many register at once: all get ids of their own.
pub fn workers_register_at_once(h: &impl Harness) {
    let tasks = tasks(h);
    let workers = on_threads(8, |_| {
        (0..10)
            .map(|_| tasks.consumer().worker())
            .collect::<Vec<_>>()
    });
    let mut workers = workers.concat();
    workers.sort_unstable();
    assert!(ascending(&workers), "{workers:?}");
}

/// A message is stored before its queue is deleted, and then keeps it from being so, or
/// not at all. None is lost in between.
pub fn no_message_is_lost_when_its_queue_is_deleted(h: &impl Harness) {
    for _ in 0..30 {
        let tasks = tasks(h);
        let outcomes = on_threads(2, |number| match number {
            0 => tasks.producer.batch_enqueue(0..10).map(drop),
            _ => tasks.store.delete_queue("tasks", IfNotEmpty::Refuse),
        });
        match [&outcomes[0], &outcomes[1]] {
            [Ok(()), Err(error)] => {
                assert_eq!(error.kind(), ErrorKind::QueueNotEmpty, "{error}");
                assert_eq!(tasks.counts(), Counts { ready: 10, ..NONE });
                tasks
                    .store
                    .delete_queue("tasks", IfNotEmpty::Delete)
                    .unwrap();
            }
            [Err(error), Ok(())] => {
                assert_eq!(error.kind(), ErrorKind::UnknownQueue, "{error}");
                assert_eq!(tasks.store.queues().unwrap(), []);
            }
            other => panic!("one of the two is refused: {other:?}"),
        }
    }
}

/// A message is purged or settled, never both.
pub fn no_message_is_purged_and_archived(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1_000);
    let numbers = on_threads(4, |number| {
        if number == 0 {
            return tasks
                .store
                .purge("tasks", &[State::Ready, State::Leased])
                .unwrap();
        }
        let consumer = tasks.builder().batch(10).build().unwrap();
        let mut archived = 0;
        loop {
            let got = consumer.dequeue().unwrap();
            if got.is_empty() {
                return archived;
            }
            let answers = consumer.archive_many(&got).unwrap();
            archived += answers.into_iter().filter(|owned| *owned).count() as u64;
        }
    });
    let archived: u64 = numbers[1..].iter().sum();
    let counts = tasks.counts();
    assert_eq!(counts.archived, archived);
    assert_eq!(numbers[0] + counts.total(), 1_000);
}
