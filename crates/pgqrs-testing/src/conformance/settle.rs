//! What becomes of a delivery.

use std::time::Duration;

use super::scene::*;
use crate::Harness;
use pgqrs::{Consumer, Counts, Message, Outcome, Receipt, Result, Settlement, Store};

/// An archived message is done, and kept.
pub fn archive_keeps_the_message(h: &impl Harness) {
    let counts = settled(h, |consumer, message| consumer.archive(message));
    assert_eq!(
        counts,
        Counts {
            archived: 1,
            ..NONE
        }
    );
}

/// A deleted message is done, and gone.
pub fn delete_forgets_the_message(h: &impl Harness) {
    let counts = settled(h, |consumer, message| consumer.delete(message));
    assert_eq!(counts, NONE);
}

/// A dead letter is given up, and kept.
pub fn dead_letter_keeps_the_message(h: &impl Harness) {
    let counts = settled(h, |consumer, message| {
        consumer.dead_letter(message, "broken")
    });
    assert_eq!(counts, Counts { dead: 1, ..NONE });
}

/// Ends a delivery for good, and returns the counts after that.
fn settled<H: Harness>(
    h: &H,
    settle: impl Fn(&Consumer<H::Store>, &Message) -> Result<bool>,
) -> Counts {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    assert!(settle(&consumer, &message).unwrap());
    let counts = tasks.counts();
    // For good means: nothing brings it back, and nothing can be done to it again.
    h.advance(DAY);
    assert_eq!(tasks.drain(), []);
    assert!(!consumer.archive(&message).unwrap());
    assert!(!consumer.delete(&message).unwrap());
    assert!(!consumer.dead_letter(&message, "again").unwrap());
    assert!(!consumer.release(&message, Duration::ZERO).unwrap());
    assert!(!consumer.retry(&message, Duration::ZERO).unwrap());
    assert!(!consumer.extend_visibility(&message, HOUR).unwrap());
    assert_eq!(tasks.counts(), counts);
    counts
}

/// A released message was not started: the attempt is taken back, what was read is not.
pub fn release_takes_the_attempt_back(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    for delivery in 1..=3 {
        let message = tasks.lease_one(&consumer);
        assert_eq!(reads(&message), (delivery, 1));
        assert!(consumer.release(&message, Duration::ZERO).unwrap());
    }
}

/// A retried message was started: the attempt counts.
pub fn retry_keeps_the_attempt(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    for delivery in 1..=3 {
        let message = tasks.lease_one(&consumer);
        assert_eq!(reads(&message), (delivery, delivery));
        assert!(consumer.retry(&message, Duration::ZERO).unwrap());
    }
}

/// Whatever happens to a message: `read_ct` counts every delivery, `attempt` those that
/// were not released.
pub fn attempts_are_counted_through_all_that_happens(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let expect = |counts: (i32, i32)| {
        let message = tasks.lease_one(&consumer);
        assert_eq!(reads(&message), counts);
        message
    };
    consumer.release(&expect((1, 1)), HOUR).unwrap();
    h.advance(HOUR);
    consumer.retry(&expect((2, 1)), HOUR).unwrap();
    h.advance(HOUR);
    expect((3, 2)); // and crash
    h.advance(HOUR);
    consumer.release(&expect((4, 3)), Duration::ZERO).unwrap();
    consumer.retry(&expect((5, 3)), Duration::ZERO).unwrap();
    let last = expect((6, 4));
    assert!(consumer.archive(&last).unwrap());
}

/// Given back with a delay, a message is hidden until it is due.
pub fn release_with_a_delay_waits(h: &impl Harness) {
    given_back_waits(h, |consumer, message| consumer.release(message, HOUR));
}

/// The same after a failure.
pub fn retry_with_a_delay_waits(h: &impl Harness) {
    given_back_waits(h, |consumer, message| consumer.retry(message, HOUR));
}

fn given_back_waits<H: Harness>(
    h: &H,
    give_back: impl Fn(&Consumer<H::Store>, &Message) -> Result<bool>,
) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    assert!(give_back(&consumer, &message).unwrap());
    assert_eq!(
        tasks.counts(),
        Counts {
            scheduled: 1,
            ..NONE
        }
    );
    assert_eq!(consumer.dequeue().unwrap(), []);
    h.advance(HOUR / 2);
    assert_eq!(consumer.dequeue().unwrap(), []);
    h.advance(HOUR / 2);
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
    assert_eq!(tasks.lease_one(&consumer).read_ct, 2);
}

/// Given back at once, a message goes ahead of the backlog.
pub fn release_without_a_delay_goes_ahead(h: &impl Harness) {
    given_back_goes_ahead(h, |consumer, message| {
        consumer.release(message, Duration::ZERO)
    });
}

/// The same after a failure.
pub fn retry_without_a_delay_goes_ahead(h: &impl Harness) {
    given_back_goes_ahead(h, |consumer, message| {
        consumer.retry(message, Duration::ZERO)
    });
}

fn given_back_goes_ahead<H: Harness>(
    h: &H,
    give_back: impl Fn(&Consumer<H::Store>, &Message) -> Result<bool>,
) {
    let tasks = tasks(h);
    let sent = ids(&tasks.put(5));
    let consumer = tasks.consumer();
    let held = consumer.dequeue_many(3).unwrap();
    assert!(give_back(&consumer, &held[2]).unwrap());
    assert_eq!(
        tasks.counts(),
        Counts {
            ready: 3,
            leased: 2,
            ..NONE
        }
    );
    let got = consumer.dequeue().unwrap();
    assert_eq!(ids(&got), [sent[2], sent[3], sent[4]]);
}

/// A delivery that ran out, and that nobody took over, can still be archived.
pub fn an_expired_lease_can_be_archived(h: &impl Harness) {
    let counts = settled_late(h, |consumer, message| consumer.archive(message));
    assert_eq!(
        counts,
        Counts {
            archived: 1,
            ..NONE
        }
    );
}

/// … and deleted.
pub fn an_expired_lease_can_be_deleted(h: &impl Harness) {
    let counts = settled_late(h, |consumer, message| consumer.delete(message));
    assert_eq!(counts, NONE);
}

/// … and released.
pub fn an_expired_lease_can_be_released(h: &impl Harness) {
    let counts = settled_late(h, |consumer, message| consumer.release(message, HOUR));
    assert_eq!(
        counts,
        Counts {
            scheduled: 1,
            ..NONE
        }
    );
}

/// … and retried.
pub fn an_expired_lease_can_be_retried(h: &impl Harness) {
    let counts = settled_late(h, |consumer, message| consumer.retry(message, HOUR));
    assert_eq!(
        counts,
        Counts {
            scheduled: 1,
            ..NONE
        }
    );
}

/// … and sent to the dead letters.
pub fn an_expired_lease_can_be_dead_lettered(h: &impl Harness) {
    let counts = settled_late(h, |consumer, message| consumer.dead_letter(message, "late"));
    assert_eq!(counts, Counts { dead: 1, ..NONE });
}

fn settled_late<H: Harness>(
    h: &H,
    settle: impl Fn(&Consumer<H::Store>, &Message) -> Result<bool>,
) -> Counts {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let message = tasks.expired(h, &consumer);
    assert!(settle(&consumer, &message).unwrap());
    assert_eq!(tasks.drain(), []);
    tasks.counts()
}

/// Why a message is given up is for people: any text will do.
pub fn any_reason_will_do(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(4);
    let consumer = tasks.consumer();
    let long = "long".repeat(100_000);
    for reason in ["", "'; -- Größe 🦀\n", "with U+0000: \0", &long] {
        let message = tasks.lease_one(&consumer);
        assert!(consumer.dead_letter(&message, reason).unwrap());
    }
    assert_eq!(tasks.counts(), Counts { dead: 4, ..NONE });
}

/// What is settled through one handle is settled for all.
pub fn a_receipt_is_good_through_any_handle(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let holder = tasks.consumer();
    let held = holder.dequeue().unwrap();
    let other = Consumer::new(h.store(), "tasks").unwrap();
    assert!(other.archive(&held[0]).unwrap());
    assert!(other.extend_visibility(&held[1], DAY).unwrap());
    assert!(!holder.archive(&held[0]).unwrap());
    assert!(holder.archive(&held[1]).unwrap());
}

/// The trait's own call settles each delivery in its own way.
pub fn outcomes_can_be_mixed_in_one_call(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(8);
    let (consumer, other) = (tasks.consumer(), tasks.consumer());
    let held = consumer.dequeue_many(7).unwrap();
    let unknown = Receipt::from(i64::MAX);
    let stays = Receipt::from(&tasks.lease_one(&other));
    let give_back = |delay, charged| Outcome::Release { delay, charged };
    let settlements = [
        (Receipt::from(&held[0]), Outcome::Archive),
        (Receipt::from(&held[1]), Outcome::Delete),
        (unknown, Outcome::Archive),
        (Receipt::from(&held[2]), give_back(HOUR, true)),
        (
            Receipt::from(&held[3]),
            Outcome::DeadLetter("one".to_owned()),
        ),
        (Receipt::from(&held[4]), give_back(2 * HOUR, false)),
        (Receipt::from(&held[5]), Outcome::Archive),
        (Receipt::from(&held[0]), Outcome::Delete),
        (
            Receipt::from(&held[6]),
            Outcome::DeadLetter("other".to_owned()),
        ),
    ]
    .map(|(receipt, outcome)| Settlement { receipt, outcome });

    let queue_id = tasks.producer.queue().id;
    let answers = tasks.store.settle(queue_id, &settlements).unwrap();
    let owned = [true, true, false, true, true, true, true, false, true];
    assert_eq!(answers, owned);
    let counts = Counts {
        leased: 1,
        scheduled: 2,
        archived: 2,
        dead: 2,
        ..NONE
    };
    assert_eq!(tasks.counts(), counts);

    h.advance(HOUR / 2);
    assert!(other.archive(stays).unwrap());
    h.advance(HOUR / 2);
    let retried = tasks.lease_one(&consumer);
    assert_eq!((retried.id, reads(&retried)), (held[2].id, (2, 2)));
    assert!(consumer.archive(&retried).unwrap());
    h.advance(HOUR);
    let released = tasks.lease_one(&consumer);
    assert_eq!((released.id, reads(&released)), (held[4].id, (2, 1)));
}
