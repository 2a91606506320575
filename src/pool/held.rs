//! The deliveries that a pool holds, from the dequeue to the settlement.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::event::Delivery;
use crate::message::{Message, Receipt};
use crate::queue::Queue;
use crate::span::MAX_SPAN;

/// One message that the pool holds: waiting for a handler, with one, or being settled.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) queue: Arc<Queue>,
    pub(super) id: i64,
    pub(super) attempt: i32,
    /// The newest delivery: where a lease ran out and the pool dequeued the message again, it
    /// goes on under the new one.
    receipt: Mutex<Receipt>,
    /// Until when the lease holds for certain: microseconds of this process's clock.
    until: AtomicU64,
    lost: AtomicBool,
    /// By its handler.
    settled: AtomicBool,
    /// Whether it was told what became of it.
    accounted: AtomicBool,
    began: Instant,
}

impl Held {
    /// `since`: a moment before the lease began.
    pub(super) fn new(
        queue: &Arc<Queue>,
        message: &Message,
        since: Instant,
        lock_time: Duration,
    ) -> Self {
        Self {
            queue: Arc::clone(queue),
            id: message.id,
            attempt: message.attempt,
            receipt: Mutex::new(Receipt::from(message)),
            until: AtomicU64::new(micros(lock_time)),
            lost: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            accounted: AtomicBool::new(false),
            began: since,
        }
    }

    pub(super) fn delivery(&self) -> Delivery<'_> {
        Delivery::new(&self.queue.name, self.id, self.attempt)
    }

    pub(super) fn receipt(&self) -> Receipt {
        *self.receipt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the delivery before this one was ours, and did not run out: then we released
    /// it, and are about to note that. This one is to be started like any other.
    fn was_released_before(&self, message: &Message) -> bool {
        !message.lapsed && self.receipt().read_ct() == message.read_ct.checked_sub(1)
    }

    /// Takes over a newer delivery of the same message.
    fn adopt(&self, message: &Message) {
        *self.receipt.lock().unwrap_or_else(PoisonError::into_inner) = Receipt::from(message);
        self.lost.store(false, Ordering::SeqCst);
    }

    /// Until when the lease holds for certain.
    pub(super) fn until(&self) -> Instant {
        self.began + Duration::from_micros(self.until.load(Ordering::SeqCst))
    }

    /// Notes that the lease, at `since` or later, was given this long.
    pub(super) fn extended(&self, since: Instant, by: Duration) {
        let until = since.saturating_duration_since(self.began) + by.min(MAX_SPAN);
        self.until.fetch_max(micros(until), Ordering::SeqCst);
    }

    /// Notes that somebody else has it; returns whether that is news.
    pub(super) fn lose(&self) -> bool {
        !self.lost.swap(true, Ordering::SeqCst)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Notes that its handler has settled it.
    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::SeqCst)
    }

    /// Whether it is still to be told what became of it; asked once.
    pub(super) fn account(&self) -> bool {
        !self.accounted.swap(true, Ordering::SeqCst)
    }

    /// Whether nobody else can have it at this moment.
    pub(super) fn is_safe(&self) -> bool {
        !self.is_lost() && Instant::now() < self.until()
    }
}

/// A message on its way to a handler.
pub(super) type Job = (Arc<Held>, Message);

/// Instants end somewhere; a lease of a hundred years is as good as one of a thousand.
fn micros(span: Duration) -> u64 {
    const CENTURY: Duration = Duration::from_secs(3_155_760_000);
    u64::try_from(span.min(CENTURY).as_micros()).unwrap_or(u64::MAX)
}

/// All that the pool holds, by id.
#[derive(Debug, Default)]
pub(super) struct Holding(Mutex<HashMap<i64, Arc<Held>>>);

/// What became of a message that was to be taken in.
pub(super) enum Taken {
    /// It is new.
    New(Arc<Held>),
    /// The pool holds it already: it goes on with the handler that it has.
    Again(Arc<Held>),
}

impl Holding {
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Takes a delivery in. A message that the pool holds already (its lease ran out, while
    /// the store could not be reached) is not to be started a second time.
    pub(super) fn take(
        &self,
        queue: &Arc<Queue>,
        message: &Message,
        since: Instant,
        lock_time: Duration,
    ) -> Taken {
        let mut all = self.lock();
        if let Some(held) = all.get(&message.id)
            && !held.was_released_before(message)
        {
            held.adopt(message);
            held.extended(since, lock_time);
            return Taken::Again(Arc::clone(held));
        }
        let held = Arc::new(Held::new(queue, message, since, lock_time));
        all.insert(message.id, Arc::clone(&held));
        Taken::New(held)
    }

    /// Lets go of what was settled; not of a message that came again meanwhile.
    pub(super) fn remove<'a>(&self, settled: impl Iterator<Item = &'a Arc<Held>>) {
        let mut all = self.lock();
        for held in settled {
            if all.get(&held.id).is_some_and(|now| Arc::ptr_eq(now, held)) {
                all.remove(&held.id);
            }
        }
    }

    /// Lets go of everything, and returns of how much nobody has told what became of it.
    pub(super) fn abandon(&self) -> usize {
        let mut all = self.lock();
        all.drain().filter(|(_, held)| held.account()).count()
    }

    /// Those whose lease ends before `moment`.
    pub(super) fn ending_before(&self, moment: Instant) -> Vec<Arc<Held>> {
        let all = self.lock();
        let ending = |held: &&Arc<Held>| !held.is_lost() && held.until() < moment;
        all.values().filter(ending).map(Arc::clone).collect()
    }

    /// As if this time had passed, for all of them.
    #[cfg(test)]
    pub(super) fn age(&self, by: Duration) {
        for held in self.lock().values() {
            let until = held.until.load(Ordering::SeqCst);
            held.until
                .store(until.saturating_sub(micros(by)), Ordering::SeqCst);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Arc<Held>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use time::OffsetDateTime;

    const HOUR: Duration = Duration::from_secs(3600);

    fn queue() -> Arc<Queue> {
        Arc::new(Queue {
            id: 1,
            name: "tasks".to_owned(),
            created_at: OffsetDateTime::UNIX_EPOCH,
        })
    }

    fn delivery(read_ct: i32, lapsed: bool) -> Message {
        Message {
            id: 1,
            queue_id: 1,
            payload: Value::Null,
            enqueued_at: OffsetDateTime::UNIX_EPOCH,
            vt: OffsetDateTime::UNIX_EPOCH,
            read_ct,
            attempt: read_ct,
            lapsed,
            worker: Some(1),
        }
    }

    fn held(lock_time: Duration) -> Held {
        Held::new(&queue(), &delivery(1, false), Instant::now(), lock_time)
    }

    #[test]
    fn each_delivery_is_accounted_for_once() {
        let holding = Holding::default();
        let now = Instant::now();
        let mut all = Vec::new();
        for id in 1..=3 {
            let message = Message {
                id,
                ..delivery(1, false)
            };
            match holding.take(&queue(), &message, now, HOUR) {
                Taken::New(held) => all.push(held),
                Taken::Again(_) => panic!("message {id} is new"),
            }
        }
        assert!(all[0].account());
        assert_eq!(holding.abandon(), 2);
        assert!(all.iter().all(|held| !held.account()), "too late");
        assert_eq!((holding.len(), holding.abandon()), (0, 0));
    }

    #[test]
    fn a_lease_that_is_lost_is_not_safe_whatever_its_time() {
        let held = held(HOUR);
        assert!(held.is_safe());
        assert!(held.lose() && !held.lose());
        assert!(!held.is_safe());
    }

    #[test]
    fn a_lease_is_safe_until_its_end_and_never_made_shorter() {
        let held = held(Duration::ZERO);
        assert!(!held.is_safe());
        held.extended(Instant::now(), Duration::MAX);
        held.extended(Instant::now(), Duration::ZERO);
        assert!(held.is_safe());
    }

    /// Takes the first delivery of a message for `lock_time`, and another one for an hour.
    fn taken_twice(lock_time: Duration, another: &Message) -> (Arc<Held>, Taken) {
        let holding = Holding::default();
        let first = delivery(1, false);
        let Taken::New(held) = holding.take(&queue(), &first, Instant::now(), lock_time) else {
            panic!("it is new");
        };
        held.lose();
        let again = holding.take(&queue(), another, Instant::now(), HOUR);
        assert_eq!(holding.len(), 1);
        (held, again)
    }

    #[test]
    fn a_message_that_lapsed_goes_on_under_its_new_lease() {
        // The second one was released by somebody who had it in between.
        for another in [delivery(2, true), delivery(3, false)] {
            let (held, again) = taken_twice(Duration::ZERO, &another);
            assert!(matches!(again, Taken::Again(same) if Arc::ptr_eq(&same, &held)));
            assert_eq!(held.receipt(), Receipt::from(&another));
            assert!(held.is_safe());
        }
    }

    #[test]
    fn a_message_that_was_released_is_new() {
        let (held, again) = taken_twice(HOUR, &delivery(2, false));
        assert!(matches!(again, Taken::New(_)) && held.is_lost());
    }
}
