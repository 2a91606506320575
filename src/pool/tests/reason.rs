//! What stands with the dead letters.

use std::fmt;

use super::*;

/// Runs the handler on one message that has a single attempt, and returns why it died.
#[track_caller]
fn reason(handler: impl Fn(u32, &Context<'_>) -> Handled + Send + Sync + 'static) -> String {
    let (store, producer) = tasks();
    producer.enqueue(&7).unwrap();
    let pool = pool(store.clone()).retry(RetryPolicy::never());
    let report = run(pool.handle(handler)).unwrap();
    assert_eq!(report.dead_lettered, 1);
    store.dead("tasks").remove(0).1
}

#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad port")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn a_failure_says_why() {
    assert_eq!(reason(|_, _| Err("plain".into())), "plain");
    assert_eq!(reason(|_, _| Err(Failure::retry("told"))), "told");
    assert_eq!(reason(|_, _| Err(Failure::dead_letter("no use"))), "no use");
    let later = |_, _: &Context<'_>| Err(Failure::retry_after(HOUR, "busy"));
    assert_eq!(reason(later), "busy");
}

#[test]
fn an_error_tells_its_causes() {
    let text = reason(|_, _| Ok("x".parse::<u16>().map(drop).map_err(Outer)?));
    assert_eq!(text, "bad port: invalid digit found in string");
}

#[test]
fn a_panic_tells_its_text() {
    let text = "the handler panicked: seven is 7";
    assert_eq!(reason(|number, _| panic!("seven is {number}")), text);
    let odd = reason(|_, _| std::panic::panic_any(7));
    assert_eq!(odd, "the handler panicked: (no text)");
}

#[test]
fn an_undecodable_payload_tells_what_was_expected() {
    let (store, producer) = tasks();
    let id = producer.enqueue("seven").unwrap().id;
    let pool = pool(store.clone()).retry(RetryPolicy::never());
    run(pool.handle(|_: u32, _: &Context<'_>| Ok(()))).unwrap();
    let reason = store.dead("tasks").remove(0).1;
    let begin = format!("the payload of message {id} is not a u32: invalid type: string");
    assert!(reason.starts_with(&begin), "{reason}");
}

#[test]
fn a_missing_answer_of_a_batch_is_told() {
    let (store, producer) = tasks();
    producer.enqueue(&7).unwrap();
    let pool = pool(store.clone()).retry(RetryPolicy::never());
    run(pool.handle_batch(5, |_| Vec::new())).unwrap();
    let reason = store.dead("tasks").remove(0).1;
    assert_eq!(
        reason,
        "the batch handler returned 0 outcomes for 1 messages"
    );
}

#[test]
fn attempts_that_ended_without_a_word_are_told() {
    let (store, producer) = tasks();
    producer.enqueue(&7).unwrap();
    let crashed = consumer(&store);
    for _ in 0..2 {
        assert_eq!(crashed.dequeue().unwrap().len(), 1);
        store.advance(HOUR);
    }
    let pool = pool(store.clone()).retry(RetryPolicy::never().attempts(2));
    run(pool.handle(fine)).unwrap();
    let reason = store.dead("tasks").remove(0).1;
    let begin = "delivered for attempt 3 of 2: the attempt before ended without a word";
    assert!(reason.starts_with(begin), "{reason}");
}

#[test]
fn attempts_that_are_no_longer_allowed_are_told_apart_from_those_that_crashed() {
    let (store, producer) = tasks();
    producer.enqueue(&7).unwrap();
    let consumer = consumer(&store);
    for _ in 0..4 {
        let held = consumer.dequeue().unwrap();
        assert!(consumer.retry(&held[0], Duration::ZERO).unwrap());
    }
    let pool = pool(store.clone()).retry(RetryPolicy::never().attempts(3));
    pool.handle(fine).run_until_empty().unwrap();
    assert_eq!(
        store.dead("tasks").remove(0).1,
        "delivered for attempt 5 of 3: no more are allowed"
    );
}

#[test]
fn a_very_long_reason_is_cut() {
    let text = reason(|_, _| Err(Failure::dead_letter("x".repeat(1 << 20))));
    assert!(text.len() < 11_000 && text.ends_with('…'));
}
