//! The signal that ends a consumer's sleep: something may have become ready.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select_biased};

use crate::stop::StopHandle;

/// What a [`Store`](crate::Store) rings when messages of a queue may have become ready.
///
/// A bell is a latch: once rung it stays so until its owner looks, and ringing it again
/// changes nothing. Ringing for nothing costs its owner one look. Clones are the same bell.
#[derive(Clone, Debug)]
pub struct Bell {
    rung: Arc<AtomicBool>,
    wake: Sender<()>,
}

impl Bell {
    /// Rings it. Never blocks.
    pub fn ring(&self) {
        self.rung.store(true, Ordering::SeqCst);
        // A full channel says the same already.
        let _ = self.wake.try_send(());
    }

    /// Whether it was rung since the last time that this was asked.
    pub(crate) fn take(&self) -> bool {
        self.rung.swap(false, Ordering::SeqCst)
    }
}

/// Makes bells that end one thread's sleep.
#[derive(Debug)]
pub(crate) struct Bells {
    wake: Sender<()>,
    woken: Receiver<()>,
}

impl Bells {
    pub(crate) fn new() -> Self {
        let (wake, woken) = bounded(1);
        Self { wake, woken }
    }

    pub(crate) fn bell(&self) -> Bell {
        Bell {
            rung: Arc::default(),
            wake: self.wake.clone(),
        }
    }

    /// Receives once, after any number of rings.
    pub(crate) fn woken(&self) -> &Receiver<()> {
        &self.woken
    }

    /// Waits until one rings or was rung since the last wait, or for the stop, but at most
    /// this long.
    pub(crate) fn wait(&self, stop: &StopHandle, at_most: Duration) {
        select_biased! {
            recv(stop.stopped()) -> _ => {}
            recv(self.woken) -> _ => {}
            default(at_most) => {}
        }
    }
}

/// The bells that consumers have hung up in a store of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ringing {
    hanging: Arc<Mutex<Hanging>>,
}

#[derive(Debug, Default)]
struct Hanging {
    /// What was hung up together, by its number: bells, and the queues that they ring for.
    bells: BTreeMap<u64, Vec<(i64, Bell)>>,
    last: u64,
}

impl Ringing {
    /// Hangs bells up, each for a queue, until the answer is dropped. Each rings once by that:
    /// what became ready before is to be looked for.
    pub(crate) fn hang_up(&self, bells: Vec<(i64, Bell)>) -> Hung {
        let mut hanging = self.lock();
        for (_, bell) in &bells {
            bell.ring();
        }
        hanging.last += 1;
        let number = hanging.last;
        hanging.bells.insert(number, bells);
        drop(hanging);
        Hung {
            ringing: self.clone(),
            number,
        }
    }

    /// A message of this queue may have become ready.
    pub(crate) fn ring(&self, queue_id: i64) {
        let hanging = self.lock();
        let all = hanging.bells.values().flatten();
        for (_, bell) in all.filter(|(queue, _)| *queue == queue_id) {
            bell.ring();
        }
    }

    /// Messages of any queue may have become ready.
    pub(crate) fn ring_all(&self) {
        for (_, bell) in self.lock().bells.values().flatten() {
            bell.ring();
        }
    }

    /// A panic cannot leave it half changed.
    fn lock(&self) -> MutexGuard<'_, Hanging> {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bells that hang until this is dropped.
#[derive(Debug)]
pub(crate) struct Hung {
    ringing: Ringing,
    number: u64,
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.ringing.lock().bells.remove(&self.number);
    }
}

#[cfg(test)]
impl Ringing {
    /// Whether none hangs.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().bells.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What rang since the last look.
    fn rung(bells: &[Bell]) -> Vec<bool> {
        bells.iter().map(Bell::take).collect()
    }

    #[test]
    fn a_bell_that_is_hung_up_rings_at_once_and_for_its_queue() {
        let (ringing, bells) = (Ringing::default(), Bells::new());
        let all = [bells.bell(), bells.bell(), bells.bell()];
        let [one, two, other] = all.clone();
        let _both = ringing.hang_up(vec![(1, one), (2, two)]);
        let _other = ringing.hang_up(vec![(1, other)]);
        assert_eq!(rung(&all), [true, true, true]);

        ringing.ring(1);
        assert_eq!(rung(&all), [true, false, true]);
        ringing.ring(2);
        assert_eq!(rung(&all), [false, true, false]);
        ringing.ring(3);
        assert_eq!(rung(&all), [false, false, false]);
        ringing.ring_all();
        assert_eq!(rung(&all), [true, true, true]);
        assert!(bells.woken().try_recv().is_ok());
    }

    #[test]
    fn a_bell_that_was_taken_down_rings_no_more() {
        let (ringing, bells) = (Ringing::default(), Bells::new());
        let all = [bells.bell(), bells.bell()];
        let [gone, stays] = all.clone();
        let first = ringing.hang_up(vec![(1, gone)]);
        let _second = ringing.hang_up(vec![(1, stays)]);
        rung(&all);
        drop(first);
        ringing.ring(1);
        ringing.ring_all();
        assert_eq!(rung(&all), [false, true]);
    }
}
