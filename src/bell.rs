//! The signal that ends a consumer's sleep: something may have become ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

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
}
