//! The settings that every store has, and that its consumers start from.

use std::time::Duration;

use crate::error::{Error, Result};

/// What a store's producers and consumers do unless they are told otherwise.
///
/// Set on the store's builder; a [`ConsumerBuilder`](crate::ConsumerBuilder) overrides the
/// first three for one consumer.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use pgqrs::{MockStore, Settings, Store};
///
/// let store = MockStore::builder()
///     .settings(Settings { lock_time: Duration::from_secs(30), ..Settings::default() })
///     .build()?;
/// assert_eq!(store.settings().batch, 100);
/// # Ok::<(), pgqrs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a dequeued message is hidden from other consumers. Not zero; cut to
    /// [`MAX_SPAN`](crate::MAX_SPAN). Defaults to 5 seconds.
    pub lock_time: Duration,
    /// How many messages a plain `dequeue` takes at most: 1 to `i32::MAX`. Defaults to 100.
    pub batch: usize,
    /// The pause between two looks at an empty queue, give or take a jitter of up to a
    /// quarter more. Not zero. Defaults to 250 milliseconds.
    pub poll_interval: Duration,
    /// The longest payload, in bytes of JSON text. Defaults to 1 MiB.
    pub payload_limit: usize,
    /// For how long a key is remembered after the enqueue that stored its message: see
    /// [`NewMessage::with_key`](crate::NewMessage::with_key). Not zero; cut to
    /// [`MAX_SPAN`](crate::MAX_SPAN). Defaults to a day.
    pub key_retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lock_time: Duration::from_secs(5),
            batch: 100,
            poll_interval: Duration::from_millis(250),
            payload_limit: 1024 * 1024,
            key_retention: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Settings {
    /// Checks every setting against its rule.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the setting and the rule.
    pub fn check(&self) -> Result<()> {
        check_lock_time(self.lock_time)?;
        check_limit("batch", self.batch)?;
        if self.poll_interval.is_zero() {
            return Err(Error::invalid(
                "poll_interval is zero: a consumer would ask without a pause",
            ));
        }
        if self.payload_limit == 0 {
            return Err(Error::invalid("payload_limit is 0: no payload would fit"));
        }
        if self.key_retention.is_zero() {
            return Err(Error::invalid(
                "key_retention is zero: a key would be forgotten before its enqueue is repeated",
            ));
        }
        Ok(())
    }
}

/// A lease of no length would be over before its message arrives.
pub(crate) fn check_lock_time(lock_time: Duration) -> Result<()> {
    if lock_time.is_zero() {
        return Err(Error::invalid(
            "lock_time is zero: the lease would be over before the message arrives",
        ));
    }
    Ok(())
}

/// How many messages one call may ask for; returns the number as stores count.
pub(crate) fn check_limit(name: &str, limit: usize) -> Result<i32> {
    match i32::try_from(limit) {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err(Error::invalid(format!(
            "{name} is {limit}, which is not in 1..={}",
            i32::MAX
        ))),
    }
}
