//! The store in memory, for tests: the whole contract, a clock that the test moves, a view
//! of every state, and faults on demand.

mod builder;
mod enqueue;
mod fault;
mod keys;
mod shelf;
mod tx;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

use crate::bell::{Bell, Ringing};
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, NewMessage, Outcome, Receipt, Settlement};
use crate::queue::{Counts, IfNotEmpty, Queue, State};
use crate::settings::Settings;
use crate::store::{Dequeue, Store, Wakeups};

use self::fault::{Faults, answer};
use self::keys::Used;
use self::shelf::Shelf;

pub use self::builder::MockStoreBuilder;
pub use self::fault::Call;
pub use self::tx::MockTransaction;

/// A store in memory, for the tests of programs that use queues.
///
/// It keeps the contract of [`Store`] to the letter (it passes the same suite as
/// [`PgStore`](crate::PgStore)), and forgets everything when its last clone is dropped.
/// Besides, a test can
///
/// - move its clock, which stands still otherwise: [`advance`](Self::advance);
/// - see what is in each state: [`ready`](Self::ready), [`leased`](Self::leased),
///   [`scheduled`](Self::scheduled), [`archived`](Self::archived), [`dead`](Self::dead);
/// - make a call fail: [`fail_next`](Self::fail_next).
///
/// Clones are handles to the same store.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use pgqrs::{Consumer, MockStore, Producer, Store};
///
/// let store = MockStore::new();
/// store.create_queue("tasks")?;
/// Producer::new(store.clone(), "tasks")?.enqueue("work")?;
///
/// let crashed = Consumer::new(store.clone(), "tasks")?;
/// assert_eq!(crashed.dequeue()?.len(), 1);
///
/// store.advance(Duration::from_secs(5)); // the lease runs out
/// let other = Consumer::new(store.clone(), "tasks")?;
/// assert_eq!(other.dequeue()?[0].read_ct, 2);
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[derive(Clone)]
pub struct MockStore {
    settings: Arc<Settings>,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    now: OffsetDateTime,
    queues: BTreeMap<String, Queue>,
    shelves: BTreeMap<i64, Shelf>,
    last_queue: i64,
    last_worker: i64,
    last_message: i64,
    faults: Faults,
    ringing: Ringing,
}

impl MockStore {
    /// Makes an empty store with the default settings; its clock stands at the beginning of
    /// the year 2000.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Settings::default(), builder::FIRST_INSTANT)
    }

    fn with(settings: Settings, now: OffsetDateTime) -> Self {
        Self {
            settings: Arc::new(settings),
            inner: Arc::new(Mutex::new(Inner {
                now,
                queues: BTreeMap::new(),
                shelves: BTreeMap::new(),
                last_queue: 0,
                last_worker: 0,
                last_message: 0,
                faults: Faults::default(),
                ringing: Ringing::default(),
            })),
        }
    }

    /// Returns the time on the store's clock.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.lock().now
    }

    /// Moves the store's clock forward: leases run out, delayed messages come due.
    ///
    /// It stops at the end of the year 9999.
    pub fn advance(&self, by: Duration) {
        let mut inner = self.lock();
        inner.now = inner.after(by);
        inner.ringing.ring_all();
    }

    /// Makes the next call of this sort fail with an error of this kind, once. Several
    /// faults for the same sort of call are used up in order.
    ///
    /// The call has no effect, except with [`ErrorKind::FateUnknown`]: then it is carried
    /// out, and only its answer is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use pgqrs::{Call, Consumer, ErrorKind, MockStore, Producer, Store};
    ///
    /// let store = MockStore::new();
    /// store.create_queue("tasks")?;
    /// Producer::new(store.clone(), "tasks")?.enqueue("work")?;
    /// let consumer = Consumer::new(store.clone(), "tasks")?;
    /// let messages = consumer.dequeue()?;
    ///
    /// store.fail_next(Call::Archive, ErrorKind::Unavailable);
    /// assert!(consumer.archive(&messages[0]).unwrap_err().is_transient());
    /// assert!(consumer.archive(&messages[0])?);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn fail_next(&self, call: Call, kind: ErrorKind) {
        self.lock().faults.add(call, kind);
    }

    /// A panic inside is a defect of this module, and no change is half made by then that
    /// another thread could not live with.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Encodes only to apply the rules: what is kept is the value.
    fn check(&self, messages: &[NewMessage]) -> Result<()> {
        NewMessage::encode_all(messages, self.settings.payload_limit).map(drop)
    }
}

impl Default for MockStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MockStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("MockStore")
            .field("now", &inner.now)
            .field("queues", &inner.queues.keys())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn after(&self, span: Duration) -> OffsetDateTime {
        enqueue::after(self.now, span)
    }

    /// When a settled message is to come again, if it is.
    fn due(&self, settlement: &Settlement) -> OffsetDateTime {
        match settlement.outcome {
            Outcome::Release { delay, .. } => self.after(delay),
            _ => self.now,
        }
    }

    fn queue(&self, name: &str) -> Result<&Queue> {
        Queue::check_name(name)?;
        self.queues.get(name).ok_or_else(|| {
            Error::new(
                ErrorKind::UnknownQueue,
                format!("there is no queue named {name:?}"),
            )
        })
    }

    fn shelf_named(&self, name: &str) -> Option<&Shelf> {
        let queue = self.queues.get(name)?;
        self.shelves.get(&queue.id)
    }

    fn shelf(&mut self, queue_id: i64) -> Result<&mut Shelf> {
        self.shelves.get_mut(&queue_id).ok_or_else(|| {
            Error::new(
                ErrorKind::UnknownQueue,
                format!("there is no queue with id {queue_id}"),
            )
        })
    }

    fn lease(&mut self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        let (now, until) = (self.now, self.after(dequeue.lock_time));
        Ok(self.shelf(dequeue.queue_id)?.lease(dequeue, now, until))
    }

    fn settle(&mut self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        let due: Vec<_> = settlements.iter().map(|s| self.due(s)).collect();
        let Some(shelf) = self.shelves.get_mut(&queue_id) else {
            return Ok(vec![false; settlements.len()]);
        };
        for settlement in settlements {
            shelf.check_free(&settlement.receipt)?;
        }
        let answers = settlements
            .iter()
            .zip(due)
            .map(|(settlement, due)| shelf.settle(settlement, due))
            .collect();
        let back = |s: &Settlement| matches!(s.outcome, Outcome::Release { .. });
        if settlements.iter().any(back) {
            self.ringing.ring(queue_id);
        }
        Ok(answers)
    }
}

impl Store for MockStore {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn create_queue(&self, name: &str) -> Result<Queue> {
        let mut inner = self.lock();
        let fault = inner.faults.take(Call::CreateQueue)?;
        Queue::check_name(name)?;
        if let Some(queue) = inner.queues.get(name) {
            return answer(fault, queue.clone());
        }
        inner.last_queue += 1;
        let queue = Queue {
            id: inner.last_queue,
            name: name.to_owned(),
            created_at: inner.now,
        };
        inner.shelves.insert(queue.id, Shelf::default());
        inner.queues.insert(queue.name.clone(), queue.clone());
        answer(fault, queue)
    }

    fn queue(&self, name: &str) -> Result<Queue> {
        let mut inner = self.lock();
        let fault = inner.faults.take(Call::Queue)?;
        answer(fault, inner.queue(name)?.clone())
    }

    fn queues(&self) -> Result<Vec<Queue>> {
        let mut inner = self.lock();
        let fault = inner.faults.take(Call::Queues)?;
        answer(fault, inner.queues.values().cloned().collect())
    }

    fn delete_queue(&self, name: &str, messages: IfNotEmpty) -> Result<()> {
        let mut inner = self.lock();
        let fault = inner.faults.take(Call::DeleteQueue)?;
        let queue = inner.queue(name)?.clone();
        let shelf = inner.shelf(queue.id)?;
        shelf.check_unlocked(name)?;
        let count = shelf.len();
        if count > 0 && messages == IfNotEmpty::Refuse {
            return Err(Error::new(
                ErrorKind::QueueNotEmpty,
                format!("queue {name:?} still has messages ({count}), and was not deleted"),
            ));
        }
        inner.shelves.remove(&queue.id);
        inner.queues.remove(name);
        answer(fault, ())
    }

    fn purge(&self, name: &str, states: &[State]) -> Result<u64> {
        let mut inner = self.lock();
        let fault = inner.faults.take(Call::Purge)?;
        let (id, now) = (inner.queue(name)?.id, inner.now);
        let shelf = inner.shelf(id)?;
        shelf.check_unlocked(name)?;
        answer(fault, shelf.purge(states, now))
    }

    fn counts(&self, name: &str) -> Result<Counts> {
        let mut inner = self.lock();
        let fault = inner.faults.take(Call::Counts)?;
        let (id, now) = (inner.queue(name)?.id, inner.now);
        let counts = inner.shelf(id)?.counts(now);
        answer(fault, counts)
    }

    fn register_worker(&self, queue_id: i64, _name: &str) -> Result<i64> {
        let mut inner = self.lock();
        let fault = inner.faults.take(Call::RegisterWorker)?;
        inner.shelf(queue_id)?;
        inner.last_worker += 1;
        answer(fault, inner.last_worker)
    }

    fn enqueue(
        &self,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        let mut inner = self.lock();
        let fault = inner.faults.take(Call::Enqueue)?;
        self.check(&messages)?;
        let retention = self.settings.key_retention;
        let new = inner.number(queue_id, messages, delay, retention, &Used::new())?;
        let now = inner.now;
        let shelf = inner.shelf(queue_id)?;
        shelf.put(&new.stored, delay.is_some());
        shelf.keys.remember(new.used, now);
        inner.ringing.ring(queue_id);
        answer(fault, new.answer)
    }

    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        let mut inner = self.lock();
        let fault = inner.faults.take(Call::Dequeue)?;
        dequeue.check()?;
        answer(fault, inner.lease(dequeue)?)
    }

    fn archive_and_dequeue(
        &self,
        receipts: &[Receipt],
        dequeue: &Dequeue,
    ) -> Result<(Vec<bool>, Vec<Message>)> {
        let settlements = Settlement::archive_all(receipts);
        let mut inner = self.lock();
        let fault = match inner.faults.take_for(&settlements)? {
            None => inner.faults.take(Call::Dequeue)?,
            lost => lost,
        };
        dequeue.check()?;
        inner.shelf(dequeue.queue_id)?;
        let archived = inner.settle(dequeue.queue_id, &settlements)?;
        answer(fault, (archived, inner.lease(dequeue)?))
    }

    fn extend_visibility(
        &self,
        queue_id: i64,
        receipts: &[Receipt],
        by: Duration,
    ) -> Result<Vec<bool>> {
        let mut inner = self.lock();
        let fault = inner.faults.take(Call::ExtendVisibility)?;
        let until = inner.after(by);
        let Some(shelf) = inner.shelves.get_mut(&queue_id) else {
            return answer(fault, vec![false; receipts.len()]);
        };
        let answers = receipts.iter().map(|r| shelf.extend(r, until)).collect();
        answer(fault, answers)
    }

    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        let mut inner = self.lock();
        let fault = inner.faults.take_for(settlements)?;
        answer(fault, inner.settle(queue_id, settlements)?)
    }

    /// Everything that can make a message ready rings.
    fn wakeups(&self, bells: Vec<(i64, Bell)>) -> Option<Box<dyn Wakeups>> {
        Some(Box::new(self.lock().ringing.hang_up(bells)))
    }

    fn wakes_consumers(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
