//! The conformance suite: what a [`Store`](pgqrs::Store) promises, as tests that any store
//! can run. [`MockStore`](pgqrs::MockStore), `PgStore` and `SqliteStore` pass it.
//!
//! ```toml
//! [dev-dependencies]
//! pgqrs-testing = { path = "../pgqrs/crates/pgqrs-testing" } # where the clone is
//! ```
//!
//! Write a [`Harness`], which makes fresh stores and moves their clock, and name it in
//! [`conformance!`]: every case becomes a `#[test]` of its own, in the module where the
//! macro stands. A store that is [`Transactional`](pgqrs::Transactional) has a
//! [`TransactionalHarness`] and [`transactional_conformance!`] besides.
//!
//! While a caller's transaction is open, the cases of [`transactional_conformance!`] only read
//! from outside: an embedded database, such as SQLite, has one writer at a time. Where a
//! transaction keeps nobody else from writing, as on PostgreSQL, the cases of
//! [`concurrent_transactional_conformance!`] are to hold as well: others enqueue, lease and
//! extend beside it, and neither see what it has not committed nor get what it settles.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use pgqrs::MockStore; // your own store here
//! use pgqrs_testing::Harness;
//!
//! struct Fresh(MockStore);
//!
//! impl Fresh {
//!     fn new() -> Self {
//!         Fresh(MockStore::new())
//!     }
//! }
//!
//! impl Harness for Fresh {
//!     type Store = MockStore;
//!
//!     fn store(&self) -> MockStore {
//!         self.0.clone()
//!     }
//!
//!     fn advance(&self, by: Duration) {
//!         self.0.advance(by);
//!     }
//! }
//!
//! mod conformance {
//!     # use super::*;
//!     pgqrs_testing::conformance!(super::Fresh::new());
//! }
//!
//! # fn main() {
//! // A single case, by hand:
//! pgqrs_testing::conformance::an_expired_lease_is_redelivered(&Fresh::new());
//! # }
//! ```
//!
//! # What a store may rely on
//!
//! The cases never sleep: time passes by [`Harness::advance`]. They pass on a clock that
//! stands still otherwise as well as on one that runs, on a machine however slow, as they
//! compare times within one answer only and make leases an hour long where those are not
//! to run out.
//!
//! # Not covered by semver
//!
//! Cases may be added, renamed or made stricter in any release: a store that fails a new
//! one broke the contract before. The traits and macros may change in a minor release.
#![warn(missing_docs, missing_debug_implementations)]
#![warn(clippy::missing_errors_doc)]
#![allow(
    clippy::missing_panics_doc,
    reason = "a case answers by returning or by panicking, and says when in its first line"
)]

mod each;
mod harness;
pub mod in_time;
mod list;
mod list_tx;

pub mod conformance;

pub use self::harness::{End, Harness, TransactionalHarness};
#[doc(inline)]
pub use crate::__concurrent_transactional_conformance as concurrent_transactional_conformance;
#[doc(inline)]
pub use crate::__conformance as conformance;
#[doc(inline)]
pub use crate::__transactional_conformance as transactional_conformance;
