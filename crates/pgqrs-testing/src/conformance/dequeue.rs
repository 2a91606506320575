//! What a consumer may rely on while nothing goes wrong.

use serde_json::json;

use super::scene::*;
use crate::Harness;
use pgqrs::{Consumer, Counts, Dequeue, Settings, Store};

/// Nothing there is an empty answer, however often one asks.
pub fn an_empty_queue_gives_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    for _ in 0..5 {
        assert_eq!(consumer.dequeue().unwrap(), []);
    }
}

/// Oldest first, batch for batch.
pub fn the_oldest_messages_come_first(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(10));
    let consumer = tasks.consumer();
    for expected in [&sent[..3], &sent[3..6], &sent[6..9], &sent[9..], &[]] {
        assert_eq!(ids(&consumer.dequeue_many(3).unwrap()), expected);
    }
}

/// A lease says whose it is, from when to when, and that it is the first.
pub fn a_lease_says_whose_it_is(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(3);
    let consumer = tasks.consumer();
    let got = consumer.dequeue().unwrap();
    assert_eq!(got.len(), 3);
    for message in got {
        assert_eq!(message.worker, Some(consumer.worker()));
        assert_eq!(message.queue_id, consumer.queue().id);
        assert_eq!(reads(&message), (1, 1));
        assert!(message.vt >= message.enqueued_at + HOUR);
    }
}

/// A leased message is hidden from everyone, also from who has it.
pub fn a_leased_message_is_hidden(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    tasks.lease_one(&consumer);
    assert_eq!(
        tasks.counts(),
        Counts {
            ready: 1,
            leased: 1,
            ..NONE
        }
    );
    tasks.lease_one(&tasks.consumer());
    assert_eq!(consumer.dequeue().unwrap(), []);
    assert_eq!(tasks.drain(), []);
}

/// An answer has at most as many messages as asked for, and that many if they are there.
pub fn the_limit_is_kept(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(20);
    let consumer = tasks.consumer();
    for (limit, expected) in [(1, 1), (2, 2), (10, 10), (8, 7), (1, 0)] {
        assert_eq!(consumer.dequeue_many(limit).unwrap().len(), expected);
    }
}

/// The highest limit there is works: all that is there.
pub fn a_limit_of_i32_max_gives_all_there_is(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(500));
    let all = usize::try_from(i32::MAX).unwrap();
    assert_eq!(ids(&tasks.consumer().dequeue_many(all).unwrap()), sent);
}

/// A consumer takes the batch and the lock time of its store.
pub fn a_consumer_starts_from_the_settings_of_its_store(h: &impl Harness) {
    let tasks = tasks(h);
    let Settings {
        batch, lock_time, ..
    } = *tasks.store.settings();
    tasks.put(batch + 1);
    let consumer = Consumer::new(tasks.store.clone(), "tasks").unwrap();
    let got = consumer.dequeue().unwrap();
    assert_eq!(got.len(), batch);
    assert!(got[0].vt >= got[0].enqueued_at + lock_time);
    assert!(got[0].vt < got[0].enqueued_at + lock_time + HOUR);
    h.advance(lock_time);
    assert_eq!(tasks.drain().len(), batch + 1);
}

/// A consumer may have a batch and a lock time of its own, and a call as well.
pub fn a_consumer_may_have_settings_of_its_own(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(20);
    let consumer = tasks.builder().batch(4).lock_time(DAY).build().unwrap();
    let by_settings = consumer.dequeue().unwrap();
    assert_eq!(by_settings.len(), 4);
    let by_limit = consumer.dequeue_many(6).unwrap();
    assert_eq!(by_limit.len(), 6);
    let by_call = consumer.dequeue_many_with_delay(8, HOUR).unwrap();
    assert_eq!(by_call.len(), 8);
    assert!(by_call[0].vt < by_settings[0].vt && by_call[0].vt < by_limit[0].vt);

    h.advance(HOUR);
    assert_eq!(
        tasks.counts(),
        Counts {
            ready: 10,
            leased: 10,
            ..NONE
        }
    );
    h.advance(DAY);
    assert_eq!(tasks.counts(), Counts { ready: 20, ..NONE });
}

/// A consumer that looked in vain finds what comes later.
pub fn a_message_is_found_after_many_looks(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    for number in 0..10 {
        assert_eq!(consumer.dequeue().unwrap(), []);
        tasks.producer.enqueue(&number).unwrap();
        assert_eq!(tasks.lease_one(&consumer).payload, json!(number));
    }
}

/// Two handles are two views of the same queue.
pub fn handles_share_the_queue(h: &impl Harness) {
    let tasks = tasks(h);
    let other = Consumer::builder(h.store(), "tasks").lock_time(HOUR);
    let other = other.build().unwrap();
    let sent = ids(&tasks.put(4));
    let consumer = tasks.consumer();
    let mut got = Vec::new();
    for _ in 0..2 {
        got.push(tasks.lease_one(&consumer).id);
        got.push(only(other.dequeue_many(1).unwrap()).id);
    }
    assert_eq!(got, sent);
}

/// No two consumers have the same worker id, also on different queues.
pub fn worker_ids_are_unique(h: &impl Harness) {
    let (one, two) = (queue(h, "one"), queue(h, "two"));
    let mut workers = Vec::new();
    for _ in 0..5 {
        workers.push(one.consumer().worker());
        workers.push(two.consumer().worker());
        let store = h.store();
        let id = one.producer.queue().id;
        workers.push(store.register_worker(id, "the same name").unwrap());
    }
    workers.sort_unstable();
    assert!(ascending(&workers), "{workers:?}");
}

/// A worker's name is for people: any text will do, the same one twice as well.
pub fn a_worker_may_have_any_name(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(4);
    let long = "long".repeat(1_000);
    for name in ["", "mailer 3", "'; --", "Größe 🦀", &long, &long] {
        let consumer = tasks.builder().name(name).build().unwrap();
        consumer.dequeue_many(1).unwrap();
    }
    assert_eq!(tasks.counts(), Counts { leased: 4, ..NONE });
}

/// Very many consumers of a queue can come and go.
pub fn many_consumers_share_a_queue(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(200));
    let consumers: Vec<_> = sent.iter().map(|_| tasks.consumer()).collect();
    let got: Vec<_> = consumers
        .iter()
        .map(|consumer| tasks.lease_one(consumer))
        .collect();
    assert_eq!(ids(&got), sent);
    for (consumer, message) in consumers.iter().zip(&got) {
        assert!(consumer.archive(message).unwrap());
    }
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 200,
            ..NONE
        }
    );
}

/// The trait's own call works like the consumer's.
pub fn the_store_itself_dequeues(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(3));
    let queue_id = tasks.producer.queue().id;
    let worker = tasks.store.register_worker(queue_id, "by hand").unwrap();
    let got = tasks.store.dequeue(&Dequeue {
        queue_id,
        worker,
        limit: 2,
        lock_time: HOUR,
    });
    let got = got.unwrap();
    assert_eq!(ids(&got), sent[..2]);
    assert!(got.iter().all(|message| message.worker == Some(worker)));
}
