//! Time that goes by at once, for tests.

use std::time::Duration;

use rusqlite::params;

use super::line::Flush;
use super::{SqliteStore, sql};
use crate::error::Result;
use crate::span::span_micros;

impl SqliteStore {
    /// Moves every moment in the database into the past, as if so much time had gone by for all
    /// who share it: leases expire, delayed messages come due.
    ///
    /// For the conformance suite, which cannot reach a database in memory by other means. Not
    /// covered by semver.
    #[doc(hidden)]
    pub fn advance(&self, by: Duration) -> Result<()> {
        self.write("advance", Flush::No, move |db| {
            for text in sql::ADVANCE {
                db.execute(text, params![span_micros(by)])?;
            }
            Ok(())
        })?;
        self.inner.watch.ring_all();
        Ok(())
    }
}
