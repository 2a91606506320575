//! A receipt changes a message only while its delivery owns it.

use std::time::Duration;

use super::scene::*;
use crate::Harness;
use pgqrs::{Consumer, Counts, Message, Outcome, Receipt, Result, Settlement, Store};

/// A late `archive` changes nothing, and says so.
pub fn a_stale_receipt_archives_nothing(h: &impl Harness) {
    stale(h, |consumer, message| consumer.archive(message));
}

/// A late `delete` changes nothing, and says so.
pub fn a_stale_receipt_deletes_nothing(h: &impl Harness) {
    stale(h, |consumer, message| consumer.delete(message));
}

/// A late `release` changes nothing, and says so.
pub fn a_stale_receipt_releases_nothing(h: &impl Harness) {
    stale(h, |consumer, message| {
        consumer.release(message, Duration::ZERO)
    });
    stale(h, |consumer, message| consumer.release(message, DAY));
}

/// A late `retry` changes nothing, and says so.
pub fn a_stale_receipt_retries_nothing(h: &impl Harness) {
    stale(h, |consumer, message| {
        consumer.retry(message, Duration::ZERO)
    });
    stale(h, |consumer, message| consumer.retry(message, DAY));
}

/// A late `dead_letter` changes nothing, and says so.
pub fn a_stale_receipt_dead_letters_nothing(h: &impl Harness) {
    stale(h, |consumer, message| consumer.dead_letter(message, "late"));
}

/// A late `extend_visibility` changes nothing, and says so.
pub fn a_stale_receipt_extends_nothing(h: &impl Harness) {
    stale(h, |consumer, message| {
        consumer.extend_visibility(message, DAY)
    });
}

/// A receipt stands for its delivery, not for who shows it: what one consumer leased,
/// another may settle.
pub fn a_receipt_is_good_with_any_consumer(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let (consumer, other) = (tasks.consumer(), tasks.consumer());
    let held = consumer.dequeue().unwrap();
    assert!(other.extend_visibility(&held[0], DAY).unwrap());
    assert!(other.archive(&held[0]).unwrap());
    // A bare id, by contrast, stands for what the consumer itself holds.
    assert!(!other.archive(held[1].id).unwrap());
    assert!(consumer.archive(held[1].id).unwrap());
}

/// Acts on a lease that ran out after the message was dequeued again: by another consumer,
/// or by the same one, which may have forgotten that it has two.
fn stale<H: Harness>(h: &H, act: impl Fn(&Consumer<H::Store>, &Message) -> Result<bool>) {
    let tasks = tasks(h);
    let (consumer, other) = (tasks.consumer(), tasks.consumer());
    for newer in [&other, &consumer] {
        let late = tasks.expired(h, &consumer);
        let current = tasks.lease_one(newer);
        assert_eq!((current.id, current.read_ct), (late.id, 2));

        assert!(!act(&consumer, &late).unwrap());
        assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
        // The newer delivery is untouched: it lasts as long as it did, and counts as it did.
        h.advance(HOUR / 2);
        assert!(newer.extend_visibility(&current, Duration::ZERO).unwrap());
        assert_eq!(tasks.drain(), []);
        h.advance(HOUR / 2);
        let third = tasks.lease_one(newer);
        assert_eq!((third.id, reads(&third)), (late.id, (3, 3)));
        assert!(!act(&consumer, &late).unwrap());
        assert!(newer.delete(&third).unwrap());
        assert!(!act(&consumer, &late).unwrap());
        assert_eq!(tasks.counts(), NONE);
    }
}

/// A stale receipt stays stale when the newer lease has run out as well.
pub fn a_receipt_stays_stale_when_the_newer_lease_is_over(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let late = tasks.expired(h, &consumer);
    let current = tasks.lease_one(&tasks.consumer());
    h.advance(HOUR);
    assert!(!consumer.archive(&late).unwrap());
    assert!(!consumer.extend_visibility(&late, HOUR).unwrap());
    assert!(consumer.archive(&current).unwrap());
}

/// A delivery that was given back is over, also while the message waits or is ready.
pub fn a_receipt_is_stale_once_it_was_given_back(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    assert!(consumer.release(&held[0], HOUR).unwrap());
    assert!(consumer.retry(&held[1], HOUR).unwrap());
    let none_is_owned = || {
        assert_eq!(consumer.archive_many(&held).unwrap(), [false, false]);
        let extended = consumer.extend_visibility_many(&held, DAY);
        assert_eq!(extended.unwrap(), [false, false]);
    };
    none_is_owned();
    h.advance(HOUR);
    none_is_owned();
    assert_eq!(tasks.drain().len(), 2);
    none_is_owned();
}

/// What was given back and taken again by the same consumer is another delivery.
pub fn a_receipt_from_before_a_release_is_stale(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let first = tasks.lease_one(&consumer);
    assert!(consumer.release(&first, Duration::ZERO).unwrap());
    let second = tasks.lease_one(&consumer);
    assert_eq!(second.attempt, first.attempt);
    assert!(!consumer.delete(&first).unwrap());
    assert!(consumer.delete(&second).unwrap());
}

/// A message that nobody has dequeued cannot be settled.
pub fn an_undelivered_message_cannot_be_settled(h: &impl Harness) {
    let tasks = tasks(h);
    let ready = tasks.producer.enqueue("ready").unwrap();
    let later = tasks.producer.enqueue_delayed("later", HOUR).unwrap();
    let consumer = tasks.consumer();
    for receipt in [
        ready.id.into(),
        later.id.into(),
        (&ready).into(),
        (&later).into(),
    ] {
        let receipt: Receipt = receipt;
        assert!(!consumer.archive(receipt).unwrap());
        assert!(!consumer.delete(receipt).unwrap());
        assert!(!consumer.release(receipt, Duration::ZERO).unwrap());
        assert!(!consumer.retry(receipt, Duration::ZERO).unwrap());
        assert!(!consumer.dead_letter(receipt, "why").unwrap());
        assert!(!consumer.extend_visibility(receipt, DAY).unwrap());
    }
    assert_eq!(
        tasks.counts(),
        Counts {
            ready: 1,
            scheduled: 1,
            ..NONE
        }
    );
}

/// The message as `enqueue` returned it is no receipt: it names no delivery, also not the
/// first one to this consumer.
pub fn what_enqueue_returned_is_no_receipt(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = tasks.producer.enqueue("work").unwrap();
    let consumer = tasks.consumer();
    let got = tasks.lease_one(&consumer);
    assert!(!consumer.extend_visibility(&sent, DAY).unwrap());
    assert!(!consumer.archive(&sent).unwrap());
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
    assert!(consumer.archive(&got).unwrap());
}

/// A bare id stands for the delivery that this consumer holds, whichever it is.
pub fn a_bare_id_is_this_consumers_delivery(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let message = tasks.expired(h, &consumer);
    assert_eq!(tasks.lease_one(&consumer).read_ct, 2);
    assert!(consumer.extend_visibility(message.id, DAY).unwrap());
    assert!(consumer.archive(message.id).unwrap());
    assert!(!consumer.archive(message.id).unwrap());
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 1,
            ..NONE
        }
    );
}

/// A bare id is fenced by the worker: it changes nothing that another one holds.
pub fn a_bare_id_is_fenced_by_the_worker(h: &impl Harness) {
    let tasks = tasks(h);
    let (consumer, other) = (tasks.consumer(), tasks.consumer());
    let id = tasks.expired(h, &consumer).id;
    let current = tasks.lease_one(&other);
    assert!(!consumer.archive(id).unwrap());
    assert!(!consumer.delete(id).unwrap());
    assert!(!consumer.release(id, Duration::ZERO).unwrap());
    assert!(!consumer.retry(id, Duration::ZERO).unwrap());
    assert!(!consumer.dead_letter(id, "why").unwrap());
    assert!(!consumer.extend_visibility(id, DAY).unwrap());
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
    assert!(other.archive(current.id).unwrap());
}

/// Clones of a consumer are the same worker, others made alike are not.
pub fn clones_are_the_same_worker(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.builder().name("twin").build().unwrap();
    let twin = tasks.builder().name("twin").build().unwrap();
    let held = consumer.dequeue().unwrap();
    assert_eq!(consumer.clone().worker(), consumer.worker());
    assert!(!twin.archive(held[0].id).unwrap());
    assert!(consumer.clone().archive(held[0].id).unwrap());
    assert!(consumer.clone().archive(&held[1]).unwrap());
}

/// A receipt is good for its own queue only, though ids are unique in the store.
pub fn a_receipt_of_another_queue_changes_nothing(h: &impl Harness) {
    let (one, two) = (queue(h, "one"), queue(h, "two"));
    one.put(1);
    two.put(1);
    let (consumer, stranger) = (one.consumer(), two.consumer());
    let message = one.lease_one(&consumer);
    two.lease_one(&stranger);
    assert!(!stranger.archive(&message).unwrap());
    assert!(!stranger.delete(&message).unwrap());
    assert!(!stranger.release(&message, Duration::ZERO).unwrap());
    assert!(!stranger.retry(&message, Duration::ZERO).unwrap());
    assert!(!stranger.dead_letter(&message, "why").unwrap());
    assert!(!stranger.extend_visibility(&message, DAY).unwrap());
    for tasks in [&one, &two] {
        assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
    }
    assert!(consumer.archive(&message).unwrap());
}

/// Ids that no message has are not owned by anyone.
pub fn an_unknown_id_changes_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    let unknown = [0, -1, i64::MIN, i64::MAX, message.id + 1, message.id - 1];
    for id in unknown {
        assert!(!consumer.archive(id).unwrap(), "{id}");
    }
    assert_eq!(consumer.archive_many(unknown).unwrap(), [false; 6]);
    assert_eq!(consumer.delete_many(unknown).unwrap(), [false; 6]);
    assert_eq!(
        consumer.extend_visibility_many(unknown, DAY).unwrap(),
        [false; 6]
    );
    let released = consumer.release_many(unknown, Duration::ZERO);
    assert_eq!(released.unwrap(), [false; 6]);
    assert_eq!(
        consumer.dead_letter_many(unknown, "why").unwrap(),
        [false; 6]
    );
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
}

/// The trait itself is fenced: a receipt that names no worker owns nothing.
pub fn a_receipt_without_a_worker_owns_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let message = tasks.lease_one(&tasks.consumer());
    let receipt = Receipt::from(message.id);
    let queue_id = tasks.producer.queue().id;
    let settlement = Settlement {
        receipt,
        outcome: Outcome::Archive,
    };
    let settled = tasks.store.settle(queue_id, &[settlement]);
    assert_eq!(settled.unwrap(), [false]);
    let extended = tasks.store.extend_visibility(queue_id, &[receipt], DAY);
    assert_eq!(extended.unwrap(), [false]);
    assert_eq!(tasks.counts(), Counts { leased: 1, ..NONE });
}

/// Everything that converts into a receipt works as one.
pub fn receipts_come_in_every_form(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(6);
    let consumer = tasks.consumer();
    let held = consumer.dequeue().unwrap();
    let receipt = Receipt::from(&held[0]);
    assert_eq!(receipt.id(), held[0].id);
    assert!(consumer.archive(receipt).unwrap());
    assert!(consumer.archive(&held[1]).unwrap());
    assert!(consumer.archive(held[2].id).unwrap());
    let receipts: Vec<Receipt> = held[3..4].iter().map(Receipt::from).collect();
    assert_eq!(consumer.archive_many(&receipts).unwrap(), [true]);
    assert_eq!(consumer.archive_many(&held[4..5]).unwrap(), [true]);
    assert_eq!(consumer.archive_many([held[5].id].iter()).unwrap(), [true]);
    assert_eq!(
        tasks.counts(),
        Counts {
            archived: 6,
            ..NONE
        }
    );
}
