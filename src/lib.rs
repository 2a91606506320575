//! A message queue that lives in PostgreSQL, as a blocking library: no async in the code
//! of those who use it, no server to run.
//!
//! Producers put JSON messages into queues; consumers lease them for a while (the
//! *visibility timeout*), work on them, and archive or delete them. What a crashed consumer
//! held becomes visible again by itself.
//!
//! ```
//! use pgqrs::{Consumer, MockStore, Producer, Store};
//! use serde_json::json;
//!
//! # fn send_email(_: &serde_json::Value) {}
//! let store = MockStore::new(); // or PgStore::connect("postgresql://localhost/mydb")?
//! store.create_queue("tasks")?;
//!
//! let producer = Producer::new(store.clone(), "tasks")?;
//! producer.enqueue(&json!({"action": "send_email", "to": "ada@example.org"}))?;
//!
//! let consumer = Consumer::new(store, "tasks")?;
//! for message in consumer.dequeue()? {
//!     send_email(&message.payload);
//!     consumer.archive(&message)?;
//! }
//! # Ok::<(), pgqrs::Error>(())
//! ```
//!
//! # The pieces
//!
//! - A [`Store`] is where queues live: [`PgStore`], over a pool of blocking connections, and
//!   [`MockStore`], in memory, for tests, with a clock that the test moves.
//! - A [`Producer`] puts messages into one queue, singly, in batches, delayed, or inside the
//!   caller's own transaction.
//! - A [`Consumer`] takes messages out of one queue, and settles them.
//! - A [`Message`] carries the payload and the lease; a [`Receipt`] names one delivery of
//!   it, and fences everything that is done with it.
//! - An [`Error`] has a [kind](ErrorKind), and says
//!   [whether trying again can help](Error::is_transient).
//!
//! # What is promised
//!
//! **Delivery is at least once, with exclusive leases.** A message whose lease runs out is
//! handed out again by a plain `dequeue`, with [`read_ct`](Message::read_ct) one higher;
//! there is no reaper to run. So let the work be idempotent, or do it in one transaction
//! with [`Consumer::archive_in`].
//!
//! **Every write after a dequeue is fenced.** A consumer that was too slow changes nothing
//! and is told so.
//!
//! **Oldest first**, and a scheduled message that is due goes ahead of the backlog. A
//! message that becomes ready below newer ones that were dequeued already, because its lease
//! ran out or its transaction committed late, is found by a scan from the start, usually
//! within milliseconds, and within a minute at the latest.
//!
//! **The store's clock decides everything**, the clients' clocks nothing.
//!
//! # Features
//!
//! - `postgres` (default): [`PgStore`].
//! - `testing`: the conformance suite, to run on a store of your own.

mod bell;
mod consumer;
mod error;
mod event;
mod message;
mod mock;
#[cfg(feature = "postgres")]
mod pg;
mod pool;
mod producer;
mod queue;
mod retry;
mod settings;
mod span;
mod stop;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use crate::bell::Bell;
pub use crate::consumer::{Consumer, ConsumerBuilder, Messages};
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::event::{Counters, Delivery, Events, Report};
pub use crate::message::{Message, NewMessage, Outcome, Receipt, Settlement};
pub use crate::mock::{Call, MockStore, MockStoreBuilder, MockTransaction};
#[cfg(feature = "postgres")]
pub use crate::pg::{PgStore, PgStoreBuilder, SCHEMA, SCHEMA_VERSION};
pub use crate::pool::{
    Batch, Context, Failure, FromMessage, Handled, WorkerPool, WorkerPoolBuilder,
};
pub use crate::producer::Producer;
pub use crate::queue::{Counts, IfNotEmpty, Queue, State};
pub use crate::retry::RetryPolicy;
pub use crate::settings::Settings;
pub use crate::span::{MAX_SPAN, span_micros};
pub use crate::stop::StopHandle;
pub use crate::store::{Dequeue, Store, Transactional, Wakeups};

// The crates whose types stand in signatures, in the versions that fit.
#[cfg(feature = "postgres")]
pub use postgres;
pub use serde_json;
pub use time;

/// The programs in README.md compile.
#[cfg(all(doctest, feature = "postgres"))]
#[doc = include_str!("../README.md")]
struct Readme;
