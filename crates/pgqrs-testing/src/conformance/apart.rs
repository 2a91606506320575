//! Messages in one call whose ids lie next to one another or far apart: a store may have
//! another way for each, with the same outcome.

use std::time::Duration;

use super::scene::*;
use crate::Harness;
use pgqrs::{Consumer, Counts, Message, Outcome, Receipt, Result, Settlement, Store};

/// Every how many messages one is taken.
const APART: [usize; 2] = [1, 20];

/// Every operation tells apart what its deliveries still own.
pub fn the_fence_holds_for_neighbours_and_messages_far_apart(h: &impl Harness) {
    fenced(h, "archive", |consumer, late| consumer.archive_many(late));
    fenced(h, "delete", |consumer, late| consumer.delete_many(late));
    fenced(h, "release", |consumer, late| {
        consumer.release_many(late, DAY)
    });
    fenced(h, "retry", |consumer, late| consumer.retry_many(late, DAY));
    fenced(h, "dead_letter", |consumer, late| {
        consumer.dead_letter_many(late, "late")
    });
    fenced(h, "extend", |consumer, late| {
        consumer.extend_visibility_many(late, DAY)
    });
}

/// Acts on three leases that ran out: one message is another's by now, one is its own
/// consumer's again, and one is nobody else's.
fn fenced<H: Harness>(
    h: &H,
    name: &str,
    act: impl Fn(&Consumer<H::Store>, &[Message]) -> Result<Vec<bool>>,
) {
    for apart in APART {
        let tasks = queue(h, &format!("{name}{apart}"));
        tasks.put(3 * apart);
        let (consumer, other) = (tasks.consumer(), tasks.consumer());
        let late = every(apart, consumer.dequeue_many(3 * apart).unwrap());
        h.advance(HOUR);
        let others = other.dequeue_many(apart).unwrap();
        let again = consumer.dequeue_many(apart).unwrap();
        assert_eq!([others[0].id, again[0].id], [late[0].id, late[1].id]);

        let answers = act(&consumer, &late).unwrap();
        assert_eq!(answers, [false, false, true], "{name}, {apart} apart");
        // By the worker alone, a third consumer owns none of them.
        let bare: Vec<Receipt> = late.iter().map(|message| message.id.into()).collect();
        let answers = tasks.consumer().archive_many(bare).unwrap();
        assert_eq!(answers, [false; 3], "{name}, {apart} apart");
        assert_eq!(other.archive_many(&others).unwrap(), vec![true; apart]);
        assert_eq!(consumer.archive_many(&again).unwrap(), vec![true; apart]);
    }
}

/// A dequeue tells each message's own deliveries and attempts.
pub fn neighbours_and_messages_far_apart_come_with_their_own_counts(h: &impl Harness) {
    for apart in APART {
        let tasks = queue(h, &format!("apart{apart}"));
        tasks.put(3 * apart);
        let consumer = tasks.consumer();
        let all = consumer.dequeue_many(3 * apart).unwrap();
        for others in all.chunks(apart).map(|chunk| &chunk[1..]) {
            let archived = consumer.archive_many(others).unwrap();
            assert_eq!(archived, vec![true; apart - 1]);
        }
        // The last one is given back, which is not charged; then leases run out, of one
        // message more each time.
        assert!(consumer.release(&all[2 * apart], Duration::ZERO).unwrap());
        assert_eq!(reads(&tasks.lease_one(&consumer)), (2, 1));
        for count in 1..=2 {
            h.advance(HOUR);
            assert_eq!(consumer.dequeue_many(count).unwrap().len(), count);
        }
        h.advance(HOUR);
        let got = consumer.dequeue().unwrap();
        assert_eq!(payloads(&got), [0, apart, 2 * apart]);
        let counts: Vec<_> = got.iter().map(reads).collect();
        assert_eq!(counts, [(4, 4), (3, 3), (3, 2)]);
    }
}

/// Each settlement is carried out with what stands in it.
pub fn neighbours_and_messages_far_apart_are_settled_each_in_its_own_way(h: &impl Harness) {
    for apart in APART {
        let tasks = queue(h, &format!("apart{apart}"));
        tasks.put(6 * apart);
        let consumer = tasks.consumer();
        let all = consumer.dequeue_many(6 * apart).unwrap();
        let (soon, late) = (&all[apart], &all[0]);
        let release = |delay, charged| Outcome::Release { delay, charged };
        let settlements: Vec<Settlement> = every(apart, all.clone())
            .iter()
            .zip([
                release(2 * HOUR, true),
                release(HOUR, false),
                Outcome::DeadLetter("one".to_owned()),
                Outcome::DeadLetter("another".to_owned()),
                Outcome::Archive,
                Outcome::Delete,
            ])
            .map(|(message, outcome)| Settlement {
                receipt: message.into(),
                outcome,
            })
            .collect();
        let settled = tasks.store.settle(late.queue_id, &settlements);
        assert_eq!(settled.unwrap(), [true; 6]);
        let expected = Counts {
            leased: 6 * (apart as u64 - 1),
            scheduled: 2,
            archived: 1,
            dead: 2,
            ..NONE
        };
        assert_eq!(tasks.counts(), expected);
        consumer.extend_visibility_many(&all, DAY).unwrap();
        h.advance(HOUR);
        let got = tasks.lease_one(&consumer);
        assert_eq!((got.id, reads(&got)), (soon.id, (2, 1)));
        h.advance(HOUR);
        let got = consumer.dequeue().unwrap(); // the other one's lease has run out as well
        assert_eq!(ids(&got), [late.id, soon.id]);
        assert_eq!(reads(&got[0]), (2, 2));
    }
}

/// One message out of `apart`.
fn every(apart: usize, messages: Vec<Message>) -> Vec<Message> {
    messages.into_iter().step_by(apart).collect()
}
