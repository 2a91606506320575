//! Waiting for something that another thread, process or server does.

use std::time::{Duration, Instant};

/// Nothing in these tests takes that long: one that waits so long has failed.
pub const MINUTE: Duration = Duration::from_secs(60);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `f` holds, looking every few milliseconds.
///
/// # Panics
///
/// Names `what` was waited for if it does not hold within `deadline`.
#[track_caller]
pub fn wait_until(what: &str, deadline: Duration, f: impl FnMut() -> bool) {
    assert!(
        holds_within(deadline, f),
        "waited {deadline:?} in vain: {what}"
    );
}

/// Whether `f` comes to hold within `deadline`. It is looked at least once.
pub(super) fn holds_within(deadline: Duration, mut f: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if f() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}
