//! The side that puts messages in.

mod once;

use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, NewMessage};
use crate::queue::Queue;
use crate::store::{Store, Transactional};

/// Puts messages into one queue.
///
/// Cheap to make and to clone, and usable from many threads at once. A payload is anything
/// that serializes to JSON.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use pgqrs::{MockStore, Producer, Store};
/// # use serde_json::json;
/// # let store = MockStore::new();
/// # store.create_queue("tasks")?;
/// let producer = Producer::new(store, "tasks")?;
/// let first = producer.enqueue(&json!({"action": "send_email"}))?;
/// let others = producer.batch_enqueue(["a", "b", "c"])?;
/// assert!(others.iter().all(|message| message.id > first.id));
/// let later = producer.enqueue_delayed(&json!({"action": "remind"}), Duration::from_secs(300))?;
/// assert_eq!(later.vt - later.enqueued_at, Duration::from_secs(300));
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Producer<S> {
    store: S,
    queue: Queue,
}

impl<S: Store> Producer<S> {
    /// Makes a producer for the queue of this name.
    ///
    /// # Errors
    ///
    /// [`UnknownQueue`](crate::ErrorKind::UnknownQueue) if there is none;
    /// [`Schema`](crate::ErrorKind::Schema) and
    /// [`Unavailable`](crate::ErrorKind::Unavailable) from the store.
    pub fn new(store: S, queue: &str) -> Result<Self> {
        let queue = store.queue(queue)?;
        Ok(Self { store, queue })
    }

    /// Returns the queue.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Stores one message, ready to be dequeued when the call returns.
    ///
    /// # Errors
    ///
    /// [`Payload`](crate::ErrorKind::Payload) if the payload breaks a rule of
    /// [`NewMessage::encode`]; [`UnknownQueue`](crate::ErrorKind::UnknownQueue) if the queue
    /// was deleted; [`Unavailable`](crate::ErrorKind::Unavailable), and
    /// [`FateUnknown`](crate::ErrorKind::FateUnknown) if the message may be stored or not (to
    /// repeat it then, give it a key: [`enqueue_once`](Self::enqueue_once)).
    pub fn enqueue<T: Serialize + ?Sized>(&self, payload: &T) -> Result<Message> {
        self.put_one(payload, None)
    }

    /// Stores messages, all or none, in one transaction, and returns them in input order.
    /// Any number of them, also none.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue); the text names the position of a bad payload.
    pub fn batch_enqueue<T: Serialize>(
        &self,
        payloads: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Message>> {
        self.put(encode(payloads)?, None)
    }

    /// Stores one message that becomes visible after a delay. When it is due it goes ahead
    /// of the backlog. Delays over [`MAX_SPAN`](crate::MAX_SPAN) are cut to it.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue).
    pub fn enqueue_delayed<T: Serialize + ?Sized>(
        &self,
        payload: &T,
        delay: Duration,
    ) -> Result<Message> {
        self.put_one(payload, Some(delay))
    }

    /// Stores messages that become visible after a delay, all or none; see
    /// [`batch_enqueue`](Self::batch_enqueue) and [`enqueue_delayed`](Self::enqueue_delayed).
    ///
    /// # Errors
    ///
    /// As [`batch_enqueue`](Self::batch_enqueue).
    pub fn batch_enqueue_delayed<T: Serialize>(
        &self,
        payloads: impl IntoIterator<Item = T>,
        delay: Duration,
    ) -> Result<Vec<Message>> {
        self.put(encode(payloads)?, Some(delay))
    }

    /// Stores one message as part of the caller's own transaction: it exists if and when
    /// that commits.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue). An error of the database aborts the transaction.
    ///
    /// # Examples
    ///
    /// On PostgreSQL, `tx` is any `postgres::GenericClient`, such as a
    /// `postgres::Transaction`; here it is the in-memory store's:
    ///
    /// ```
    /// # use pgqrs::{MockStore, Producer, Store};
    /// let store = MockStore::new();
    /// store.create_queue("invoices")?;
    /// let producer = Producer::new(store.clone(), "invoices")?;
    ///
    /// let mut tx = store.begin();
    /// producer.enqueue_in(&mut tx, &"invoice 17")?;
    /// assert!(store.ready("invoices").is_empty());
    /// tx.commit();
    /// assert_eq!(store.ready("invoices").len(), 1);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn enqueue_in<Tx, T>(&self, tx: &mut Tx, payload: &T) -> Result<Message>
    where
        Tx: ?Sized,
        T: Serialize + ?Sized,
        S: Transactional<Tx>,
    {
        let message = NewMessage::new(payload)?;
        let stored = self
            .store
            .enqueue_in(tx, self.queue.id, vec![message], None)?;
        only(stored)
    }

    /// Stores messages as part of the caller's own transaction; see
    /// [`enqueue_in`](Self::enqueue_in) and [`batch_enqueue`](Self::batch_enqueue).
    ///
    /// # Errors
    ///
    /// As [`enqueue_in`](Self::enqueue_in).
    pub fn batch_enqueue_in<Tx, T>(
        &self,
        tx: &mut Tx,
        payloads: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Message>>
    where
        Tx: ?Sized,
        T: Serialize,
        S: Transactional<Tx>,
    {
        self.store
            .enqueue_in(tx, self.queue.id, encode(payloads)?, None)
    }

    fn put_one<T: Serialize + ?Sized>(
        &self,
        payload: &T,
        delay: Option<Duration>,
    ) -> Result<Message> {
        only(self.put(vec![NewMessage::new(payload)?], delay)?)
    }

    fn put(&self, messages: Vec<NewMessage>, delay: Option<Duration>) -> Result<Vec<Message>> {
        self.store.enqueue(self.queue.id, messages, delay)
    }
}

fn encode<T: Serialize>(payloads: impl IntoIterator<Item = T>) -> Result<Vec<NewMessage>> {
    payloads
        .into_iter()
        .enumerate()
        .map(|(position, payload)| NewMessage::new(&payload).map_err(|error| error.at(position)))
        .collect()
}

fn only(mut stored: Vec<Message>) -> Result<Message> {
    match (stored.pop(), stored.is_empty()) {
        (Some(message), true) => Ok(message),
        _ => Err(Error::new(
            ErrorKind::Unexpected,
            "the store was given one message and did not return one",
        )),
    }
}
