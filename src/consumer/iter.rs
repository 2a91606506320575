//! The endless iterator over a consumer's messages.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Consumer;
use super::wait::Wait;
use crate::error::Result;
use crate::message::Message;
use crate::store::Store;

/// An endless iterator over messages; see [`Consumer::iter`].
#[derive(Debug)]
#[must_use]
pub struct Messages<'a, S: Store> {
    consumer: &'a Consumer<S>,
    ahead: VecDeque<Message>,
    /// When the leases of `ahead` may run out, by this machine's clock, counted from before
    /// they began; `None`: not in this clock's time.
    leased_until: Option<Instant>,
    wait: Wait,
    failed: bool,
}

impl<'a, S: Store> Messages<'a, S> {
    pub(super) fn new(consumer: &'a Consumer<S>) -> Self {
        Self {
            consumer,
            ahead: VecDeque::new(),
            leased_until: None,
            wait: Wait::default(),
            failed: false,
        }
    }

    /// Waits for messages; leaves none in `ahead` only on stop.
    fn fetch(&mut self) -> Result<()> {
        let settings = &self.consumer.settings;
        while self.ahead.is_empty() && !self.consumer.stop.is_stopped() {
            self.leased_until = Instant::now().checked_add(settings.lock_time);
            self.ahead = self.consumer.dequeue()?.into();
            match self.ahead.is_empty() {
                true => self.wait.for_messages(self.consumer, self.consumer.pause()),
                false => self.wait.found(self.consumer),
            }
        }
        Ok(())
    }

    /// Releases what was fetched and not handed out. Where that fails, the leases run out
    /// by themselves: the same, later.
    fn give_back(&mut self) {
        if !self.ahead.is_empty() {
            let _ = self.consumer.release_many(&self.ahead, Duration::ZERO);
            self.ahead.clear();
        }
    }
}

impl<S: Store> Iterator for Messages<'_, S> {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.leased_until.is_some_and(|end| end <= Instant::now()) {
            self.give_back();
        }
        if self.failed {
            // No bell cuts this one short: what rings may be what fails.
            self.consumer.stop.wait_timeout(self.consumer.pause());
            self.failed = false;
        }
        if let Err(error) = self.fetch() {
            self.failed = true;
            return Some(Err(error));
        }
        if self.consumer.stop.is_stopped() {
            self.give_back();
            return None;
        }
        self.ahead.pop_front().map(Ok)
    }
}

impl<S: Store> Drop for Messages<'_, S> {
    fn drop(&mut self) {
        self.give_back();
    }
}
