//! Waking consumers: everything that can make a message ready rings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Inner, MockStore};
use crate::bell::Bell;
use crate::store::Wakeups;

/// Who is to be woken.
#[derive(Debug, Default)]
pub(super) struct Ringing {
    bells: BTreeMap<u64, Vec<(i64, Bell)>>,
    last: u64,
}

impl Ringing {
    /// A message of this queue may have become ready.
    pub(super) fn ring(&self, queue_id: i64) {
        let all = self.bells.values().flatten();
        for (_, bell) in all.filter(|(queue, _)| *queue == queue_id) {
            bell.ring();
        }
    }

    /// Time has passed.
    pub(super) fn ring_all(&self) {
        for (_, bell) in self.bells.values().flatten() {
            bell.ring();
        }
    }
}

/// One consumer's bells, hung up until it is dropped. They ring all the time.
struct Hung {
    store: Weak<Mutex<Inner>>,
    number: u64,
}

impl MockStore {
    pub(super) fn ringing(&self, bells: Vec<(i64, Bell)>) -> impl Wakeups + use<> {
        let ringing = &mut self.lock().ringing;
        ringing.last += 1;
        ringing.bells.insert(ringing.last, bells);
        Hung {
            store: Arc::downgrade(&self.inner),
            number: ringing.last,
        }
    }
}

impl Wakeups for Hung {
    fn arm(&self, _: i64) -> bool {
        true
    }

    fn disarm(&self, _: i64) {}
}

impl Drop for Hung {
    fn drop(&mut self) {
        if let Some(inner) = self.store.upgrade() {
            let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.ringing.bells.remove(&self.number);
        }
    }
}

impl std::fmt::Debug for Hung {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hung")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
