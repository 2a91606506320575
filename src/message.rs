//! Messages, and the types that one has on its way:
//!
//! ```text
//! T: Serialize ─▶ NewMessage ─enqueue─▶ [ready] ─dequeue─▶ Message ─▶ Receipt + Outcome = Settlement
//!                                          ▲                                  │
//!                                          └── lease over · release · retry ──┴─▶ [archived] [dead] (deleted)
//! ```

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use time::OffsetDateTime;

use crate::error::{Error, ErrorKind, Result};

/// How deep a payload's arrays and objects may nest: what `serde_json` reads back.
const MAX_DEPTH: usize = 127;

/// How many bytes a key has at most: names and numbers, with room for a hash or two. An index
/// holds them all.
const MAX_KEY: usize = 255;

/// A message as a store gives it out: by `enqueue`, and with a lease by `dequeue`.
///
/// All times are UTC, by the store's clock, in whole microseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its id, unique in the store; later messages have higher ones, gaps are normal.
    pub id: i64,
    /// The queue it is in.
    pub queue_id: i64,
    /// What the producer put in.
    pub payload: Value,
    /// When it was enqueued.
    pub enqueued_at: OffsetDateTime,
    /// When it becomes visible: the end of the lease, or when a delayed message is due.
    pub vt: OffsetDateTime,
    /// How often it was dequeued, this time included; never goes down.
    pub read_ct: i32,
    /// How often it was dequeued to be worked on: as `read_ct`, less the deliveries that
    /// were [released](crate::Consumer::release) unstarted. What retries are counted by.
    pub attempt: i32,
    /// Whether the delivery before this one ended by its lease running out: its consumer
    /// crashed, or was too slow. Always `false` but on a message out of a dequeue.
    pub lapsed: bool,
    /// Who holds the lease; `None` on a message that nobody has dequeued.
    pub worker: Option<i64>,
}

impl Message {
    /// Returns the payload as a type of your own.
    ///
    /// # Errors
    ///
    /// [`Payload`](ErrorKind::Payload) if the payload is not such a `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::{MockStore, Producer, Store};
    /// #[derive(serde::Deserialize)]
    /// struct Order { pieces: u32 }
    ///
    /// # let store = MockStore::new();
    /// # store.create_queue("orders")?;
    /// let message = Producer::new(store, "orders")?.enqueue(&serde_json::json!({"pieces": 3}))?;
    /// assert_eq!(message.json::<Order>()?.pieces, 3);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.payload).map_err(|error| {
            let text = format!(
                "the payload of message {} is not a {}: {error}",
                self.id,
                std::any::type_name::<T>()
            );
            Error::new(ErrorKind::Payload, text).because(error)
        })
    }
}

/// A message on its way into a store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMessage {
    payload: Value,
    key: Option<String>,
}

impl NewMessage {
    /// Makes a message of anything that serializes to JSON.
    ///
    /// # Errors
    ///
    /// [`Payload`](ErrorKind::Payload) if it does not, for example a map whose keys are
    /// not strings.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use pgqrs::{ErrorKind, NewMessage};
    ///
    /// assert!(NewMessage::new(&("send_email", 7)).is_ok());
    /// let error = NewMessage::new(&HashMap::from([((1, 2), 3)])).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Payload);
    /// ```
    pub fn new<T: Serialize + ?Sized>(payload: &T) -> Result<Self> {
        match serde_json::to_value(payload) {
            Ok(payload) => Ok(Self { payload, key: None }),
            Err(error) => {
                let text = format!(
                    "a {} does not serialize to JSON: {error}",
                    std::any::type_name::<T>()
                );
                Err(Error::new(ErrorKind::Payload, text).because(error))
            }
        }
    }

    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &Value {
        &self.payload
    }

    /// Returns the payload, by value.
    #[must_use]
    pub fn into_payload(self) -> Value {
        self.payload
    }

    /// Gives the message a key, by which a queue tells that it has stored it already: an enqueue
    /// can then be repeated, and stores the message once.
    ///
    /// A key stands for one message of its queue, for [`key_retention`](crate::Settings::key_retention)
    /// after the enqueue that stored it (a day, by default; the setting of the store that did is
    /// what counts). Until then an enqueue with the same
    /// key stores nothing, whatever its payload is, and whatever has become of the message: it may
    /// be archived, deleted or purged by now. Its answer is that of the first one: the same id and
    /// `enqueued_at`; `vt` is later by the delay, and the payload the one given. After that time
    /// the key is free again, and when its queue is deleted. The same key twice in a batch is a
    /// repeat as well.
    ///
    /// Take what names the event: an order's number, a request's id; or, where there is nothing
    /// of the sort, a random one that is made before the first try.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the key is not of 1 to 255 bytes, or has the character
    /// `\u0000` in it (PostgreSQL's text has no place for it).
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::{MockStore, NewMessage, Store};
    /// let store = MockStore::new();
    /// let queue = store.create_queue("invoices")?;
    /// let invoice = || NewMessage::new("invoice 17")?.with_key("order 17");
    ///
    /// let first = store.enqueue(queue.id, vec![invoice()?], None)?;
    /// let again = store.enqueue(queue.id, vec![invoice()?], None)?;
    /// assert_eq!(again, first);
    /// assert_eq!(store.counts("invoices")?.ready, 1);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn with_key(self, key: impl Into<String>) -> Result<Self> {
        let key = key.into();
        check_key(&key)?;
        Ok(Self {
            key: Some(key),
            ..self
        })
    }

    /// Returns the key, if there is one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The message as it stands in a store when it was put there, and nobody has had it.
    pub(crate) fn stored(
        self,
        queue_id: i64,
        id: i64,
        enqueued_at: OffsetDateTime,
        vt: OffsetDateTime,
    ) -> Message {
        Message {
            id,
            queue_id,
            payload: self.payload,
            enqueued_at,
            vt,
            read_ct: 0,
            attempt: 0,
            lapsed: false,
            worker: None,
        }
    }

    /// Returns the payload as JSON text, checked against the rules of every store: at most
    /// `limit` bytes of text, no `\u0000` in a string (PostgreSQL's text has no place for it), arrays
    /// and objects at most 127 deep (what `serde_json` reads back).
    ///
    /// # Errors
    ///
    /// [`Payload`](ErrorKind::Payload), naming the rule and what broke it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::NewMessage;
    /// assert_eq!(NewMessage::new(&[1, 2])?.encode(5)?, "[1,2]");
    /// assert!(NewMessage::new(&[1, 2])?.encode(4).is_err());
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn encode(&self, limit: usize) -> Result<String> {
        let refused = |text: String| Err(Error::new(ErrorKind::Payload, text));
        if deeper_than(&self.payload, MAX_DEPTH) {
            return refused(format!(
                "the payload nests deeper than the {MAX_DEPTH} arrays and objects allowed"
            ));
        }
        let text = self.payload.to_string();
        if text.len() > limit {
            return refused(format!(
                "the payload has {} bytes of JSON text, over the limit of {limit}",
                text.len()
            ));
        }
        // The search of the text is quick and says "maybe": a backslash may stand before it.
        if text.contains("\\u0000") && has_nul(&self.payload) {
            return refused(
                "the payload has the character \\u0000 in a string, which no text in PostgreSQL can have"
                    .to_owned(),
            );
        }
        Ok(text)
    }

    /// Returns the payloads of a batch as [`encode`](Self::encode) does each: what a
    /// [`Store`](crate::Store) does first with the messages it is given.
    ///
    /// # Errors
    ///
    /// [`Payload`](ErrorKind::Payload); in a batch of several, the text begins with the
    /// position of the bad one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::NewMessage;
    /// # use serde_json::json;
    /// let batch = [NewMessage::from(json!(1)), NewMessage::from(json!("long"))];
    /// assert_eq!(NewMessage::encode_all(&batch, 6)?, ["1", "\"long\""]);
    /// let error = NewMessage::encode_all(&batch, 5).unwrap_err();
    /// assert!(error.to_string().starts_with("element 1 of the batch: "));
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn encode_all(batch: &[Self], limit: usize) -> Result<Vec<String>> {
        batch
            .iter()
            .enumerate()
            .map(|(position, message)| {
                let text = message.encode(limit);
                match batch.len() {
                    1 => text,
                    _ => text.map_err(|error| error.at(position)),
                }
            })
            .collect()
    }
}

impl From<Value> for NewMessage {
    fn from(payload: Value) -> Self {
        Self { payload, key: None }
    }
}

fn check_key(key: &str) -> Result<()> {
    // What is too long is not told in full.
    let shown: String = key.chars().take(40).collect();
    if !(1..=MAX_KEY).contains(&key.len()) {
        return Err(Error::invalid(format!(
            "the key {shown:?} has {} bytes, which is not in 1..={MAX_KEY}",
            key.len()
        )));
    }
    if key.contains('\0') {
        return Err(Error::invalid(format!(
            "the key {shown:?} has the character \\u0000, which no text in PostgreSQL can have"
        )));
    }
    Ok(())
}

fn deeper_than(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth == 0 || items.iter().any(|item| deeper_than(item, depth - 1)),
        Value::Object(fields) => {
            depth == 0 || fields.values().any(|field| deeper_than(field, depth - 1))
        }
        _ => false,
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, field)| name.contains('\0') || has_nul(field)),
        _ => false,
    }
}

/// Names one delivery of a message: the fence of everything done after a dequeue.
///
/// A delivery is (id, worker, `read_ct`). A receipt changes a message only while that very
/// delivery still owns it: once the lease has run out *and* somebody has dequeued the
/// message again, it changes nothing.
///
/// It comes `From<&Message>`. A bare id converts as well and stands for "whichever
/// delivery of this message the consumer holds": fenced against other consumers, but not
/// against an earlier delivery to the same one.
///
/// # Examples
///
/// ```
/// # use pgqrs::{Consumer, MockStore, Producer, Store};
/// # let store = MockStore::new();
/// # store.create_queue("tasks")?;
/// # Producer::new(store.clone(), "tasks")?.batch_enqueue([1, 2])?;
/// let consumer = Consumer::new(store, "tasks")?;
/// let messages = consumer.dequeue()?;
/// assert!(consumer.archive(&messages[0])?); // this delivery
/// assert!(consumer.archive(messages[1].id)?); // this consumer's delivery
/// assert!(!consumer.archive(&messages[0])?); // settled before
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    id: i64,
    worker: Option<i64>,
    read_ct: Option<i32>,
}

impl Receipt {
    /// Returns the message's id.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Returns the worker that the delivery went to; `None` owns nothing.
    #[must_use]
    pub fn worker(&self) -> Option<i64> {
        self.worker
    }

    /// Returns the delivery's `read_ct`; `None` stands for any delivery to that worker.
    #[must_use]
    pub fn read_ct(&self) -> Option<i32> {
        self.read_ct
    }

    /// Whether this receipt owns a message that was last given to `worker` as delivery
    /// `read_ct`: the rule of the fence, for stores.
    #[must_use]
    pub fn owns(&self, worker: Option<i64>, read_ct: i32) -> bool {
        worker.is_some()
            && self.worker == worker
            && self.read_ct.is_none_or(|expected| expected == read_ct)
    }

    /// Fills in the worker of a receipt that came from a bare id.
    pub(crate) fn held_by(self, worker: i64) -> Self {
        match self.read_ct {
            None => Self {
                worker: self.worker.or(Some(worker)),
                ..self
            },
            Some(_) => self,
        }
    }
}

impl From<&Message> for Receipt {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id,
            worker: message.worker,
            read_ct: Some(message.read_ct),
        }
    }
}

impl From<i64> for Receipt {
    fn from(id: i64) -> Self {
        Self {
            id,
            worker: None,
            read_ct: None,
        }
    }
}

impl From<&i64> for Receipt {
    fn from(id: &i64) -> Self {
        Self::from(*id)
    }
}

impl From<&Receipt> for Receipt {
    fn from(receipt: &Receipt) -> Self {
        *receipt
    }
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and kept.
    Archive,
    /// Done, and forgotten: body and state are deleted.
    Delete,
    /// To be delivered again, after a delay.
    Release {
        /// How long until it is due; zero: at once, ahead of the backlog.
        delay: Duration,
        /// Whether the attempt counts. `false` takes it back: the work was not started.
        charged: bool,
    },
    /// Given up, and kept with the reason. U+0000 in it is stored as U+FFFD.
    DeadLetter(String),
}

/// A delivery and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which delivery.
    pub receipt: Receipt,
    /// What becomes of it.
    pub outcome: Outcome,
}

impl Settlement {
    /// Archives all of these.
    pub(crate) fn archive_all(receipts: &[Receipt]) -> Vec<Self> {
        let archive = |receipt: &Receipt| Self {
            receipt: *receipt,
            outcome: Outcome::Archive,
        };
        receipts.iter().map(archive).collect()
    }
}
