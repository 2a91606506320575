//! The store's clock: the machine's, in whole microseconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use crate::span::span_micros;

pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is one that nobody has set.
    since.map_or(0, span_micros)
}

/// `span` after `at`.
pub(super) fn after(at: i64, span: Duration) -> i64 {
    at.saturating_add(span_micros(span))
}

/// Cut to what a date can be.
pub(crate) fn date(micros: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::microseconds(micros))
}
