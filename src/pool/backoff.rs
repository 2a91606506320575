//! Pauses between tries while a store cannot be reached.

use std::time::Duration;

use super::Shared;
use crate::error::Error;
use crate::retry::RetryPolicy;

/// The first pause, and the longest.
const PAUSES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_secs(10);

/// Counts the failures of one thread's calls in a row.
#[derive(Debug)]
pub(super) struct Backoff {
    doing: &'static str,
    failures: i32,
}

impl Backoff {
    /// `doing`: as in [`Events::reconnecting`](crate::Events::reconnecting).
    pub(super) fn new(doing: &'static str) -> Self {
        Self { doing, failures: 0 }
    }

    /// Says that a call failed, and returns how long to wait before the next try.
    pub(super) fn failed(&mut self, shared: &Shared, error: &Error) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let policy = RetryPolicy::exponential(PAUSES).attempts(u32::MAX);
        let pause = policy.delay(self.failures, fastrand::f64());
        let pause = pause.unwrap_or(*PAUSES.end());
        let told = &shared.reporter;
        told.tell(|events| events.reconnecting(self.doing, error, pause));
        pause
    }

    /// Says that a call succeeded.
    pub(super) fn succeeded(&mut self, shared: &Shared) {
        if self.failures > 0 {
            self.failures = 0;
            shared
                .reporter
                .tell(|events| events.reconnected(self.doing));
        }
    }
}
