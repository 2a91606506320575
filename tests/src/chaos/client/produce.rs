//! A producer: batches of one to ten errands without a pause worth speaking of.

use std::time::{Duration, Instant, SystemTime};

use pgqrs::{Error, Message, Producer, Result, StopHandle};

use super::book::Book;
use super::record::fate;
use super::{A_MOMENT, Tested, complain, millis};
use crate::chaos::errand::Errand;
use crate::chaos::line::{Fate, Line};

/// One in so many batches is delayed, and one in two has keys.
const DELAYED: u64 = 5;
const KEYED: u64 = 2;
const DELAY: Duration = Duration::from_millis(5);

struct Batch {
    put: u64,
    first: u64,
    count: u64,
    delay: Option<Duration>,
    keyed: bool,
}

pub(crate) fn run(store: &Tested, book: &Book, name: &str, queue: &str, stop: &StopHandle) {
    let pause = millis("CHAOS_PAUSE");
    let Some(producer) = persistently(stop, || Producer::new(store.clone(), queue)) else {
        return;
    };
    let mut first = 0;
    let mut clock = (SystemTime::now(), Instant::now());
    for put in 0.. {
        clock = watch(clock);
        let count = fastrand::u64(1..=10);
        let batch = Batch {
            put,
            first,
            count,
            delay: (put % DELAYED == 1).then_some(DELAY),
            keyed: put % KEYED == 0 && put % DELAYED != 1,
        };
        let errands: Vec<Errand> = (first..first + count)
            .map(|n| Errand::new(queue, name, n))
            .collect();
        first += count;
        if !put_in(&producer, book, &batch, &errands, stop) || stop.wait_timeout(pause) {
            return;
        }
    }
}

/// Says if the time of day has jumped since then.
fn watch((then, since): (SystemTime, Instant)) -> (SystemTime, Instant) {
    const HOUR: f64 = 3_600.0;
    let (time, now) = (SystemTime::now(), Instant::now());
    let passed = match time.duration_since(then) {
        Ok(forward) => forward.as_secs_f64(),
        Err(back) => -back.duration().as_secs_f64(),
    };
    let hours = ((passed - (now - since).as_secs_f64()) / HOUR).round();
    if hours != 0.0 {
        eprintln!("the clock has jumped by {hours} hours");
    }
    (time, now)
}

/// Enqueues a batch. What was certainly not done is tried again; what nobody knows only if it has
/// keys. Returns whether to go on.
fn put_in(
    producer: &Producer<Tested>,
    book: &Book,
    batch: &Batch,
    errands: &[Errand],
    stop: &StopHandle,
) -> bool {
    let Batch { put, keyed, .. } = *batch;
    loop {
        book.write([Line::Putting {
            put,
            keyed,
            first: batch.first,
            count: batch.count,
        }]);
        let error = match enqueue(producer, batch, errands) {
            Ok(messages) => {
                let ids = messages.iter().map(|message| message.id).collect();
                book.write([Line::Put { put, ids }]);
                return true;
            }
            Err(error) => error,
        };
        let fate = fate(&error);
        book.write([Line::NotPut { put, fate }]);
        complain("enqueue", &error);
        assert!(error.is_transient(), "{error:?}");
        if stop.wait_timeout(A_MOMENT) {
            return false;
        }
        if fate == Fate::Unknown && !keyed {
            return true;
        }
    }
}

fn enqueue(producer: &Producer<Tested>, batch: &Batch, errands: &[Errand]) -> Result<Vec<Message>> {
    match batch.delay {
        Some(delay) => producer.batch_enqueue_delayed(errands, delay),
        None if batch.keyed => {
            let with_keys = errands.iter().map(|errand| (errand.key(), errand));
            producer.batch_enqueue_once(with_keys)
        }
        None => producer.batch_enqueue(errands),
    }
}

/// Tries until it succeeds; `None` if it is told to stop before.
pub(crate) fn persistently<T>(
    stop: &StopHandle,
    mut what: impl FnMut() -> Result<T, Error>,
) -> Option<T> {
    loop {
        match what() {
            Ok(value) => return Some(value),
            Err(error) => complain("begin", &error),
        }
        if stop.wait_timeout(A_MOMENT) {
            return None;
        }
    }
}
