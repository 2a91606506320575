//! Spans of time as a store counts them: whole microseconds, up to a thousand years.

use std::time::Duration;

/// The longest span that a store works with: 1,000 years of 365.25 days. Longer ones are
/// cut to it, so that "now plus a span" is always a date that every part of the system
/// can write down.
pub const MAX_SPAN: Duration = Duration::from_secs(31_557_600_000);

/// Converts a span to microseconds, the resolution of PostgreSQL's clock: rounded up, so
/// that what is not zero stays so, and cut to [`MAX_SPAN`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// assert_eq!(pgqrs::span_micros(Duration::from_nanos(1)), 1);
/// assert_eq!(pgqrs::span_micros(Duration::MAX), pgqrs::span_micros(pgqrs::MAX_SPAN));
/// ```
#[must_use]
pub fn span_micros(span: Duration) -> i64 {
    let micros = span.min(MAX_SPAN).as_nanos().div_ceil(1_000);
    i64::try_from(micros).unwrap_or(i64::MAX)
}
