//! A bare consumer: archives one batch and dequeues the next in one call.

use std::time::Duration;

use pgqrs::{Consumer, Message, StopHandle};

use super::produce::persistently;
use super::{A_MOMENT, Tested, complain, millis};

const BATCH: usize = 10;

pub(crate) fn run(store: &Tested, name: &str, queue: &str, stop: &StopHandle) {
    let work = millis("CHAOS_WORK");
    let make = || Consumer::builder(store.clone(), queue).name(name).build();
    let Some(consumer) = persistently(stop, make) else {
        return;
    };
    let mut held: Vec<Message> = Vec::new();
    while !stop.is_stopped() {
        let next = match held.is_empty() {
            true => consumer.poll(BATCH, Duration::from_millis(100)),
            false => consumer
                .archive_and_dequeue(&held, BATCH)
                .map(|(_, next)| next),
        };
        held = next.unwrap_or_else(|error| {
            complain("archive and dequeue", &error);
            assert!(error.is_transient(), "{error:?}");
            stop.wait_timeout(A_MOMENT);
            Vec::new() // what was held comes back when its lease is over
        });
        stop.wait_timeout(work);
    }
    if let Err(error) = consumer.release_many(&held, Duration::ZERO) {
        complain("release", &error);
    }
}
