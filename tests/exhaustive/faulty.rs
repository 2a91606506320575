//! Stores with a defect each: what the search must find, or it is worth nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgqrs::{
    Dequeue, Layer, Message, MockStore, Outcome, Receipt, Result, Settlement, State, Store,
};
use time::OffsetDateTime;

use crate::lease::Look;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    FenceIgnoresReadCt,
    FenceIgnoresWorker,
    ExpiredLeaseRefusesItsOwner,
    HandsOutLeasesThatAreNotOver,
    ForgetsLapsedLeases,
    ExtensionMovesBack,
    ExtensionRefusedWhenExpired,
    ReleaseLosesTheMessage,
    ReleaseChargesWhatItShouldNot,
    ArchivedComesBack,
    SettlesTwice,
    AnswersWithoutDoing,
}

/// A [`MockStore`] whose answers and contents are spoilt; `None` spoils nothing.
#[derive(Clone, Debug)]
pub(crate) struct Faulty {
    store: MockStore,
    fault: Option<Fault>,
    /// Ends of leases that were moved back, by delivery.
    moved: Arc<Mutex<BTreeMap<(i64, i32), OffsetDateTime>>>,
}

impl Faulty {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self {
            store: MockStore::new(),
            fault,
            moved: Arc::default(),
        }
    }

    fn current(&self, id: i64) -> Option<(State, Message)> {
        let all = self.store.seen("tasks");
        all.into_iter().find(|(_, message)| message.id == id)
    }

    /// The receipt that a spoilt fence takes this one for.
    fn taken_for(&self, receipt: Receipt, extension: bool) -> Receipt {
        let Some((state, message)) = self.current(receipt.id()) else {
            return receipt;
        };
        let current = Receipt::from(&message);
        let held = message.worker.is_some();
        match self.fault {
            Some(Fault::FenceIgnoresReadCt) if message.worker == receipt.worker() => current,
            Some(Fault::FenceIgnoresWorker)
                if held && receipt.read_ct().is_none_or(|ct| ct == message.read_ct) =>
            {
                current
            }
            Some(Fault::ExpiredLeaseRefusesItsOwner) if state == State::Ready && !extension => {
                Receipt::from(receipt.id()) // which nobody owns
            }
            Some(Fault::ExtensionRefusedWhenExpired) if state == State::Ready && extension => {
                Receipt::from(receipt.id())
            }
            _ => receipt,
        }
    }

    fn spoilt(&self, settlement: &Settlement) -> Settlement {
        let at_once = |charged| Outcome::Release {
            delay: Duration::ZERO,
            charged,
        };
        let outcome = match (self.fault, &settlement.outcome) {
            (Some(Fault::ReleaseLosesTheMessage), Outcome::Release { .. }) => Outcome::Delete,
            (Some(Fault::ReleaseChargesWhatItShouldNot), Outcome::Release { delay, .. }) => {
                Outcome::Release {
                    delay: *delay,
                    charged: true,
                }
            }
            (Some(Fault::ArchivedComesBack), Outcome::Archive) => at_once(true),
            (_, outcome) => outcome.clone(),
        };
        Settlement {
            receipt: self.taken_for(settlement.receipt, false),
            outcome,
        }
    }
}

impl Look for Faulty {
    fn now(&self) -> OffsetDateTime {
        self.store.now()
    }

    fn advance(&self, by: Duration) {
        self.store.advance(by);
    }

    fn seen(&self, queue: &str) -> Vec<(State, Message)> {
        let moved = self.moved.lock().unwrap();
        let mut all = self.store.seen(queue);
        for (_, message) in &mut all {
            if let Some(vt) = moved.get(&(message.id, message.read_ct)) {
                message.vt = *vt;
            }
        }
        all
    }
}

impl Layer for Faulty {
    type Inner = MockStore;

    fn inner(&self) -> &MockStore {
        &self.store
    }
    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        if self.fault == Some(Fault::HandsOutLeasesThatAreNotOver)
            && let Some(held) = self.store.leased("tasks").first()
        {
            let back = Settlement {
                receipt: Receipt::from(held),
                outcome: Outcome::Release {
                    delay: Duration::ZERO,
                    charged: true,
                },
            };
            self.store.settle(dequeue.queue_id, &[back])?;
        }
        let mut messages = self.store.dequeue(dequeue)?;
        if self.fault == Some(Fault::ForgetsLapsedLeases) {
            messages.retain(|message| !message.lapsed);
        }
        Ok(messages)
    }
    fn extend_visibility(
        &self,
        queue_id: i64,
        receipts: &[Receipt],
        by: Duration,
    ) -> Result<Vec<bool>> {
        let taken_for = |receipt: &Receipt| self.taken_for(*receipt, true);
        let receipts: Vec<Receipt> = receipts.iter().map(taken_for).collect();
        let owned = self.store.extend_visibility(queue_id, &receipts, by)?;
        if self.fault == Some(Fault::ExtensionMovesBack) {
            for (receipt, _) in receipts.iter().zip(&owned).filter(|(_, owned)| **owned) {
                let delivery = (receipt.id(), receipt.read_ct().unwrap_or_default());
                let until = self.store.now() + by;
                self.moved.lock().unwrap().insert(delivery, until);
            }
        }
        Ok(owned)
    }
    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        let mut answers = Vec::new();
        for settlement in settlements {
            let spoilt = self.spoilt(settlement);
            if self.fault == Some(Fault::AnswersWithoutDoing) {
                let owns = self.current(spoilt.receipt.id());
                answers.push(owns.is_some_and(|(_, m)| spoilt.receipt.owns(m.worker, m.read_ct)));
                continue;
            }
            let owned = self.store.settle(queue_id, &[spoilt])?[0];
            let again = self.fault == Some(Fault::SettlesTwice)
                && self
                    .store
                    .archived("tasks")
                    .iter()
                    .any(|m| settlement.receipt == Receipt::from(m));
            answers.push(owned || again);
        }
        Ok(answers)
    }
}
