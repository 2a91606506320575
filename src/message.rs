//! Messages, and the types that one has on its way:
//!
//! ```text
//! T: Serialize ─▶ NewMessage ─enqueue─▶ [ready] ─dequeue─▶ Message ─▶ Receipt + Outcome = Settlement
//!                                          ▲                                  │
//!                                          └── lease over · release · retry ──┴─▶ [archived] [dead] (deleted)
//! ```

mod new;

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;

use crate::error::{Error, ErrorKind, Result};

pub use self::new::NewMessage;

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
    /// [`Payload`](ErrorKind::Payload) if the payload is not such a `T`. The text says why, and so
    /// may quote a value of it.
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
