//! Names of queues.

use pgqrs::{ErrorKind, Queue, SCHEMA};

use crate::planted;

/// A name is taken if, and only if, the rule says so.
pub fn queue_name(data: &[u8]) {
    let Ok(name) = std::str::from_utf8(data) else {
        return;
    };
    let checked = Queue::check_name(name);
    let is_taken = checked.is_ok() || (planted() && name.len() == 66);
    assert_eq!(is_taken, is_allowed(name), "{name:?}: {checked:?}");
    if let Err(error) = checked {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        // On one line, whatever is in the name: errors go to logs.
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
}

/// The rule as schema.sql has it, by a reader of the one form of pattern that stands there.
fn is_allowed(name: &str) -> bool {
    const CHECK: &str = "CHECK (name ~ '^[A-Za-z0-9_.-]{1,63}$')";
    debug_assert!(SCHEMA.contains(CHECK), "the rule has changed");
    let class = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => true,
        other => b"_.-".contains(&other),
    };
    (1..=63).contains(&name.len()) && name.bytes().all(class)
}
