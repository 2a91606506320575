//! A store that calls back.

use super::*;
use crate::bell::Bell;
use crate::message::{NewMessage, Receipt, Settlement};
use crate::queue::{Counts, IfNotEmpty, Queue, State};
use crate::settings::Settings;
use crate::store::{Dequeue, Wakeups};

/// What is called before a call is carried out, or after that and before its answer is given.
pub(super) trait Hooks: std::fmt::Debug + Send + Sync {
    fn dequeued(&self, _: &[Message]) {}
    fn extended(&self) {}
    fn settling(&self) {}
    fn settled(&self) {}
    fn asked_for_wakeups(&self) {}
}

/// A [`MockStore`] with hooks.
#[derive(Debug)]
pub(super) struct Hooked<H>(pub(super) MockStore, pub(super) Arc<H>);

#[deny(clippy::missing_trait_methods)]
impl<H: Hooks> Store for Hooked<H> {
    fn settings(&self) -> &Settings {
        self.0.settings()
    }
    fn create_queue(&self, name: &str) -> Result<Queue> {
        self.0.create_queue(name)
    }
    fn queue(&self, name: &str) -> Result<Queue> {
        self.0.queue(name)
    }
    fn queues(&self) -> Result<Vec<Queue>> {
        self.0.queues()
    }
    fn delete_queue(&self, name: &str, messages: IfNotEmpty) -> Result<()> {
        self.0.delete_queue(name, messages)
    }
    fn purge(&self, name: &str, states: &[State]) -> Result<u64> {
        self.0.purge(name, states)
    }
    fn counts(&self, name: &str) -> Result<Counts> {
        self.0.counts(name)
    }
    fn register_worker(&self, queue_id: i64, name: &str) -> Result<i64> {
        self.0.register_worker(queue_id, name)
    }
    fn enqueue(
        &self,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        self.0.enqueue(queue_id, messages, delay)
    }
    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        let messages = self.0.dequeue(dequeue)?;
        self.1.dequeued(&messages);
        Ok(messages)
    }
    fn extend_visibility(
        &self,
        queue_id: i64,
        receipts: &[Receipt],
        by: Duration,
    ) -> Result<Vec<bool>> {
        let answers = self.0.extend_visibility(queue_id, receipts, by);
        self.1.extended();
        answers
    }
    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        self.1.settling();
        let answers = self.0.settle(queue_id, settlements);
        self.1.settled();
        answers
    }
    fn wakeups(&self, bells: Vec<(i64, Bell)>) -> Option<Box<dyn Wakeups>> {
        self.1.asked_for_wakeups();
        self.0.wakeups(bells)
    }
}
