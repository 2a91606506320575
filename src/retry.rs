//! When a message that failed comes again, and how often.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::span::MAX_SPAN;

/// How long to wait before each retry, and after how many attempts to give up.
///
/// The wait before the retry that follows attempt `n` is the first wait doubled `n - 1`
/// times, give or take a quarter at random, and never outside the range: what failed
/// together comes back spread out. (The rule is the usual exponential backoff with jitter;
/// see Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use pgqrs::RetryPolicy;
///
/// let second = Duration::from_secs(1);
/// let policy = RetryPolicy::exponential(second..=600 * second).attempts(8);
/// assert_eq!(policy.delay(1, 0.0), Some(second));
/// assert_eq!(policy.delay(3, 0.5), Some(4 * second));
/// assert_eq!(policy.delay(8, 0.5), None); // eight attempts, and no more
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl RetryPolicy {
    /// Waits as long as the range begins before the first retry, doubles it before each
    /// further one, and never waits longer than the range ends. Waits over [`MAX_SPAN`] are
    /// cut to it.
    ///
    /// Five attempts, unless [`attempts`](Self::attempts) says otherwise.
    #[must_use]
    pub fn exponential(waits: RangeInclusive<Duration>) -> Self {
        Self {
            first: (*waits.start()).min(MAX_SPAN),
            longest: (*waits.end()).min(MAX_SPAN),
            attempts: 5,
        }
    }

    /// Waits the same before each retry, without jitter.
    ///
    /// Five attempts, unless [`attempts`](Self::attempts) says otherwise.
    #[must_use]
    pub fn fixed(wait: Duration) -> Self {
        Self::exponential(wait..=wait)
    }

    /// Never retries: the first failure is the last.
    #[must_use]
    pub fn never() -> Self {
        Self::fixed(Duration::ZERO).attempts(1)
    }

    /// Sets how often a message is worked on at most, the first time included: at least 1.
    /// After that many it goes to the dead letters. Defaults to 5.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Returns how often a message is worked on at most.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns how long to wait after attempt number `attempt` (counted from 1) has failed;
    /// `None` if that was the last one.
    ///
    /// `jitter` is a random number from 0 to 1 (what is outside counts as the nearer end).
    #[must_use]
    pub fn delay(&self, attempt: i32, jitter: f64) -> Option<Duration> {
        let attempt = u32::try_from(attempt).unwrap_or(0).max(1);
        if attempt >= self.attempts {
            return None;
        }
        let factor = 2_u32.checked_pow(attempt - 1).unwrap_or(u32::MAX);
        let wait = self.first.saturating_mul(factor).min(self.longest);
        let least = self.first.max(wait - wait / 4);
        let most = self.longest.min(wait + wait / 4);
        let spread = most.saturating_sub(least);
        Some(least + spread.mul_f64(jitter.clamp(0.0, 1.0)))
    }

    /// Checks the rules.
    pub(crate) fn check(&self) -> Result<()> {
        if self.attempts == 0 {
            return Err(Error::invalid(
                "retry: attempts is 0: a message that is never worked on needs no handler",
            ));
        }
        if self.first > self.longest {
            return Err(Error::invalid(format!(
                "retry: the first wait, {:?}, is longer than the longest, {:?}",
                self.first, self.longest
            )));
        }
        Ok(())
    }
}

impl Default for RetryPolicy {
    /// Exponential, from 1 second to 10 minutes, five attempts.
    fn default() -> Self {
        Self::exponential(Duration::from_secs(1)..=Duration::from_secs(600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = RetryPolicy::exponential(SECOND..=10 * SECOND).attempts(u32::MAX);
        let waits: Vec<_> = (1..7)
            .map(|attempt| policy.delay(attempt, 0.5).unwrap().as_millis())
            .collect();
        assert_eq!(waits, [1_125, 2_000, 4_000, 8_000, 8_750, 8_750]);
    }

    #[test]
    fn jitter_stays_within_a_quarter_and_within_the_range() {
        let policy = RetryPolicy::exponential(SECOND..=100 * SECOND).attempts(100);
        let ends = |attempt| [0.0, 1.0].map(|j| policy.delay(attempt, j).unwrap().as_millis());
        assert_eq!(ends(1), [1_000, 1_250]);
        assert_eq!(ends(4), [6_000, 10_000]);
        assert_eq!(ends(50), [75_000, 100_000]);
        assert_eq!(policy.delay(4, -7.0), policy.delay(4, 0.0));
        assert_eq!(policy.delay(4, f64::INFINITY), policy.delay(4, 1.0));
    }

    #[test]
    fn the_last_attempt_has_no_retry() {
        let policy = RetryPolicy::fixed(SECOND).attempts(3);
        let delays = [0, 1, 2, 3, 4, i32::MAX].map(|attempt| policy.delay(attempt, 0.3));
        assert_eq!(delays[..3], [Some(SECOND); 3]);
        assert_eq!(delays[3..], [None; 3]);
        assert_eq!(RetryPolicy::never().delay(1, 0.3), None);
    }

    #[test]
    fn nothing_overflows() {
        let policy = RetryPolicy::exponential(Duration::MAX..=Duration::MAX).attempts(u32::MAX);
        assert_eq!(policy.delay(i32::MAX, 1.0), Some(MAX_SPAN));
        let policy = RetryPolicy::exponential(Duration::ZERO..=MAX_SPAN).attempts(u32::MAX);
        assert_eq!(policy.delay(i32::MAX, 1.0), Some(Duration::ZERO));
    }

    #[test]
    fn bad_policies_are_refused() {
        let error = RetryPolicy::default().attempts(0).check().unwrap_err();
        assert!(error.to_string().contains("attempts is 0"), "{error}");
        let error = RetryPolicy::exponential(2 * SECOND..=SECOND).check();
        assert!(error.unwrap_err().to_string().contains("2s"));
        assert!(RetryPolicy::default().check().is_ok());
    }
}
