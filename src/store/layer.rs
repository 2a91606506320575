//! A store in front of another one, and the handles to a store: each call is passed on, none
//! forgotten.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Dequeue, Store, Transactional, Wakeups, archive_then_dequeue};
use crate::bell::Bell;
use crate::error::Result;
use crate::message::{Message, NewMessage, Receipt, Settlement};
use crate::queue::{Counts, IfNotEmpty, Queue, State};
use crate::settings::Settings;

/// A store in front of another one: it passes every call on, except those that you write.
///
/// Whatever implements this is a [`Store`], and [`Transactional`] where the inner store is. A
/// layer can count calls, log them, refuse some or change their answers, over any store. `&S`,
/// `Box<S>` and `Arc<S>` are layers that change nothing, so handles to a store are stores.
///
/// Two things to know when you write some of the methods:
///
/// - [`archive_and_dequeue`](Self::archive_and_dequeue) is not passed on. It becomes a `settle` and
///   a `dequeue` of this layer, so that yours see it, in two commits instead of one.
/// - Calls in a caller's transaction do not come by `enqueue` and `settle`. Write
///   [`enqueue_in`](Self::enqueue_in) and [`settle_in`](Self::settle_in) for them.
///
/// The methods have the names of those of [`Store`]. Where both traits are imported, a call on a
/// layer, also on `&S`, `Box<S>` or `Arc<S>`, has to say which it means:
/// `Store::counts(&layer, "tasks")`.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use pgqrs::{Consumer, Dequeue, Layer, Message, MockStore, Producer, Store};
///
/// /// Counts the messages that consumers get.
/// #[derive(Clone, Debug)]
/// struct Counting<S> {
///     inner: S,
///     delivered: Arc<AtomicUsize>,
/// }
///
/// impl<S: Store> Layer for Counting<S> {
///     type Inner = S;
///
///     fn inner(&self) -> &S {
///         &self.inner
///     }
///
///     fn dequeue(&self, dequeue: &Dequeue) -> pgqrs::Result<Vec<Message>> {
///         let messages = self.inner.dequeue(dequeue)?;
///         self.delivered.fetch_add(messages.len(), Ordering::Relaxed);
///         Ok(messages)
///     }
/// }
///
/// let inner = MockStore::new();
/// inner.create_queue("tasks")?;
/// let delivered = Arc::new(AtomicUsize::new(0));
/// let store = Counting { inner, delivered: Arc::clone(&delivered) };
/// Producer::new(store.clone(), "tasks")?.enqueue("work")?;
/// Consumer::new(store, "tasks")?.dequeue()?;
/// assert_eq!(delivered.load(Ordering::Relaxed), 1);
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[allow(
    clippy::missing_errors_doc,
    reason = "they are those of the method of the same name in `Store` or `Transactional`"
)]
pub trait Layer: fmt::Debug + Send + Sync {
    /// The store behind this one.
    type Inner: Store + ?Sized;

    /// Returns the store behind this one.
    fn inner(&self) -> &Self::Inner;

    /// [`Store::settings`].
    fn settings(&self) -> &Settings {
        self.inner().settings()
    }

    /// [`Store::install`].
    fn install(&self) -> Result<()> {
        self.inner().install()
    }

    /// [`Store::create_queue`].
    fn create_queue(&self, name: &str) -> Result<Queue> {
        self.inner().create_queue(name)
    }

    /// [`Store::queue`].
    fn queue(&self, name: &str) -> Result<Queue> {
        self.inner().queue(name)
    }

    /// [`Store::queues`].
    fn queues(&self) -> Result<Vec<Queue>> {
        self.inner().queues()
    }

    /// [`Store::delete_queue`].
    fn delete_queue(&self, name: &str, messages: IfNotEmpty) -> Result<()> {
        self.inner().delete_queue(name, messages)
    }

    /// [`Store::purge`].
    fn purge(&self, name: &str, states: &[State]) -> Result<u64> {
        self.inner().purge(name, states)
    }

    /// [`Store::counts`].
    fn counts(&self, name: &str) -> Result<Counts> {
        self.inner().counts(name)
    }

    /// [`Store::register_worker`].
    fn register_worker(&self, queue_id: i64, name: &str) -> Result<i64> {
        self.inner().register_worker(queue_id, name)
    }

    /// [`Store::enqueue`].
    fn enqueue(
        &self,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        self.inner().enqueue(queue_id, messages, delay)
    }

    /// [`Store::dequeue`].
    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        self.inner().dequeue(dequeue)
    }

    /// [`Store::extend_visibility`].
    fn extend_visibility(
        &self,
        queue_id: i64,
        receipts: &[Receipt],
        by: Duration,
    ) -> Result<Vec<bool>> {
        self.inner().extend_visibility(queue_id, receipts, by)
    }

    /// [`Store::settle`].
    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        self.inner().settle(queue_id, settlements)
    }

    /// [`Store::archive_and_dequeue`]: this layer's own [`settle`](Self::settle) and
    /// [`dequeue`](Self::dequeue), one after the other, so that what they do is done here, too. A
    /// layer that changes neither can pass the call on to the inner store, which may carry it
    /// out in one commit.
    fn archive_and_dequeue(
        &self,
        receipts: &[Receipt],
        dequeue: &Dequeue,
    ) -> Result<(Vec<bool>, Vec<Message>)> {
        archive_then_dequeue(self, receipts, dequeue)
    }

    /// [`Store::wakeups`].
    fn wakeups(&self, bells: Vec<(i64, Bell)>) -> Option<Box<dyn Wakeups>> {
        self.inner().wakeups(bells)
    }

    /// [`Store::wakes_consumers`].
    fn wakes_consumers(&self) -> bool {
        self.inner().wakes_consumers()
    }

    /// [`Transactional::enqueue_in`].
    fn enqueue_in<Tx: ?Sized>(
        &self,
        tx: &mut Tx,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>>
    where
        Self::Inner: Transactional<Tx>,
    {
        self.inner().enqueue_in(tx, queue_id, messages, delay)
    }

    /// [`Transactional::settle_in`].
    fn settle_in<Tx: ?Sized>(
        &self,
        tx: &mut Tx,
        queue_id: i64,
        settlements: &[Settlement],
    ) -> Result<Vec<bool>>
    where
        Self::Inner: Transactional<Tx>,
    {
        self.inner().settle_in(tx, queue_id, settlements)
    }
}

#[diagnostic::do_not_recommend] // "Store is not implemented" says it, not "Layer is not"
#[deny(clippy::missing_trait_methods)]
impl<L: Layer + ?Sized> Store for L {
    fn settings(&self) -> &Settings {
        Layer::settings(self)
    }
    fn install(&self) -> Result<()> {
        Layer::install(self)
    }
    fn create_queue(&self, name: &str) -> Result<Queue> {
        Layer::create_queue(self, name)
    }
    fn queue(&self, name: &str) -> Result<Queue> {
        Layer::queue(self, name)
    }
    fn queues(&self) -> Result<Vec<Queue>> {
        Layer::queues(self)
    }
    fn delete_queue(&self, name: &str, messages: IfNotEmpty) -> Result<()> {
        Layer::delete_queue(self, name, messages)
    }
    fn purge(&self, name: &str, states: &[State]) -> Result<u64> {
        Layer::purge(self, name, states)
    }
    fn counts(&self, name: &str) -> Result<Counts> {
        Layer::counts(self, name)
    }
    fn register_worker(&self, queue_id: i64, name: &str) -> Result<i64> {
        Layer::register_worker(self, queue_id, name)
    }
    fn enqueue(
        &self,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        Layer::enqueue(self, queue_id, messages, delay)
    }
    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        Layer::dequeue(self, dequeue)
    }
    fn extend_visibility(
        &self,
        queue_id: i64,
        receipts: &[Receipt],
        by: Duration,
    ) -> Result<Vec<bool>> {
        Layer::extend_visibility(self, queue_id, receipts, by)
    }
    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        Layer::settle(self, queue_id, settlements)
    }
    fn archive_and_dequeue(
        &self,
        receipts: &[Receipt],
        dequeue: &Dequeue,
    ) -> Result<(Vec<bool>, Vec<Message>)> {
        Layer::archive_and_dequeue(self, receipts, dequeue)
    }
    fn wakeups(&self, bells: Vec<(i64, Bell)>) -> Option<Box<dyn Wakeups>> {
        Layer::wakeups(self, bells)
    }
    fn wakes_consumers(&self) -> bool {
        Layer::wakes_consumers(self)
    }
}

#[diagnostic::do_not_recommend]
#[deny(clippy::missing_trait_methods)]
impl<Tx: ?Sized, L: Layer + ?Sized> Transactional<Tx> for L
where
    L::Inner: Transactional<Tx>,
{
    fn enqueue_in(
        &self,
        tx: &mut Tx,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        Layer::enqueue_in(self, tx, queue_id, messages, delay)
    }
    fn settle_in(
        &self,
        tx: &mut Tx,
        queue_id: i64,
        settlements: &[Settlement],
    ) -> Result<Vec<bool>> {
        Layer::settle_in(self, tx, queue_id, settlements)
    }
}

macro_rules! handles {
    ($($handle:ty),*) => {$(
        impl<S: Store + ?Sized> Layer for $handle {
            type Inner = S;

            fn inner(&self) -> &S {
                self
            }
            fn archive_and_dequeue(
                &self,
                receipts: &[Receipt],
                dequeue: &Dequeue,
            ) -> Result<(Vec<bool>, Vec<Message>)> {
                (**self).archive_and_dequeue(receipts, dequeue)
            }
        }
    )*};
}
handles!(&S, Box<S>, Arc<S>);
