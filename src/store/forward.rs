//! A handle to a store is a store: every call is passed on, none forgotten.

use std::sync::Arc;
use std::time::Duration;

use super::{Dequeue, Store, Transactional, Wakeups};
use crate::bell::Bell;
use crate::error::Result;
use crate::message::{Message, NewMessage, Receipt, Settlement};
use crate::queue::{Counts, IfNotEmpty, Queue, State};
use crate::settings::Settings;

macro_rules! forward {
    ($($handle:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<S: Store + ?Sized> Store for $handle {
            fn settings(&self) -> &Settings {
                (**self).settings()
            }
            fn install(&self) -> Result<()> {
                (**self).install()
            }
            fn create_queue(&self, name: &str) -> Result<Queue> {
                (**self).create_queue(name)
            }
            fn queue(&self, name: &str) -> Result<Queue> {
                (**self).queue(name)
            }
            fn queues(&self) -> Result<Vec<Queue>> {
                (**self).queues()
            }
            fn delete_queue(&self, name: &str, messages: IfNotEmpty) -> Result<()> {
                (**self).delete_queue(name, messages)
            }
            fn purge(&self, name: &str, states: &[State]) -> Result<u64> {
                (**self).purge(name, states)
            }
            fn counts(&self, name: &str) -> Result<Counts> {
                (**self).counts(name)
            }
            fn register_worker(&self, queue_id: i64, name: &str) -> Result<i64> {
                (**self).register_worker(queue_id, name)
            }
            fn enqueue(
                &self,
                queue_id: i64,
                messages: Vec<NewMessage>,
                delay: Option<Duration>,
            ) -> Result<Vec<Message>> {
                (**self).enqueue(queue_id, messages, delay)
            }
            fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
                (**self).dequeue(dequeue)
            }
            fn extend_visibility(
                &self,
                queue_id: i64,
                receipts: &[Receipt],
                by: Duration,
            ) -> Result<Vec<bool>> {
                (**self).extend_visibility(queue_id, receipts, by)
            }
            fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
                (**self).settle(queue_id, settlements)
            }
            fn archive_and_dequeue(
                &self,
                receipts: &[Receipt],
                dequeue: &Dequeue,
            ) -> Result<(Vec<bool>, Vec<Message>)> {
                (**self).archive_and_dequeue(receipts, dequeue)
            }
            fn wakeups(&self, bells: Vec<(i64, Bell)>) -> Option<Box<dyn Wakeups>> {
                (**self).wakeups(bells)
            }
            fn wakes_consumers(&self) -> bool {
                (**self).wakes_consumers()
            }
        }

        #[deny(clippy::missing_trait_methods)]
        impl<Tx: ?Sized, S: Transactional<Tx> + ?Sized> Transactional<Tx> for $handle {
            fn enqueue_in(
                &self,
                tx: &mut Tx,
                queue_id: i64,
                messages: Vec<NewMessage>,
                delay: Option<Duration>,
            ) -> Result<Vec<Message>> {
                (**self).enqueue_in(tx, queue_id, messages, delay)
            }
            fn settle_in(
                &self,
                tx: &mut Tx,
                queue_id: i64,
                settlements: &[Settlement],
            ) -> Result<Vec<bool>> {
                (**self).settle_in(tx, queue_id, settlements)
            }
        }
    )*};
}
forward!(&S, Box<S>, Arc<S>);
