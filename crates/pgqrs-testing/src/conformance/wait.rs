//! `poll`, which waits for messages.
//!
//! Where a case waits for an hour, a defect makes it hang, or fail after a minute: better
//! than a test that fails on a slow machine.

use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::scene::*;
use crate::Harness;
use crate::in_time::{Begun, begin};
use pgqrs::{Consumer, Counts, Message, Result, Store};

/// How often a waiting consumer of these cases looks.
const OFTEN: Duration = Duration::from_millis(1);

/// A consumer that polls for one message, and where it tells of its looks.
fn waiting<S: Store + Clone + 'static>(
    tasks: &Tasks<S>,
    poll_interval: Duration,
) -> (Begun<Result<Vec<Message>>>, Receiver<usize>) {
    let (watched, looks) = Watched::new(tasks.store.clone());
    let consumer = Consumer::builder(watched, &tasks.name)
        .lock_time(HOUR)
        .poll_interval(poll_interval);
    let consumer = consumer.build().unwrap();
    (begin(move || consumer.poll(1, HOUR)), looks)
}

/// What is there is returned at once, without a pause.
pub fn poll_returns_at_once_what_is_there(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(5));
    let consumer = tasks.builder().poll_interval(HOUR).build().unwrap();
    assert_eq!(ids(&consumer.poll(3, HOUR).unwrap()), sent[..3]);
    assert_eq!(ids(&consumer.poll(3, Duration::MAX).unwrap()), sent[3..]);
}

/// A poll leases as a dequeue does.
pub fn poll_leases_like_a_dequeue(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = only(consumer.poll(10, HOUR).unwrap());
    assert_eq!(reads(&message), (1, 1));
    assert_eq!(message.worker, Some(consumer.worker()));
    assert!(message.vt >= message.enqueued_at + HOUR);
    assert!(consumer.archive(&message).unwrap());
}

/// Due messages and expired leases are there as well.
pub fn poll_returns_what_became_ready(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let lost = tasks.expired(h, &consumer);
    let later = tasks.producer.enqueue_delayed("later", HOUR).unwrap();
    assert_eq!(only(consumer.poll(9, Duration::ZERO).unwrap()).id, lost.id);
    h.advance(HOUR);
    let got = consumer.poll(9, Duration::ZERO).unwrap();
    assert_eq!(ids(&got), [later.id, lost.id]);
}

/// No wait is one look.
pub fn poll_without_a_wait_looks_once(h: &impl Harness) {
    let tasks = tasks(h);
    let (watched, looks) = Watched::new(tasks.store.clone());
    let consumer = Consumer::builder(watched, "tasks").poll_interval(HOUR);
    let consumer = consumer.build().unwrap();
    assert_eq!(consumer.poll(1, Duration::ZERO).unwrap(), []);
    assert_eq!(Vec::from_iter(looks.try_iter()), [0]);
    let sent = ids(&tasks.put(1));
    assert_eq!(ids(&consumer.poll(1, Duration::ZERO).unwrap()), sent);
    assert_eq!(Vec::from_iter(looks.try_iter()), [1]);
}

/// When the wait is over, the answer is empty.
pub fn poll_gives_up_when_the_wait_is_over(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.builder().poll_interval(HOUR).build().unwrap();
    assert_eq!(consumer.poll(1, OFTEN).unwrap(), []);
}

/// A message that is enqueued meanwhile ends the wait.
pub fn poll_is_woken_by_a_message(h: &impl Harness) {
    let tasks = tasks(h);
    let (waiting, looks) = waiting(&tasks, until_woken(&tasks.store));
    asleep(&looks);
    tasks.producer.enqueue("late").unwrap();
    assert_eq!(only(waiting.end().unwrap()).payload, json!("late"));
}

/// So does one that another consumer gives back.
pub fn poll_is_woken_by_a_release(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let other = tasks.consumer();
    let held = tasks.lease_one(&other);
    let (waiting, looks) = waiting(&tasks, until_woken(&tasks.store));
    asleep(&looks);
    assert!(other.release(&held, Duration::ZERO).unwrap());
    let got = only(waiting.end().unwrap());
    assert_eq!((got.id, reads(&got)), (held.id, (2, 1)));
}

/// What comes due meanwhile is found. The time may have been moved behind the store's back, so
/// it is asked often.
pub fn poll_finds_what_comes_due(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = tasks.producer.enqueue_delayed("later", HOUR).unwrap();
    let (waiting, looks) = waiting(&tasks, OFTEN);
    asleep(&looks);
    h.advance(HOUR);
    assert_eq!(ids(&waiting.end().unwrap()), [sent.id]);
}

/// So is what another consumer lost.
pub fn poll_finds_a_lease_that_ran_out(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let held = tasks.lease_one(&tasks.consumer());
    let (waiting, looks) = waiting(&tasks, OFTEN);
    asleep(&looks);
    h.advance(HOUR);
    let got = only(waiting.end().unwrap());
    assert_eq!((got.id, reads(&got)), (held.id, (2, 2)));
}

/// Several who wait get a message each.
pub fn each_of_several_waits_gets_a_message(h: &impl Harness) {
    let tasks = tasks(h);
    let pause = until_woken(&tasks.store);
    let all: Vec<_> = (0..3).map(|_| waiting(&tasks, pause)).collect();
    all.iter().for_each(|(_, looks)| asleep(looks));
    let sent = ids(&tasks.put(3));
    let mut got: Vec<_> = all
        .into_iter()
        .map(|(waiting, _)| only(waiting.end().unwrap()).id)
        .collect();
    got.sort_unstable();
    assert_eq!(got, sent);
}

/// A stop ends the wait, however long it is, and the pause in it as well.
pub fn poll_is_ended_by_a_stop(h: &impl Harness) {
    let tasks = tasks(h);
    for (wait, pause) in [(HOUR, HOUR), (Duration::MAX, Duration::MAX)] {
        let (watched, looks) = Watched::new(tasks.store.clone());
        let consumer = Consumer::builder(watched, "tasks").poll_interval(pause);
        let consumer = consumer.build().unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| consumer.poll(10, wait));
            assert_eq!(looks.recv(), Ok(0));
            consumer.stop_handle().stop();
            assert_eq!(waiting.join().unwrap().unwrap(), []);
        });
    }
}

/// A stop is for good, and for all clones; a consumer made anew goes on.
pub fn a_stopped_consumer_waits_no_more(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let clone = consumer.clone();
    assert!(!clone.stop_handle().is_stopped());
    consumer.stop();
    consumer.stop(); // once more is fine
    assert!(clone.stop_handle().is_stopped());
    assert_eq!(consumer.poll(1, HOUR).unwrap(), []);
    tasks.put(1);
    assert_eq!(clone.poll(1, HOUR).unwrap(), []);
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
    assert_eq!(tasks.consumer().poll(1, HOUR).unwrap().len(), 1);
}

/// All but waiting goes on after a stop: what is held can be settled.
pub fn a_stopped_consumer_still_works(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let before = tasks.lease_one(&consumer);
    consumer.stop();
    let after = tasks.lease_one(&consumer);
    assert!(consumer.extend_visibility(&before, DAY).unwrap());
    assert!(consumer.archive(&before).unwrap());
    assert!(consumer.release(&after, HOUR).unwrap());
    assert_eq!(
        tasks.counts(),
        Counts {
            scheduled: 1,
            archived: 1,
            ..NONE
        }
    );
}
