//! What a pool tells.

use std::time::Duration;

use super::pool_scene::*;
use super::scene::*;
use crate::Harness;
use pgqrs::{Context, Delivery, Error, Events, Failure, Handled};

/// Notes what is said of each message, and that the pool stops.
struct Recorder(Notes<String>);

impl Recorder {
    fn note(&self, what: &str, delivery: &Delivery<'_>, more: &str) {
        let Delivery { queue, attempt, .. } = delivery;
        let text = format!("{queue} {what} {attempt} {more}");
        self.0.note(text.trim_end().to_owned());
    }
}

impl Events for Recorder {
    fn fetched(&self, queue: &str, messages: usize) {
        self.0.note(format!("{queue} fetched {messages}"));
    }
    fn started(&self, delivery: &Delivery<'_>) {
        self.note("started", delivery, "");
    }
    fn finished(&self, delivery: &Delivery<'_>) {
        self.note("finished", delivery, "");
    }
    fn retried(&self, delivery: &Delivery<'_>, wait: Duration, reason: &str) {
        assert_eq!(wait, HOUR);
        self.note("retried", delivery, reason);
    }
    fn given_back(&self, delivery: &Delivery<'_>) {
        self.note("given_back", delivery, "");
    }
    fn dead_lettered(&self, delivery: &Delivery<'_>, reason: &str) {
        self.note("dead_lettered", delivery, reason);
    }
    fn stopping(&self) {
        self.0.note("stopping".to_owned());
    }
}

/// A message's events come in the order in which they happen, with their reasons.
pub fn events_tell_the_life_of_a_message(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let (recorder, events) = notes();
    let run = || {
        let pool = tasks.pool().events(Recorder(recorder.clone()));
        let pool = pool.handle(|_: u32, context: &Context| -> Handled {
            match context.attempt() {
                1 => Err("no".into()),
                2 => Err(Failure::dead_letter("never")),
                _ => Ok(()),
            }
        });
        run(pool).unwrap();
        // The last of them and the stop are told by two threads.
        let (stops, others) = events
            .all()
            .into_iter()
            .partition(|text| text == "stopping");
        let stops: Vec<String> = stops;
        assert_eq!(stops.len(), 1);
        others
    };
    let told: Vec<String> = run();
    assert_eq!(
        told,
        ["tasks fetched 1", "tasks started 1", "tasks retried 1 no"]
    );
    h.advance(HOUR);
    let told = run();
    let end = "tasks dead_lettered 2 never";
    assert_eq!(told, ["tasks fetched 1", "tasks started 2", end]);
}

/// So they do for success, and for what is given back.
pub fn events_tell_of_what_is_done_and_given_back(h: &impl Harness) {
    let tasks = tasks(h);
    for (answer, end) in [(0, "tasks finished 1"), (1, "tasks given_back 1")] {
        tasks.producer.enqueue(&answer).unwrap();
        let (recorder, events) = notes();
        let pool = tasks.pool().events(Recorder(recorder));
        let pool = pool.handle(|answer: u32, _: &Context| match answer {
            0 => Ok(()),
            _ => Err(Failure::give_back(HOUR)),
        });
        run(pool).unwrap();
        let told = events.all();
        let told = told.iter().filter(|text| *text != "stopping");
        assert!(told.eq(["tasks fetched 1", "tasks started 1", end]));
    }
}

/// Panics in all that can be told.
struct Panicking;

impl Events for Panicking {
    fn fetched(&self, _: &str, _: usize) {
        panic!("fetched, on purpose");
    }
    fn started(&self, _: &Delivery<'_>) {
        panic!("started, on purpose");
    }
    fn finished(&self, _: &Delivery<'_>) {
        panic!("finished, on purpose");
    }
    fn retried(&self, _: &Delivery<'_>, _: Duration, _: &str) {
        panic!("retried, on purpose");
    }
    fn given_back(&self, _: &Delivery<'_>) {
        panic!("given_back, on purpose");
    }
    fn dead_lettered(&self, _: &Delivery<'_>, _: &str) {
        panic!("dead_lettered, on purpose");
    }
    fn lease_lost(&self, _: &Delivery<'_>) {
        panic!("lease_lost, on purpose");
    }
    fn renewed(&self, _: usize) {
        panic!("renewed, on purpose");
    }
    fn reconnecting(&self, _: &str, _: &Error, _: Duration) {
        panic!("reconnecting, on purpose");
    }
    fn asleep(&self, _: bool) {
        panic!("asleep, on purpose");
    }
    fn stopping(&self) {
        panic!("stopping, on purpose");
    }
}

/// Who is told and panics harms nothing, and the others are told all the same.
pub fn a_panic_of_those_who_are_told_harms_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(8);
    let (recorder, events) = notes();
    let pool = tasks
        .pool()
        .events(Panicking)
        .events(Recorder(recorder))
        .threads(2);
    let pool = pool.handle(|number: u32, _: &Context| match number % 4 {
        0 => Ok(()),
        1 => Err("no".into()),
        2 => Err(Failure::give_back(HOUR)),
        _ => Err(Failure::dead_letter("never")),
    });
    let report = run(pool).unwrap();
    assert_eq!((report.finished, report.retried), (2, 2));
    assert_eq!((report.given_back, report.dead_lettered), (2, 2));
    let told = events.all();
    let ends = |end: &str| told.iter().filter(|text| text.contains(end)).count();
    assert_eq!(
        (ends("started"), ends("finished"), ends("dead_lettered")),
        (8, 2, 2)
    );
}
