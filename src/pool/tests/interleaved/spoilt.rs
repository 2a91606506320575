//! A store that may be wrong.

use super::*;
use crate::message::{NewMessage, Receipt, Settlement};
use crate::queue::{Counts, IfNotEmpty, Queue, State};
use crate::settings::Settings;
use crate::store::Dequeue;

/// A store that lies, or is wrong, as the fault says.
#[derive(Debug)]
pub(super) struct Spoilt(pub(super) Hooked<Seams>);

impl Store for Spoilt {
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
        let mut messages = self.0.dequeue(dequeue)?;
        for message in &mut messages {
            message.lapsed |= is(Fault::RepeatsUnderTheNewerReceipt) && message.read_ct > 1;
            message.lapsed &= !is(Fault::StartsWhatItHolds);
        }
        Ok(messages)
    }
    fn extend_visibility(
        &self,
        queue_id: i64,
        receipts: &[Receipt],
        by: Duration,
    ) -> Result<Vec<bool>> {
        self.0.extend_visibility(queue_id, receipts, by)
    }
    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        let mut settlements = settlements.to_vec();
        for settlement in &mut settlements {
            if let Outcome::Release { charged, .. } = &mut settlement.outcome {
                *charged |= is(Fault::ChargesWhatIsGivenBack);
            }
        }
        self.0.settle(queue_id, &settlements)
    }
}
