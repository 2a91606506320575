//! A message is in exactly one state.

use std::time::Duration;

use super::scene::*;
use crate::Harness;
use pgqrs::{Counts, ErrorKind, IfNotEmpty, Message, State, Store};

/// One message in each state is one in each count.
pub fn each_state_is_counted(h: &impl Harness) {
    let tasks = tasks(h);
    one_in_each_state(&tasks);
    let counts = tasks.counts();
    let one_each = Counts {
        ready: 1,
        leased: 1,
        scheduled: 1,
        archived: 1,
        dead: 1,
    };
    assert_eq!(counts, one_each);
    assert_eq!((counts.total(), counts.unfinished()), (5, 3));
}

/// Time moves leased and scheduled messages to the ready ones, and no others.
pub fn time_makes_messages_ready(h: &impl Harness) {
    let tasks = tasks(h);
    one_in_each_state(&tasks);
    h.advance(HOUR);
    assert_eq!(
        tasks.counts(),
        Counts {
            ready: 3,
            archived: 1,
            dead: 1,
            ..NONE
        }
    );
    assert_eq!(tasks.drain().len(), 3);
    assert_eq!(
        tasks.counts(),
        Counts {
            leased: 3,
            archived: 1,
            dead: 1,
            ..NONE
        }
    );
}

/// Through a long mix of all that can happen, every message is in one state, and in the
/// right one: enqueued = ready + leased + scheduled + archived + dead + deleted.
pub fn the_counts_add_up_through_a_long_mix(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let mut expected = NONE;
    let mut held: Vec<Message> = Vec::new();
    let (mut enqueued, mut deleted) = (0, 0);
    let mut dice = Dice(7);
    for _ in 0..300 {
        let count = dice.roll(5) + 1;
        let some = held.len().min(count);
        match dice.roll(10) {
            0 | 1 => {
                tasks.put(count);
                enqueued += count as u64;
                expected.ready += count as u64;
            }
            2 => {
                let sent = tasks.producer.batch_enqueue_delayed(0..count, HOUR);
                enqueued += sent.unwrap().len() as u64;
                expected.scheduled += count as u64;
            }
            3 | 4 => {
                let got = consumer.dequeue_many(count).unwrap();
                expected.ready -= got.len() as u64;
                expected.leased += got.len() as u64;
                held.extend(got);
            }
            5 => {
                expected.leased -= some as u64;
                expected.archived += some as u64;
                let done = consumer.archive_many(held.drain(..some).as_slice());
                assert_eq!(done.unwrap(), vec![true; some]);
            }
            6 => {
                expected.leased -= some as u64;
                deleted += some as u64;
                let done = consumer.delete_many(held.drain(..some).as_slice());
                assert_eq!(done.unwrap(), vec![true; some]);
            }
            7 => {
                expected.leased -= some as u64;
                expected.scheduled += some as u64;
                let back = consumer.retry_many(held.drain(..some).as_slice(), HOUR);
                assert_eq!(back.unwrap(), vec![true; some]);
            }
            8 => {
                expected.leased -= some as u64;
                expected.dead += some as u64;
                let dead = consumer.dead_letter_many(held.drain(..some).as_slice(), "why");
                assert_eq!(dead.unwrap(), vec![true; some]);
            }
            _ if dice.roll(3) == 0 => {
                h.advance(HOUR);
                held.clear(); // the consumer crashed
                expected.ready = expected.unfinished();
                (expected.leased, expected.scheduled) = (0, 0);
            }
            _ => {
                expected.leased -= some as u64;
                expected.ready += some as u64;
                let back = held.drain(..some);
                let back = consumer.release_many(back.as_slice(), Duration::ZERO);
                assert_eq!(back.unwrap(), vec![true; some]);
            }
        }
        assert_eq!(tasks.counts(), expected);
        assert_eq!(expected.total() + deleted, enqueued);
    }
    // The mix was one: something got everywhere.
    assert!(expected.archived > 0 && expected.dead > 0 && deleted > 0);
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from((self.0 >> 33) % sides).unwrap()
    }
}

/// Each state can be purged, alone: the others stay as they are.
pub fn purge_deletes_one_state(h: &impl Harness) {
    for (number, state) in State::ALL.into_iter().enumerate() {
        let tasks = queue(h, &format!("queue-{number}"));
        one_in_each_state(&tasks);
        assert_eq!(tasks.store.purge(&tasks.name, &[state]).unwrap(), 1);
        let mut left = Counts {
            ready: 1,
            leased: 1,
            scheduled: 1,
            archived: 1,
            dead: 1,
        };
        match state {
            State::Ready => left.ready = 0,
            State::Leased => left.leased = 0,
            State::Scheduled => left.scheduled = 0,
            State::Archived => left.archived = 0,
            State::Dead => left.dead = 0,
        }
        assert_eq!(tasks.counts(), left, "{state}");
        assert_eq!(tasks.store.purge(&tasks.name, &[state]).unwrap(), 0);
    }
}

/// Several states can be purged at once, each message once, and other queues are spared.
pub fn purge_deletes_several_states(h: &impl Harness) {
    let (one, two) = (queue(h, "one"), queue(h, "two"));
    one_in_each_state(&one);
    one_in_each_state(&two);
    let states = [State::Ready, State::Dead, State::Ready];
    assert_eq!(one.store.purge("one", &states).unwrap(), 2);
    assert_eq!(one.counts().total(), 3);
    assert_eq!(one.store.purge("one", &State::ALL).unwrap(), 3);
    assert_eq!(one.counts(), NONE);
    assert_eq!(two.counts().total(), 5);
}

/// Purging no states deletes nothing.
pub fn purging_no_states_deletes_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    one_in_each_state(&tasks);
    assert_eq!(tasks.store.purge("tasks", &[]).unwrap(), 0);
    assert_eq!(tasks.counts().total(), 5);
}

/// Ready is whatever a dequeue could have now: due messages and expired leases as well.
pub fn purging_the_ready_takes_all_that_could_be_dequeued(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    tasks.put(4);
    let held = consumer.dequeue_many(3).unwrap();
    assert!(consumer.retry(&held[0], HOUR).unwrap());
    tasks.producer.enqueue_delayed("due", HOUR).unwrap();
    h.advance(HOUR);
    tasks.producer.enqueue_delayed("not due", HOUR).unwrap();
    let current = consumer.dequeue_many(1).unwrap();
    assert_eq!(ids(&current), [held[0].id]);

    assert_eq!(tasks.store.purge("tasks", &[State::Ready]).unwrap(), 4);
    assert_eq!(
        tasks.counts(),
        Counts {
            leased: 1,
            scheduled: 1,
            ..NONE
        }
    );
    assert_eq!(tasks.drain(), []);
    // An expired lease was still owned; now there is nothing to own.
    assert!(!consumer.archive(&held[1]).unwrap());
    assert!(consumer.archive(&current[0]).unwrap());
}

/// Who holds a purged message is told so.
pub fn the_holder_of_a_purged_message_is_told(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    assert_eq!(tasks.store.purge("tasks", &[State::Leased]).unwrap(), 2);
    assert!(!consumer.archive(&held[0]).unwrap());
    assert!(!consumer.extend_visibility(&held[1], HOUR).unwrap());
    assert!(!consumer.release(&held[1], Duration::ZERO).unwrap());
    assert_eq!(tasks.counts(), NONE);
}

/// What was purged does not keep the queue from being deleted, nor from being used.
pub fn a_purged_queue_is_empty(h: &impl Harness) {
    let tasks = tasks(h);
    one_in_each_state(&tasks);
    tasks.store.purge("tasks", &State::ALL).unwrap();
    let sent = ids(&tasks.put(2));
    assert_eq!(ids(&tasks.drain()), sent);
    tasks.store.purge("tasks", &State::ALL).unwrap();
    tasks
        .store
        .delete_queue("tasks", IfNotEmpty::Refuse)
        .unwrap();
    let gone = tasks.store.purge("tasks", &State::ALL);
    assert_error(gone, ErrorKind::UnknownQueue, "tasks");
}
