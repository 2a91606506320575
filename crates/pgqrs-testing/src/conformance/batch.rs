//! Many receipts in one call: answers by position.

use std::time::Duration;

use super::scene::*;
use crate::Harness;
use pgqrs::{Consumer, Counts, Outcome, Receipt, Result, Settlement, Store};

/// `archive_many` answers by position, and archives what was owned.
pub fn archive_many_answers_by_position(h: &impl Harness) {
    let counts = by_position(h, |consumer, receipts| consumer.archive_many(receipts));
    assert_eq!(
        counts,
        Counts {
            leased: 1,
            archived: 3,
            ..NONE
        }
    );
}

/// `delete_many` answers by position, and deletes what was owned.
pub fn delete_many_answers_by_position(h: &impl Harness) {
    let counts = by_position(h, |consumer, receipts| consumer.delete_many(receipts));
    assert_eq!(
        counts,
        Counts {
            leased: 1,
            archived: 1,
            ..NONE
        }
    );
}

/// `release_many` answers by position, and gives back what was owned.
pub fn release_many_answers_by_position(h: &impl Harness) {
    let counts = by_position(h, |consumer, receipts| {
        consumer.release_many(receipts, HOUR)
    });
    assert_eq!(
        counts,
        Counts {
            leased: 1,
            scheduled: 2,
            archived: 1,
            ..NONE
        }
    );
}

/// `retry_many` answers by position, and gives back what was owned.
pub fn retry_many_answers_by_position(h: &impl Harness) {
    let counts = by_position(h, |consumer, receipts| consumer.retry_many(receipts, HOUR));
    assert_eq!(
        counts,
        Counts {
            leased: 1,
            scheduled: 2,
            archived: 1,
            ..NONE
        }
    );
}

/// `dead_letter_many` answers by position, and gives up what was owned.
pub fn dead_letter_many_answers_by_position(h: &impl Harness) {
    let counts = by_position(h, |consumer, receipts| {
        consumer.dead_letter_many(receipts, "broken")
    });
    assert_eq!(
        counts,
        Counts {
            leased: 1,
            archived: 1,
            dead: 2,
            ..NONE
        }
    );
}

/// `extend_visibility_many` answers by position, and extends what was owned.
pub fn extend_many_answers_by_position(h: &impl Harness) {
    let counts = by_position(h, |consumer, receipts| {
        consumer.extend_visibility_many(receipts, DAY)
    });
    assert_eq!(
        counts,
        Counts {
            leased: 3,
            archived: 1,
            ..NONE
        }
    );
    h.advance(HOUR);
    // What was not owned was not extended: that lease is over now.
    let counts = h.store().counts("tasks").unwrap();
    assert_eq!(
        counts,
        Counts {
            ready: 1,
            leased: 2,
            archived: 1,
            ..NONE
        }
    );
}

/// Calls with receipts of which the first and the fourth are owned; of the others one was
/// lost to another consumer, one is unknown, and one was archived before.
fn by_position<H: Harness>(
    h: &H,
    act: impl Fn(&Consumer<H::Store>, Vec<Receipt>) -> Result<Vec<bool>>,
) -> Counts {
    let tasks = tasks(h);
    tasks.put(4);
    let (consumer, other) = (tasks.consumer(), tasks.consumer());
    let lost = only(consumer.dequeue_many_with_delay(1, MINUTE).unwrap());
    h.advance(MINUTE);
    assert_eq!(tasks.lease_one(&other).id, lost.id);
    let held = consumer.dequeue().unwrap();
    assert!(consumer.archive(&held[0]).unwrap());

    let receipts = vec![
        Receipt::from(&held[2]),
        Receipt::from(&lost),
        Receipt::from(i64::MAX),
        Receipt::from(&held[1]),
        Receipt::from(&held[0]),
    ];
    let answers = act(&consumer, receipts).unwrap();
    assert_eq!(answers, [true, false, false, true, false]);
    tasks.counts()
}

/// Settling nothing is fine.
pub fn settling_nothing_is_fine(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let none: [i64; 0] = [];
    assert!(consumer.archive_many(none).unwrap().is_empty());
    assert!(consumer.delete_many(none).unwrap().is_empty());
    assert!(consumer.release_many(none, HOUR).unwrap().is_empty());
    assert!(consumer.retry_many(none, HOUR).unwrap().is_empty());
    assert!(consumer.dead_letter_many(none, "why").unwrap().is_empty());
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
}

/// A call takes any number of receipts, in any order.
pub fn a_batch_of_25000_receipts_is_settled(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(25_000);
    let consumer = tasks.consumer();
    let mut held = consumer.dequeue_many(25_000).unwrap();
    held.reverse();
    let answers = consumer.extend_visibility_many(&held, DAY).unwrap();
    assert_eq!(answers, vec![true; 25_000]);
    assert_eq!(consumer.archive_many(&held).unwrap(), vec![true; 25_000]);
    assert_eq!(consumer.archive_many(&held).unwrap(), vec![false; 25_000]);
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 25_000,
            ..NONE
        }
    );
}

/// Calls as if one after the other: the second settlement of a delivery finds it settled.
pub fn a_receipt_twice_in_a_batch_settles_once(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(3);
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    let batch = [&held[0], &held[1], &held[0], &held[1], &held[1]];
    let answers = consumer.archive_many(batch).unwrap();
    assert_eq!(answers, [true, true, false, false, false]);
    assert_eq!(
        tasks.counts(),
        Counts {
            leased: 1,
            archived: 2,
            ..NONE
        }
    );

    let twice = [&held[2], &held[2]];
    let answers = consumer.release_many(twice, Duration::ZERO).unwrap();
    assert_eq!(answers, [true, false]);
    let again = tasks.lease_one(&consumer);
    assert_eq!((again.id, reads(&again)), (held[2].id, (2, 1)));
}

/// The first of several outcomes for one delivery holds.
pub fn the_first_of_several_outcomes_holds(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(5);
    let consumer = tasks.consumer();
    let back = |charged| Outcome::Release {
        delay: HOUR,
        charged,
    };
    let dead = || Outcome::DeadLetter("first".to_owned());
    let outcomes = [
        Outcome::Archive,
        Outcome::Delete,
        back(true),
        back(false),
        dead(),
    ];
    let held = consumer.dequeue().unwrap();
    let mut settlements = Vec::new();
    for (number, message) in held.iter().enumerate() {
        // Each outcome comes first for one message, followed by all the others.
        let mut outcomes = outcomes.clone();
        outcomes.rotate_left(number);
        let receipt = Receipt::from(message);
        settlements.extend(outcomes.map(|outcome| Settlement { receipt, outcome }));
    }
    let queue_id = tasks.producer.queue().id;
    let answers = tasks.store.settle(queue_id, &settlements).unwrap();
    let expected = [true, false, false, false, false].repeat(5);
    assert_eq!(answers, expected);
    let counts = Counts {
        scheduled: 2,
        archived: 1,
        dead: 1,
        ..NONE
    };
    assert_eq!(tasks.counts(), counts);
}

/// Of a stale and a current receipt of the same message only the current one counts,
/// wherever it stands.
pub fn a_stale_receipt_beside_the_current_one_changes_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let stale = consumer.dequeue().unwrap();
    h.advance(HOUR);
    let current = consumer.dequeue().unwrap();
    assert_eq!(ids(&current), ids(&stale));
    let batch = [&stale[0], &current[0], &current[1], &stale[1]];

    let answers = consumer.extend_visibility_many(batch, DAY).unwrap();
    assert_eq!(answers, [false, true, true, false]);
    assert_eq!(consumer.archive_many(batch).unwrap(), answers);
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 2,
            ..NONE
        }
    );
}

/// The same with different outcomes in one call.
pub fn a_stale_outcome_beside_the_current_one_changes_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let stale = consumer.dequeue().unwrap();
    h.advance(HOUR);
    let current = consumer.dequeue().unwrap();
    let settlements = [
        (&stale[0], Outcome::Delete),
        (&current[0], Outcome::Archive),
        (&current[1], Outcome::DeadLetter("current".to_owned())),
        (&stale[1], Outcome::Delete),
    ]
    .map(|(message, outcome)| Settlement {
        receipt: Receipt::from(message),
        outcome,
    });
    let queue_id = tasks.producer.queue().id;
    let answers = tasks.store.settle(queue_id, &settlements).unwrap();
    assert_eq!(answers, [false, true, true, false]);
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 1,
            dead: 1,
            ..NONE
        }
    );
}

/// A receipt and a bare id of the same delivery are the same delivery.
pub fn a_receipt_beside_its_bare_id_settles_once(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    let batch = [
        Receipt::from(held[0].id),
        Receipt::from(&held[0]),
        Receipt::from(&held[1]),
        Receipt::from(held[1].id),
    ];
    let answers = consumer.delete_many(batch).unwrap();
    assert_eq!(answers, [true, false, true, false]);
    assert_eq!(tasks.counts(), NONE);
}
