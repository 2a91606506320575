//! How long it takes from an enqueue to the start of the handler.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Result;

/// Sent before the ones that count: connections are made and statements planned by then.
const WARM_UP: usize = 20;
/// One message this often.
const PACE: Duration = Duration::from_millis(5);
/// Longer than any queue sleeps.
const LONGEST: Duration = Duration::from_secs(60);

/// When messages were sent, and when their handlers began. They carry their number.
#[derive(Debug)]
pub(crate) struct Moments {
    count: usize,
    sent: Mutex<Vec<Instant>>,
    begun: Mutex<Vec<Option<Instant>>>,
}

impl Moments {
    pub(crate) fn new(count: usize) -> Self {
        let count = count + WARM_UP;
        Self {
            count,
            sent: Mutex::new(Vec::with_capacity(count)),
            begun: Mutex::new(vec![None; count]),
        }
    }

    /// The handler of this message begins.
    pub(crate) fn begins(&self, payload: &Value) {
        let number = payload["n"]
            .as_u64()
            .and_then(|number| usize::try_from(number).ok());
        if let Some(number) = number {
            self.begins_number(number);
        }
    }

    pub(crate) fn begins_number(&self, number: usize) {
        let now = Instant::now();
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(moment) = begun.get_mut(number) {
            moment.get_or_insert(now);
        }
    }

    pub(crate) fn all_begun(&self) -> bool {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.iter().all(Option::is_some)
    }

    /// Sends all messages at their pace, and waits until the last one has begun.
    pub(crate) fn send(&self, mut enqueue: impl FnMut(usize, &Value) -> Result<()>) -> Result<()> {
        let mut next = Instant::now();
        for number in 0..self.count {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            next += PACE;
            let payload = json!({ "n": number, "p": "a message of fifty bytes or so" });
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.push(Instant::now());
            drop(sent);
            enqueue(number, &payload)?;
        }
        let began = Instant::now();
        while !self.all_begun() {
            if began.elapsed() > LONGEST {
                return Err("not all messages were begun within a minute".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// In milliseconds, sorted, without those of the warm-up.
    pub(crate) fn times(&self) -> Vec<f64> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let took = |(sent, begun): (&Instant, &Option<Instant>)| {
            begun.map(|begun| begun.saturating_duration_since(*sent).as_secs_f64() * 1e3)
        };
        let mut times: Vec<f64> = sent
            .iter()
            .zip(&*begun)
            .skip(WARM_UP)
            .filter_map(took)
            .collect();
        times.sort_by(f64::total_cmp);
        times
    }
}
