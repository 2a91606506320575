//! Messages with a key, whose enqueue can be repeated.

use std::time::Duration;

use serde::Serialize;

use super::{Producer, only};
use crate::error::Result;
use crate::message::{Message, NewMessage};
use crate::store::{Store, Transactional};

impl<S: Store> Producer<S> {
    /// Stores one message, unless its key is one of a message that was stored before: a call
    /// that can be repeated when nobody knows whether it was carried out.
    ///
    /// Keys are the queue's own, and remembered for
    /// [`key_retention`](crate::Settings::key_retention), a day by default, whatever becomes of
    /// the message meanwhile: [`NewMessage::with_key`] tells all of it. A repeat is answered with
    /// the id and the time of the first call; the payload in it is the repeat's own, which is not
    /// stored. [`PgStore`](crate::PgStore) repeats such a call by itself where the
    /// connection dies under it.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue), and [`Invalid`](crate::ErrorKind::Invalid) for a key that
    /// breaks the rule of [`NewMessage::with_key`].
    ///
    /// # Examples
    ///
    /// ```
    /// use pgqrs::{Call, ErrorKind, MockStore, Producer, Store};
    ///
    /// let store = MockStore::new();
    /// store.create_queue("invoices")?;
    /// let producer = Producer::new(store.clone(), "invoices")?;
    ///
    /// store.fail_next(Call::Enqueue, ErrorKind::FateUnknown); // stored, but the answer is lost
    /// let sent = loop {
    ///     match producer.enqueue_once("order 17", "invoice 17") {
    ///         Err(error) if error.is_transient() => continue, // better after a pause
    ///         other => break other?,
    ///     }
    /// };
    /// assert_eq!(store.ready("invoices"), [sent]);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn enqueue_once<T: Serialize + ?Sized>(
        &self,
        key: impl Into<String>,
        payload: &T,
    ) -> Result<Message> {
        let message = NewMessage::new(payload)?.with_key(key)?;
        only(self.put(vec![message], None)?)
    }

    /// Stores one message that becomes visible after a delay, unless its key is one of a message
    /// that was stored before; see [`enqueue_once`](Self::enqueue_once) and
    /// [`enqueue_delayed`](Self::enqueue_delayed). A repeat does not put it off; let it have the
    /// delay of the first call, from whose time on `vt` is counted in the answer.
    ///
    /// # Errors
    ///
    /// As [`enqueue_once`](Self::enqueue_once).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use pgqrs::{MockStore, Producer, Store};
    /// # let store = MockStore::new();
    /// # store.create_queue("reminders")?;
    /// # let producer = Producer::new(store.clone(), "reminders")?;
    /// const HOUR: Duration = Duration::from_secs(3600);
    ///
    /// let first = producer.enqueue_once_delayed("order 17", "pay", HOUR)?;
    /// store.advance(HOUR / 2);
    /// let again = producer.enqueue_once_delayed("order 17", "pay", HOUR)?;
    /// assert_eq!(again.vt, first.vt);
    /// assert_eq!(store.counts("reminders")?.scheduled, 1);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn enqueue_once_delayed<T: Serialize + ?Sized>(
        &self,
        key: impl Into<String>,
        payload: &T,
        delay: Duration,
    ) -> Result<Message> {
        let message = NewMessage::new(payload)?.with_key(key)?;
        only(self.put(vec![message], Some(delay))?)
    }

    /// Stores messages, each with a key and unless that is one of a message that was stored
    /// before, all or none, and returns them in input order; see
    /// [`enqueue_once`](Self::enqueue_once) and [`batch_enqueue`](Self::batch_enqueue). Of those
    /// with the same key the first is stored.
    ///
    /// (For a batch in which some have keys and some have not, see [`Store::enqueue`].)
    ///
    /// # Errors
    ///
    /// As [`enqueue_once`](Self::enqueue_once); the text names the position of a bad payload or
    /// key.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::{MockStore, Producer, Store};
    /// # let store = MockStore::new();
    /// # store.create_queue("invoices")?;
    /// # let producer = Producer::new(store.clone(), "invoices")?;
    /// let first = producer.batch_enqueue_once([("order 17", 1), ("order 18", 2)])?;
    /// let more = producer.batch_enqueue_once([("order 18", 2), ("order 19", 3)])?;
    /// assert_eq!(more[0], first[1]);
    /// assert_eq!(store.counts("invoices")?.ready, 3);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn batch_enqueue_once<K: Into<String>, T: Serialize>(
        &self,
        messages: impl IntoIterator<Item = (K, T)>,
    ) -> Result<Vec<Message>> {
        let keyed = |(position, (key, payload)): (usize, (K, T))| {
            NewMessage::new(&payload)
                .and_then(|message| message.with_key(key))
                .map_err(|error| error.at(position))
        };
        let messages: Result<_> = messages.into_iter().enumerate().map(keyed).collect();
        self.put(messages?, None)
    }

    /// Stores one message as part of the caller's own transaction, unless its key is one of a
    /// message that was stored before; see [`enqueue_once`](Self::enqueue_once) and
    /// [`enqueue_in`](Self::enqueue_in). A rollback frees the key.
    ///
    /// On PostgreSQL, whoever uses the same key meanwhile waits for the end of the transaction;
    /// so let transactions that use several keys use them in the same order.
    ///
    /// # Errors
    ///
    /// As [`enqueue_once`](Self::enqueue_once). An error of the database aborts the transaction.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::{MockStore, Producer, Store};
    /// # let store = MockStore::new();
    /// # store.create_queue("invoices")?;
    /// # let producer = Producer::new(store.clone(), "invoices")?;
    /// let mut tx = store.begin();
    /// producer.enqueue_once_in(&mut tx, "order 17", "invoice 17")?;
    /// tx.rollback();
    /// assert!(store.ready("invoices").is_empty());
    ///
    /// let mut tx = store.begin();
    /// producer.enqueue_once_in(&mut tx, "order 17", "invoice 17")?;
    /// tx.commit();
    /// producer.enqueue_once("order 17", "invoice 17")?;
    /// assert_eq!(store.ready("invoices").len(), 1);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn enqueue_once_in<Tx, T>(
        &self,
        tx: &mut Tx,
        key: impl Into<String>,
        payload: &T,
    ) -> Result<Message>
    where
        Tx: ?Sized,
        T: Serialize + ?Sized,
        S: Transactional<Tx>,
    {
        let message = NewMessage::new(payload)?.with_key(key)?;
        let stored = self
            .store
            .enqueue_in(tx, self.queue.id, vec![message], None)?;
        only(stored)
    }
}
