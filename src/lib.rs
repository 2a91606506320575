//! A message queue that lives in PostgreSQL or in an SQLite file, as a blocking library: no
//! async in the code of those who use it, no server to run.
//!
//! Producers put JSON messages into queues; consumers lease them for a while (the
//! *visibility timeout*), work on them, and archive or delete them. What a crashed consumer
//! held becomes visible again by itself.
//!
//! ```
//! use pgqrs::{Context, MockStore, Producer, Store, WorkerPool};
//! use serde_json::{Value, json};
//!
//! # fn send_email(_: &Value) -> Result<(), String> { Ok(()) }
//! let store = MockStore::new(); // or SqliteStore::open("queue.db")?, or PgStore::connect(…)?
//! store.create_queue("tasks")?;
//!
//! let producer = Producer::new(store.clone(), "tasks")?;
//! producer.enqueue(&json!({"action": "send_email", "to": "ada@example.org"}))?;
//!
//! let report = WorkerPool::builder(store, "tasks")
//!     .handle(|task: Value, _: &Context| {
//!         send_email(&task)?; // any error is retried
//!         Ok(())
//!     })
//!     .run_until_empty()?; // or .start()?, for a program that stays
//! assert_eq!(report.finished, 1);
//! # Ok::<(), pgqrs::Error>(())
//! ```
//!
//! # The pieces
//!
//! - A [`Store`] is where queues live: [`PgStore`], over a pool of blocking connections,
//!   [`SqliteStore`], in a file, without a server, and [`MockStore`], in memory, for tests,
//!   with a clock that the test moves. [`connect`] picks one by its address.
//! - A [`Producer`] puts messages into one queue, singly, in batches, delayed, or inside the
//!   caller's own transaction.
//! - A [`WorkerPool`] works on the messages of one queue or several with a handler of yours,
//!   on threads: what most programs want.
//! - A [`Consumer`] takes messages out of one queue, and settles them: what a pool does, by
//!   hand.
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
//! **Oldest first**, and a scheduled message that is due goes ahead of the backlog. On PostgreSQL, a
//! message that becomes ready below newer ones that were dequeued already, because its lease
//! ran out or its transaction committed late, is found by a scan from the start, usually
//! within a tenth of a second, and within a minute at the latest; on SQLite at once.
//!
//! **An enqueue can be repeated** if its messages have keys: [`Producer::enqueue_once`] stores one
//! message per key, however often it is called, for a day
//! ([`key_retention`](Settings::key_retention)). Without a key, a call that failed with
//! [`FateUnknown`](ErrorKind::FateUnknown) may have stored its messages, and repeating it stores
//! them a second time.
//!
//! **The store's clock decides everything**, the clients' clocks nothing.
//!
//! # The worker pool
//!
//! A guide to its settings, in the order in which they matter.
//!
//! **Idempotent handlers.** A handler can run twice for one message: its process dies after
//! the work and before the settlement, or cannot reach the database for longer than the lock
//! time. So let doing it twice be as good as once. In falling order of comfort: the work is so
//! by nature (set a value, write a file under its own name); it has a key of the message's own
//! that the other side refuses the second time ([`Context::id`] never changes); or its effects
//! are rows in the same database, written in one transaction with the archive
//! ([`Context::receipt`] shows how), and then it is exactly once.
//!
//! **Lock time.** It need not be longer than the handler takes: the pool renews the leases of
//! all that it holds at a third of the lock time. It is how long the messages of a process that
//! died stay hidden, and how long the database may be out of reach before messages are
//! delivered again to somebody else. Some seconds for quick work that should move on quickly, a
//! minute where a restart of the database must not cause a second delivery. Under a second, a
//! slow disk is enough to lose a lease. A handler can ask
//! [`Context::is_lost`] before it does what cannot be undone. Renewing and settling need
//! connections: give the store more than the handlers use of it at once, by three at least.
//!
//! **Threads.** What the handler waits for decides: as many as processors for computing, more
//! for waiting on others' servers. Threads that are idle cost nothing.
//!
//! **Prefetch.** What one pool has fetched no other can work on. With quick handlers, more is
//! faster (256 are good for more than a hundred thousand messages a second); with slow ones
//! and several processes, make it 0 or a few, so that the last messages are not all with one
//! process. In memory are at most prefetch + threads messages, and up to 1,000 that are being settled,
//! these without their payloads.
//!
//! **Retries.** An error, a panic, or a payload that does not decode is a failed attempt. The
//! [`RetryPolicy`] says when the message comes again and after how many attempts it is given
//! up, to be kept among the dead letters with the last error. Begin the waits at what a hiccup
//! of the other side lasts, and let attempts and longest wait cover its longest outage. A
//! [`Failure`] can say otherwise for one message: retry at a given time, give up at once, give
//! back without charging the attempt. (With `panic = "abort"` in the program's profile a panic
//! ends the process, as it says.)
//!
//! **Messages that kill their process** are delivered again when their lease runs out, and go
//! to the dead letters when their attempts are used up in this way, before a handler sees them
//! once more. A dequeue charges the attempt, so a crash also charges what was merely fetched
//! ahead; when leases have lapsed, pools therefore hold no more than their threads work on, and
//! work on a message alone that has come to its last attempt. So it is the right one that is
//! given up. Allow at least three attempts: with one, a crash uses up those of all that was
//! fetched ahead.
//!
//! **Several queues.** One pool can serve several by weights; none is starved. Use separate
//! pools where slow work of one queue must not hold the threads that another needs.
//!
//! **Stopping.** Hand [`WorkerPool::stop_handle`] to whatever handles signals. Long handlers
//! should ask [`Context::is_stopping`] now and then. The example `graceful_shutdown` is a
//! program to start from.
//!
//! **Watching.** [`WorkerPool::counters`] for numbers; [`Events`] for logs and alarms, above
//! all [`dead_lettered`](Events::dead_lettered), [`lease_lost`](Events::lease_lost) and
//! [`reconnecting`](Events::reconnecting).
//!
//! # Who may do what
//!
//! On PostgreSQL, `roles.sql` beside `schema.sql` makes roles for producers, consumers and
//! operators, who can do no more than their part; what is refused is an [`ErrorKind::Denied`].
//!
//! No error, `Debug` output, event or log line has a password in it. A payload is quoted by the error
//! that it is not of the type asked for, which is also the reason of its retries and its dead letter;
//! it is in the `Debug` of [`Message`] and [`NewMessage`]; and the [source](std::error::Error::source)
//! of an error may have a row that a constraint or trigger of your own has refused.
//!
//! # Features
//!
//! - `postgres` (default): [`PgStore`].
//! - `sqlite`: [`SqliteStore`]. Brings SQLite itself along, and wants a C compiler.
//!
//! The conformance suite, to run on a store of your own, is the crate `pgqrs-testing`.

#![warn(missing_docs, missing_debug_implementations)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]

mod bell;
mod connect;
mod consumer;
mod error;
mod event;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
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
#[cfg(feature = "sqlite")]
mod sqlite;
mod stop;
mod store;
mod sync;
mod vars;

pub use crate::bell::Bell;
pub use crate::connect::{connect, connect_from_env};
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
#[cfg(feature = "sqlite")]
pub use crate::sqlite::{
    Durability, SQLITE_SCHEMA, SQLITE_SCHEMA_VERSION, SqliteStore, SqliteStoreBuilder,
};
pub use crate::stop::StopHandle;
pub use crate::store::{Dequeue, Layer, Store, Transactional, Wakeups};

// The crates whose types stand in signatures, in the versions that fit.
#[cfg(feature = "postgres")]
pub use postgres;
#[cfg(feature = "sqlite")]
pub use rusqlite;
pub use serde_json;
pub use time;

/// The programs in README.md compile.
#[cfg(all(doctest, feature = "postgres", feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
