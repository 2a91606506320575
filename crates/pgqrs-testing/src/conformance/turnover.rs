//! Archiving what is done and leasing more, in one call.

use std::time::Duration;

use super::scene::*;
use crate::Harness;
use pgqrs::{Consumer, Counts, Dequeue, ErrorKind, IfNotEmpty, Message, Receipt, Store};

/// What is archived stays so, and what is leased is what comes next.
pub fn archive_and_dequeue_does_both(h: &impl Harness) {
    let tasks = tasks(h);
    let put = tasks.put(5);
    let consumer = tasks.consumer();
    let first = consumer.dequeue_many(2).unwrap();
    let (archived, next) = consumer.archive_and_dequeue(&first, 2).unwrap();
    assert_eq!(archived, [true, true]);
    assert_eq!(ids(&next), ids(&put[2..4]));
    assert_eq!(
        tasks.counts(),
        Counts {
            ready: 1,
            leased: 2,
            archived: 2,
            ..NONE
        }
    );
    assert_eq!(consumer.archive_many(&next).unwrap(), [true, true]);
}

/// A loop that does nothing else gets all of it done, each message once.
pub fn archive_and_dequeue_drains_a_queue(h: &impl Harness) {
    let tasks = tasks(h);
    let put = tasks.put(250);
    let consumer = tasks.consumer();
    let mut seen = Vec::new();
    let mut held = consumer.dequeue_many(100).unwrap();
    while !held.is_empty() {
        seen.extend(held.iter().map(|message| message.id));
        let (archived, next) = consumer.archive_and_dequeue(&held, 100).unwrap();
        assert_eq!(archived, vec![true; held.len()]);
        held = next;
    }
    assert_eq!(seen, ids(&put));
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 250,
            ..NONE
        }
    );
}

/// Without receipts it is a dequeue.
pub fn archive_and_dequeue_of_nothing_dequeues(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let nothing: [Receipt; 0] = [];
    let (archived, next) = consumer.archive_and_dequeue(nothing, 10).unwrap();
    assert_eq!((archived, next.len()), (Vec::new(), 1));
}

/// On an empty queue it archives, and leases nothing.
pub fn archive_and_dequeue_ends_with_the_queue(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let last = tasks.lease_one(&consumer);
    let (archived, next) = consumer.archive_and_dequeue([&last], 10).unwrap();
    assert_eq!((archived, next), (vec![true], Vec::new()));
    let (archived, next) = consumer.archive_and_dequeue([&last], 10).unwrap();
    assert_eq!((archived, next), (vec![false], Vec::new()));
}

/// It answers by position, and changes only what is owned.
pub fn archive_and_dequeue_is_fenced(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let lost = tasks.expired(h, &consumer);
    let taken = tasks.lease_one(&tasks.consumer());
    tasks.put(2);
    let held = tasks.lease_one(&consumer);
    let receipts = [
        Receipt::from(&lost),
        Receipt::from(&held),
        Receipt::from(&held),
        Receipt::from(i64::MAX),
    ];
    let (archived, next) = consumer.archive_and_dequeue(receipts, 10).unwrap();
    assert_eq!(archived, [false, true, false, false]);
    assert_eq!(next.len(), 1);
    assert_eq!(
        tasks.counts(),
        Counts {
            leased: 2,
            archived: 1,
            ..NONE
        }
    );
    assert!(consumer.archive(&taken).unwrap());
}

/// It archives first: a message whose lease ran out is done, and not handed out again.
pub fn archive_and_dequeue_archives_first(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let late = tasks.expired(h, &consumer);
    let (archived, next) = consumer.archive_and_dequeue([&late], 10).unwrap();
    assert_eq!((archived, next), (vec![true], Vec::new()));
}

/// What has come due goes ahead here as well.
pub fn archive_and_dequeue_takes_what_is_due(h: &impl Harness) {
    let tasks = tasks(h);
    let put = tasks.put(2);
    let consumer = tasks.consumer();
    let first = tasks.lease_one(&consumer);
    let due = tasks
        .producer
        .enqueue_delayed("due", Duration::ZERO)
        .unwrap();
    let (archived, next) = consumer.archive_and_dequeue([&first], 10).unwrap();
    assert_eq!(archived, [true]);
    assert_eq!(ids(&next), [due.id, put[1].id]);
}

/// With a request that breaks a rule nothing is archived.
pub fn a_bad_request_archives_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    let error = consumer.archive_and_dequeue([&message], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let hasty = Dequeue {
        queue_id: message.queue_id,
        worker: consumer.worker(),
        limit: 1,
        lock_time: Duration::ZERO,
    };
    let receipt = [Receipt::from(&message)];
    let error = tasks
        .store
        .archive_and_dequeue(&receipt, &hasty)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
}

/// In a queue that is gone there is nothing to archive and nothing to lease.
pub fn archive_and_dequeue_in_a_deleted_queue_is_an_error(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    let deleted = tasks.store.delete_queue(&tasks.name, IfNotEmpty::Delete);
    deleted.unwrap();
    let error = consumer.archive_and_dequeue([&message], 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownQueue, "{error}");
}

/// Many consumers that work so share a queue: each message goes to one of them.
pub fn many_consumers_archive_and_dequeue(h: &impl Harness) {
    let tasks = tasks(h);
    let put = tasks.put(1_000);
    let work = |consumer: Consumer<_>| -> Vec<i64> {
        let mut seen = Vec::new();
        let mut held: Vec<Message> = Vec::new();
        loop {
            let (archived, next) = consumer.archive_and_dequeue(&held, 7).unwrap();
            assert!(archived.iter().all(|archived| *archived));
            if next.is_empty() {
                return seen;
            }
            seen.extend(next.iter().map(|message| message.id));
            held = next;
        }
    };
    let mut seen: Vec<i64> = std::thread::scope(|scope| {
        let start = |_| {
            let consumer = tasks.consumer();
            scope.spawn(move || work(consumer))
        };
        let threads: Vec<_> = (0..4).map(start).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().unwrap();
        threads.into_iter().flat_map(join).collect()
    });
    // An empty answer is not certain; the rest is still there.
    seen.extend(tasks.drain().iter().map(|message| message.id));
    seen.sort_unstable();
    assert_eq!(seen, ids(&put));
}
