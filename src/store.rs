//! What a queue can be built on: the trait [`Store`].

mod layer;

use std::fmt;
use std::time::Duration;

use crate::bell::{Bell, Hung};
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, NewMessage, Receipt, Settlement};
use crate::queue::{Counts, IfNotEmpty, Queue, State};
use crate::settings::{Settings, check_limit, check_lock_time};

pub use self::layer::Layer;

/// A place where queues live: [`PgStore`](crate::PgStore), [`MockStore`](crate::MockStore),
/// or one of your own.
///
/// The trait holds the general forms, over batches and ids; what programs call stands on
/// [`Producer`](crate::Producer) and [`Consumer`](crate::Consumer). It is object-safe, and
/// `&S`, `Box<S>` and `Arc<S>` are stores where `S` is, so that
/// `Producer<Arc<dyn Store>>` works.
///
/// # Contract
///
/// What the methods promise is checked by the suite in the crate `pgqrs-testing`, which any
/// store can run. In short: a message is in exactly one [`State`]; every call is carried out
/// wholly or not at all; no two deliveries of a message are owned at the same time; a
/// [`Receipt`] changes a message only while its delivery owns it; time is the store's clock.
///
/// # Cloning
///
/// Stores are handles: a clone means the same queues.
pub trait Store: fmt::Debug + Send + Sync {
    /// Returns the settings that producers and consumers start from.
    fn settings(&self) -> &Settings;

    /// Puts the store's schema where it lives: explicit, idempotent, and safe from many
    /// processes at once. Where it is installed already, nothing is changed.
    ///
    /// A store that has nothing to install is content with this default, which does nothing.
    ///
    /// # Errors
    ///
    /// [`Schema`](crate::ErrorKind::Schema) if a newer version is installed, or an older one
    /// that this library has no way from; [`Unavailable`](crate::ErrorKind::Unavailable),
    /// [`FateUnknown`](crate::ErrorKind::FateUnknown).
    ///
    /// # Examples
    ///
    /// ```
    /// use pgqrs::{MockStore, Store};
    ///
    /// fn prepare(store: &dyn Store) -> pgqrs::Result<()> {
    ///     store.install()?; // at every start: it costs a look
    ///     store.create_queue("tasks")?;
    ///     Ok(())
    /// }
    /// prepare(&MockStore::new())?;
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    fn install(&self) -> Result<()> {
        Ok(())
    }

    /// Creates a queue, or returns the one that has this name already.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if the name breaks the rule of
    /// [`Queue::check_name`]; else those of every call:
    /// [`Schema`](crate::ErrorKind::Schema), [`Unavailable`](crate::ErrorKind::Unavailable),
    /// [`FateUnknown`](crate::ErrorKind::FateUnknown).
    fn create_queue(&self, name: &str) -> Result<Queue>;

    /// Returns the queue of this name.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name that no queue can have;
    /// [`UnknownQueue`](crate::ErrorKind::UnknownQueue); those of every call.
    fn queue(&self, name: &str) -> Result<Queue>;

    /// Returns all queues, by name.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable),
    /// [`FateUnknown`](crate::ErrorKind::FateUnknown).
    fn queues(&self) -> Result<Vec<Queue>>;

    /// Deletes a queue, and its messages if told to.
    ///
    /// Producers and consumers of the queue get
    /// [`UnknownQueue`](crate::ErrorKind::UnknownQueue) from then on. No message is lost
    /// in a race: what was enqueued before makes the queue not empty.
    ///
    /// # Errors
    ///
    /// [`QueueNotEmpty`](crate::ErrorKind::QueueNotEmpty) if it has messages in any state
    /// and `messages` says [`IfNotEmpty::Refuse`];
    /// [`UnknownQueue`](crate::ErrorKind::UnknownQueue); those of every call.
    fn delete_queue(&self, name: &str, messages: IfNotEmpty) -> Result<()>;

    /// Deletes all messages that are in one of these states, and returns how many.
    ///
    /// A consumer that holds one of them is told so when it settles it.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name that no queue can have;
    /// [`UnknownQueue`](crate::ErrorKind::UnknownQueue); those of every call.
    fn purge(&self, name: &str, states: &[State]) -> Result<u64>;

    /// Counts the messages of a queue in each state. Reads all of them: for people and
    /// monitoring, not for every message.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name that no queue can have;
    /// [`UnknownQueue`](crate::ErrorKind::UnknownQueue); those of every call.
    fn counts(&self, name: &str) -> Result<Counts>;

    /// Registers a consumer of the queue under a name for people, and returns the worker
    /// id that its leases will carry, never used before.
    ///
    /// # Errors
    ///
    /// [`UnknownQueue`](crate::ErrorKind::UnknownQueue); those of every call.
    fn register_worker(&self, queue_id: i64, name: &str) -> Result<i64>;

    /// Stores messages, all or none, and returns them in order with ascending ids: ready,
    /// or with a delay scheduled (of [`Duration::ZERO`]: due at once, ahead of the backlog).
    ///
    /// One whose key is still remembered ([`NewMessage::with_key`]) is not stored again: its
    /// answer is that of the first time. The ids of those that are stored ascend.
    ///
    /// # Errors
    ///
    /// [`Payload`](crate::ErrorKind::Payload) if one breaks a rule of
    /// [`NewMessage::encode_all`]; [`UnknownQueue`](crate::ErrorKind::UnknownQueue); those of
    /// every call.
    fn enqueue(
        &self,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>>;

    /// Leases messages to a worker: scheduled ones that have come due, in the order in
    /// which they did, then ready ones, oldest first.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if the limit or the lock time breaks a rule
    /// of [`Dequeue`]; [`UnknownQueue`](crate::ErrorKind::UnknownQueue); those of every call.
    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>>;

    /// Moves the end of leases to `by` from now, never to an earlier time than it was.
    ///
    /// Returns by position whether the delivery still owned its message. One that a transaction
    /// is just about to settle ([`Transactional`]), or that is being purged, may be left as it is
    /// and answered for with `true`: nobody can lease it meanwhile.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable),
    /// [`FateUnknown`](crate::ErrorKind::FateUnknown).
    fn extend_visibility(
        &self,
        queue_id: i64,
        receipts: &[Receipt],
        by: Duration,
    ) -> Result<Vec<bool>>;

    /// Ends deliveries, each as it says, as if one after the other but all or none.
    ///
    /// Returns by position whether the delivery still owned its message; where it did not,
    /// nothing was changed. A store may carry out the calls of several threads as one.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable),
    /// [`FateUnknown`](crate::ErrorKind::FateUnknown).
    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>>;

    /// Archives, and then leases: [`settle`](Self::settle) and [`dequeue`](Self::dequeue) in one
    /// call. A store that can makes one commit of it, all or none; this default makes two calls.
    ///
    /// Returns what each of the two does.
    ///
    /// # Errors
    ///
    /// Those of both. If something was archived and no more could be leased,
    /// [`FateUnknown`](crate::ErrorKind::FateUnknown).
    fn archive_and_dequeue(
        &self,
        receipts: &[Receipt],
        dequeue: &Dequeue,
    ) -> Result<(Vec<bool>, Vec<Message>)> {
        archive_then_dequeue(self, receipts, dequeue)
    }

    /// Has bells rung when messages become ready, one for each of these queues; `None` if the
    /// store has no means to tell, and its consumers are to poll.
    ///
    /// Returns at once; what it takes (a connection, say) is made ready behind the scenes and
    /// made again when it breaks. Dropping the [`Wakeups`] ends it.
    fn wakeups(&self, bells: Vec<(i64, Bell)>) -> Option<Box<dyn Wakeups>> {
        drop(bells);
        None
    }

    /// Whether there are [`wakeups`](Self::wakeups), and cost so little (no connection, no
    /// thread of each one's own) that every waiting [`Consumer`](crate::Consumer) may have some;
    /// else only pools do.
    fn wakes_consumers(&self) -> bool {
        false
    }
}

/// What [`Store::archive_and_dequeue`] does unless a store knows better.
pub(crate) fn archive_then_dequeue(
    store: &(impl Store + ?Sized),
    receipts: &[Receipt],
    dequeue: &Dequeue,
) -> Result<(Vec<bool>, Vec<Message>)> {
    dequeue.check()?;
    let archived = store.settle(dequeue.queue_id, &Settlement::archive_all(receipts))?;
    match store.dequeue(dequeue) {
        Ok(messages) => Ok((archived, messages)),
        Err(error) => Err(after_archiving(&archived, error)),
    }
}

/// What is said of an error that came after something was archived, if it was.
pub(crate) fn after_archiving(archived: &[bool], error: Error) -> Error {
    if !archived.contains(&true) {
        return error;
    }
    let text = "messages were archived, but no more could be dequeued";
    Error::new(ErrorKind::FateUnknown, text).because(error)
}

/// What a store rings a consumer's bells with; see [`Store::wakeups`].
pub trait Wakeups: fmt::Debug + Send + Sync {
    /// Says that the consumer of this queue found nothing and is about to sleep.
    ///
    /// `true`: it is armed, and can sleep: from the moment when it came to be armed, at which
    /// its bell rang, the bell rings for whatever becomes ready. `false`: not yet; the bell
    /// will ring when it is, for one more look. If it never rings, polling has to do.
    fn arm(&self, queue_id: i64) -> bool;

    /// Says that the consumer of this queue is busy: nobody needs to wake it until it says
    /// otherwise.
    fn disarm(&self, queue_id: i64);
}

/// Bells that hang ring for everything, whether anybody is asleep or not.
impl Wakeups for Hung {
    fn arm(&self, _: i64) -> bool {
        true
    }

    fn disarm(&self, _: i64) {}
}

/// A store that can also work inside a transaction which the caller owns, of type `Tx`.
///
/// [`PgStore`](crate::PgStore) does with every `postgres::GenericClient`,
/// [`MockStore`](crate::MockStore) with its own
/// [`MockTransaction`](crate::MockTransaction).
///
/// On PostgreSQL, let the transaction be READ COMMITTED, the default: one of a higher level
/// sees the queue as it was when it began, and takes a message that was dequeued since then
/// for lost.
pub trait Transactional<Tx: ?Sized>: Store {
    /// Does [`Store::enqueue`] as part of the transaction.
    ///
    /// # Errors
    ///
    /// As [`Store::enqueue`]. On PostgreSQL an error of the database aborts the transaction.
    fn enqueue_in(
        &self,
        tx: &mut Tx,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>>;

    /// Does [`Store::settle`] as part of the transaction. The answer is certain before the
    /// commit: the messages stay locked until then.
    ///
    /// # Errors
    ///
    /// As [`Store::settle`]. On PostgreSQL an error of the database aborts the transaction.
    fn settle_in(
        &self,
        tx: &mut Tx,
        queue_id: i64,
        settlements: &[Settlement],
    ) -> Result<Vec<bool>>;
}

/// What [`Store::dequeue`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dequeue {
    /// From which queue.
    pub queue_id: i64,
    /// For which worker, as registered.
    pub worker: i64,
    /// How many at most: 1 to `i32::MAX`.
    pub limit: usize,
    /// For how long. Not zero; cut to [`MAX_SPAN`](crate::MAX_SPAN).
    pub lock_time: Duration,
}

impl Dequeue {
    /// Checks the rules, and returns the limit as an `i32`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the value and the rule.
    pub fn check(&self) -> Result<i32> {
        check_lock_time(self.lock_time)?;
        check_limit("limit", self.limit)
    }
}
