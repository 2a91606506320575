//! What becomes of a message that a pool's handler was given.

use std::error::Error as StdError;
use std::io;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use super::pool_scene::*;
use super::scene::*;
use crate::Harness;
use pgqrs::{Context, Counts, Failure, Handled, Message, RetryPolicy};

/// Success archives the message.
pub fn what_a_handler_finished_is_archived(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(10);
    let report = run(tasks.pool().handle(fine)).unwrap();
    assert_eq!(
        (report.fetched, report.started, report.finished),
        (10, 10, 10)
    );
    let archived = 10;
    assert_eq!(tasks.counts(), Counts { archived, ..NONE });
}

/// A pool can delete instead.
pub fn what_a_handler_finished_is_deleted_if_told_so(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(10);
    let pool = tasks.pool().delete_when_done().handle(fine);
    assert_eq!(run(pool).unwrap().finished, 10);
    assert_eq!(tasks.counts(), NONE);
}

/// A handler takes any type that the payload deserializes to.
pub fn a_handler_takes_a_type_of_its_own(h: &impl Harness) {
    struct Order {
        pieces: u32,
    }
    impl<'de> Deserialize<'de> for Order {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let (pieces,) = Deserialize::deserialize(from)?;
            Ok(Order { pieces })
        }
    }
    let tasks = tasks(h);
    tasks.producer.enqueue(&json!([3])).unwrap();
    let (seen, orders) = notes();
    let pool = tasks.pool().handle(move |order: Order, _: &Context| {
        seen.note(order.pieces);
        Ok(())
    });
    run(pool).unwrap();
    assert_eq!(orders.all(), [3]);
}

/// Or the message itself, as a dequeue gives it.
pub fn a_handler_takes_the_message_itself(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = tasks.producer.enqueue(&json!({"a": [1, null]})).unwrap();
    let (seen, messages) = notes();
    let pool = tasks.pool().handle(move |message: Message, _: &Context| {
        seen.note(message);
        Ok(())
    });
    run(pool).unwrap();
    let got = only(messages.all());
    assert_eq!((got.id, &got.payload), (sent.id, &sent.payload));
    assert_eq!((reads(&got), got.lapsed), ((1, 1), false));
}

/// A failure comes again when the policy says, as the next attempt.
pub fn a_failure_is_retried_after_the_wait_of_the_policy(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let (seen, attempts) = notes();
    let run = || {
        let seen = seen.clone();
        let pool = tasks.pool().handle(move |_: Message, context: &Context| {
            seen.note(context.attempt());
            match context.attempt() {
                1 => Err("not yet".into()),
                _ => Ok(()),
            }
        });
        run(pool).unwrap()
    };
    assert_eq!(run().retried, 1);
    let scheduled = 1;
    assert_eq!(tasks.counts(), Counts { scheduled, ..NONE });
    h.advance(HOUR - MINUTE);
    assert_eq!(run().fetched, 0);
    h.advance(MINUTE);
    assert_eq!(run().finished, 1);
    assert_eq!(attempts.all(), [1, 2]);
}

/// A handler can say when: the attempt counts as any other.
pub fn a_handler_may_say_when_to_retry(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let run = || {
        let pool = tasks.pool().retry(RetryPolicy::fixed(MINUTE).attempts(2));
        let pool = pool.handle(|_: Message, _: &Context| -> Handled {
            Err(Failure::retry_after(HOUR, "busy"))
        });
        run(pool).unwrap()
    };
    assert_eq!(run().retried, 1);
    h.advance(HOUR - MINUTE);
    assert_eq!(run().fetched, 0);
    h.advance(MINUTE);
    assert_eq!(run().dead_lettered, 1);
    assert_eq!(tasks.counts(), Counts { dead: 1, ..NONE });
}

/// What is given back was not tried: the attempt does not count, however often.
pub fn what_a_handler_gives_back_is_not_charged(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    for _ in 0..3 {
        let pool = tasks.pool().retry(RetryPolicy::never());
        let pool =
            pool.handle(|_: Message, _: &Context| -> Handled { Err(Failure::give_back(HOUR)) });
        assert_eq!(run(pool).unwrap().given_back, 1);
        let scheduled = 1;
        assert_eq!(tasks.counts(), Counts { scheduled, ..NONE });
        h.advance(HOUR);
    }
    assert_eq!(reads(&only(tasks.drain())), (4, 1));
}

/// A handler can give a message up, whatever attempts are left.
pub fn a_handler_may_give_a_message_up(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let pool = tasks.pool().handle(|_: Message, _: &Context| -> Handled {
        Err(Failure::dead_letter("not an address"))
    });
    let report = run(pool).unwrap();
    assert_eq!((report.started, report.dead_lettered), (1, 1));
    assert_eq!(tasks.counts(), Counts { dead: 1, ..NONE });
}

/// The failure of the last attempt is the end; its handler could know.
pub fn the_last_failure_goes_to_the_dead_letters(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let (seen, attempts) = notes();
    let policy = RetryPolicy::fixed(Duration::ZERO).attempts(3);
    let pool = tasks.pool().retry(policy);
    let pool = pool.handle(move |_: Message, context: &Context| -> Handled {
        seen.note((context.attempt(), context.is_last_attempt()));
        Err("no".into())
    });
    let report = run(pool).unwrap();
    assert_eq!(attempts.all(), [(1, false), (2, false), (3, true)]);
    assert_eq!((report.retried, report.dead_lettered), (2, 1));
    assert_eq!(tasks.counts(), Counts { dead: 1, ..NONE });
}

/// Any error is a failure, and `?` makes it one.
pub fn any_error_is_a_failure(h: &impl Harness) {
    fn fails(number: u32) -> Handled {
        match number {
            0 => drop("many".parse::<u32>()?),
            1 => Err(io::Error::other("disk full"))?,
            2 => Err("text")?,
            3 => Err(String::from("owned text"))?,
            4 => Err(Box::<dyn StdError + Send + Sync>::from("boxed"))?,
            5 => Err(pgqrs::Error::new(pgqrs::ErrorKind::Invalid, "ours"))?,
            _ => {}
        }
        Ok(())
    }
    let tasks = tasks(h);
    tasks.put(7);
    let pool = tasks
        .pool()
        .handle(|number: u32, _: &Context| fails(number));
    let report = run(pool).unwrap();
    assert_eq!((report.retried, report.finished), (6, 1));
}

/// A panic is a failure of its message; the threads go on with the others.
pub fn a_panic_is_a_failure_like_any_other(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(20);
    let pool = tasks.pool().threads(2).handle(|number: u32, _: &Context| {
        assert!(number.is_multiple_of(2), "odd, on purpose");
        Ok(())
    });
    let report = run(pool).unwrap();
    assert_eq!(
        (report.started, report.finished, report.retried),
        (20, 10, 10)
    );
    let (archived, scheduled) = (10, 10);
    assert_eq!(
        tasks.counts(),
        Counts {
            archived,
            scheduled,
            ..NONE
        }
    );
}

/// A payload of another type is a failure of its message: retried by the policy, then dead.
pub fn an_undecodable_payload_is_a_failure_like_any_other(h: &impl Harness) {
    let tasks = tasks(h);
    tasks
        .producer
        .batch_enqueue([json!("text"), json!(1)])
        .unwrap();
    let policy = RetryPolicy::fixed(Duration::ZERO).attempts(3);
    let pool = tasks.pool().retry(policy);
    let pool = pool.handle(|_: u32, _: &Context| Ok(()));
    let report = run(pool).unwrap();
    assert_eq!(
        (report.finished, report.retried, report.dead_lettered),
        (1, 2, 1)
    );
    let (archived, dead) = (1, 1);
    assert_eq!(
        tasks.counts(),
        Counts {
            archived,
            dead,
            ..NONE
        }
    );
}

/// A handler is told which delivery it works on.
pub fn a_context_knows_its_delivery(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = only(tasks.put(1));
    let (seen, contexts) = notes();
    let pool = tasks
        .pool()
        .handle(move |message: Message, context: &Context| {
            assert!(context.deadline() > Instant::now() + HOUR / 2);
            assert!(context.deadline() < Instant::now() + 2 * HOUR);
            assert!(!context.is_stopping() && !context.is_lost() && !context.is_last_attempt());
            assert_eq!(context.queue().id, message.queue_id);
            seen.note((
                context.id(),
                context.queue().name.clone(),
                context.attempt(),
            ));
            Ok(())
        });
    assert_eq!(run(pool).unwrap().finished, 1);
    assert_eq!(contexts.all(), [(sent.id, "tasks".to_owned(), 1)]);
}

/// A handler can extend its lease beyond the lock time.
pub fn a_context_extends_its_lease(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let (seen, extended) = notes();
    let gate = Gate::default();
    let at_gate = gate.clone();
    let pool = tasks.pool().threads(1).prefetch(0);
    let pool = pool.handle(move |_: Message, context: &Context| {
        assert!(context.extend(DAY)?);
        seen.note(context.deadline());
        at_gate.pass();
        Ok(())
    });
    let pool = pool.start().unwrap();
    assert!(extended.next() > Instant::now() + HOUR);
    h.advance(2 * HOUR);
    assert_eq!(tasks.drain(), []);
    gate.open();
    wait(&pool, |seen| seen.finished == 1);
}

/// A context that could not extend its lease knows that it is lost.
pub fn a_context_learns_that_its_lease_is_lost(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let (begins, begun) = notes();
    let (answers, answered) = notes();
    let gate = Gate::default();
    let at_gate = gate.clone();
    let pool = tasks.pool().threads(1).prefetch(0);
    let pool = pool.handle(move |_: Message, context: &Context| {
        begins.note(());
        at_gate.pass();
        let before = context.is_lost();
        answers.note((before, context.extend(DAY)?, context.is_lost()));
        Ok(())
    });
    let pool = pool.start().unwrap();
    begun.next();
    h.advance(HOUR);
    let thief = tasks.consumer();
    assert_eq!(thief.dequeue_many(1).unwrap().len(), 1);
    gate.open();
    assert_eq!(answered.next(), (false, false, true));
    wait(&pool, |seen| seen.lost == 1);
}
