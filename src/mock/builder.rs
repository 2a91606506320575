//! Settings of a [`MockStore`].

use time::OffsetDateTime;
use time::macros::datetime;

use super::MockStore;
use crate::error::Result;
use crate::settings::Settings;

/// Where the clock of a new store stands: no test depends on the day it runs.
pub(super) const FIRST_INSTANT: OffsetDateTime = datetime!(2000-01-01 00:00 UTC);

/// Where the clock stops: the last whole microsecond that a date can have.
pub(super) const LAST_INSTANT: OffsetDateTime = datetime!(9999-12-31 23:59:59.999999 UTC);

/// Makes a [`MockStore`] with settings of its own.
#[derive(Clone, Debug)]
#[must_use]
pub struct MockStoreBuilder {
    settings: Settings,
    now: OffsetDateTime,
}

impl MockStore {
    /// Starts a store with settings of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use pgqrs::{MockStore, Settings};
    ///
    /// let small = Settings { payload_limit: 10, ..Settings::default() };
    /// let store = MockStore::builder().settings(small).build()?;
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn builder() -> MockStoreBuilder {
        MockStoreBuilder {
            settings: Settings::default(),
            now: FIRST_INSTANT,
        }
    }
}

impl MockStoreBuilder {
    /// Sets what producers and consumers start from. Defaults to [`Settings::default`].
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets where the store's clock stands at first, cut to whole microseconds. Defaults to
    /// the beginning of the year 2000.
    pub fn now(mut self, now: OffsetDateTime) -> Self {
        let micros = now.nanosecond() / 1_000;
        self.now = now
            .replace_nanosecond(micros * 1_000)
            .unwrap_or(now)
            .to_offset(time::UtcOffset::UTC);
        self
    }

    /// Makes the store.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a setting that breaks its rule.
    pub fn build(self) -> Result<MockStore> {
        self.settings.check()?;
        Ok(MockStore::with(self.settings, self.now))
    }
}
