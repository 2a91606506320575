//! `iter`, which waits and fetches ahead.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::scene::*;
use crate::Harness;
use crate::in_time::begin;
use pgqrs::{Consumer, Counts, ErrorKind, IfNotEmpty, Message, Store};

/// How often a waiting consumer of these cases looks.
const OFTEN: Duration = Duration::from_millis(1);

/// Messages come in order, whatever the batches.
pub fn iter_yields_in_order(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(10));
    let consumer = tasks.builder().batch(3).build().unwrap();
    let got: Result<Vec<Message>, _> = consumer.iter().take(10).collect();
    assert_eq!(ids(&got.unwrap()), sent);
}

/// It fetches a batch ahead, and hands out one by one.
pub fn iter_fetches_a_batch_ahead(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(5);
    let consumer = tasks.builder().batch(3).build().unwrap();
    let mut messages = consumer.iter();
    for _ in 0..3 {
        let message = messages.next().unwrap().unwrap();
        assert_eq!(reads(&message), (1, 1));
        assert_eq!(
            tasks.counts(),
            Counts {
                ready: 2,
                leased: 3,
                ..NONE
            }
        );
    }
    messages.next().unwrap().unwrap();
    assert_eq!(tasks.counts(), Counts { leased: 5, ..NONE });
}

/// Each message is the caller's to settle, while the iterator goes on.
pub fn iter_goes_on_while_messages_are_settled(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(20);
    let consumer = tasks.builder().batch(7).build().unwrap();
    for message in consumer.iter().take(20) {
        assert!(consumer.archive(&message.unwrap()).unwrap());
    }
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 20,
            ..NONE
        }
    );
}

/// It waits for messages that come later, as often as there are none.
pub fn iter_waits_for_messages(h: &impl Harness) {
    let tasks = tasks(h);
    let (watched, looks) = Watched::new(tasks.store.clone());
    let consumer = Consumer::builder(watched, "tasks").poll_interval(until_woken(&tasks.store));
    let consumer = consumer.build().unwrap();
    let (got, found) = channel();
    let waiting = begin(move || {
        for message in consumer.iter().take(3) {
            got.send(message.unwrap().id).unwrap();
        }
    });
    for number in 0..3 {
        asleep(&looks);
        let sent = tasks.producer.enqueue(&number).unwrap();
        assert_eq!(found.recv_timeout(MINUTE), Ok(sent.id));
        // It may have looked in vain several times before.
        while looks.recv_timeout(MINUTE).unwrap() == 0 {}
    }
    waiting.end();
}

/// A stop ends it while it waits.
pub fn iter_ends_on_a_stop(h: &impl Harness) {
    let tasks = tasks(h);
    let (watched, looks) = Watched::new(tasks.store.clone());
    let consumer = Consumer::builder(watched, "tasks").poll_interval(HOUR);
    let consumer = consumer.build().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.iter().count());
        assert_eq!(looks.recv(), Ok(0));
        consumer.stop();
        assert_eq!(waiting.join().unwrap(), 0);
    });
    tasks.put(1);
    assert!(consumer.iter().next().is_none());
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
}

/// A stop in the middle of a batch gives the rest back, without charging an attempt.
pub fn iter_gives_the_rest_back_on_a_stop(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(5));
    let consumer = tasks.builder().batch(4).build().unwrap();
    let mut messages = consumer.iter();
    let first = messages.next().unwrap().unwrap();
    consumer.stop();
    assert!(messages.next().is_none());
    assert_eq!(
        tasks.counts(),
        Counts {
            ready: 4,
            leased: 1,
            ..NONE
        }
    );
    assert!(messages.next().is_none());
    let rest = tasks.drain();
    assert_eq!(ids(&rest), sent[1..]);
    let counts: Vec<_> = rest.iter().map(reads).collect();
    assert_eq!(counts, [(2, 1), (2, 1), (2, 1), (1, 1)]);
    assert!(consumer.archive(&first).unwrap());
}

/// So does dropping it; what was handed out stays the caller's.
pub fn iter_gives_the_rest_back_when_dropped(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(5));
    let consumer = tasks.builder().batch(4).build().unwrap();
    let held: Vec<_> = consumer.iter().take(2).map(Result::unwrap).collect();
    assert_eq!(
        tasks.counts(),
        Counts {
            ready: 3,
            leased: 2,
            ..NONE
        }
    );
    let rest = tasks.drain();
    assert_eq!(ids(&rest), sent[2..]);
    let counts: Vec<_> = rest.iter().map(reads).collect();
    assert_eq!(counts, [(2, 1), (2, 1), (1, 1)]);
    assert_eq!(consumer.archive_many(&held).unwrap(), [true, true]);
}

/// A message whose lease ran out while it waited its turn is not handed out: it is given
/// back and fetched anew.
pub fn iter_hands_out_no_lease_that_ran_out(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(2));
    let consumer = tasks.builder().lock_time(Duration::from_nanos(1));
    let consumer = consumer.build().unwrap();
    let mut messages = consumer.iter();
    let first = messages.next().unwrap().unwrap();
    assert_eq!((first.id, reads(&first)), (sent[0], (1, 1)));
    let second = messages.next().unwrap().unwrap();
    assert_eq!((second.id, reads(&second)), (sent[1], (2, 1)));
    assert!(consumer.archive(&second).unwrap());
}

/// A failed dequeue is an item; it is not the end.
pub fn iter_yields_errors(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.builder().poll_interval(OFTEN).build().unwrap();
    tasks
        .store
        .delete_queue("tasks", IfNotEmpty::Refuse)
        .unwrap();
    let id = consumer.queue().id.to_string();
    let mut messages = consumer.iter();
    for _ in 0..2 {
        assert_error(messages.next().unwrap(), ErrorKind::UnknownQueue, &id);
    }
    consumer.stop();
    assert!(messages.next().is_none());
}

/// Iterators of one consumer, and of others, share the queue.
pub fn iterators_share_the_queue(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(400));
    let got = on_threads(4, |_| {
        let consumer = tasks.builder().batch(9).build().unwrap();
        let got: Result<Vec<Message>, _> = consumer.iter().take(100).collect();
        ids(&got.unwrap())
    });
    let mut got = got.concat();
    got.sort_unstable();
    assert_eq!(got, sent);
}
