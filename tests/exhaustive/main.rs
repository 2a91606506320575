//! Everything that can happen, within bounds, one after the other.
//!
//! - `sound`: all states of the protocol of leases, on the real `MockStore` by real producers and
//!   consumers, with every receipt that was ever handed out used in each; the rules that hold in
//!   each state; and stores with a fault, each of which is found by the rule that it breaks.
//! - `same`: the same calls in the same states on `SqliteStore`, which answers as `MockStore` does.
//! - `baton`: `src/pool/jobs.rs`, compiled with `loom`'s locks in the place of the system's, in every
//!   order in which its threads can meet; and slips that are found.
//!
//! The pool's fetching, handling, settling and renewing is gone through by a unit test,
//! `src/pool/tests/interleaved.rs`.
//!
//! `PGQRS_EXHAUSTIVE=1 cargo test --test exhaustive -- --nocapture` raises the bounds by so
//! much, which takes far longer, and tells how much there was.

mod baton;
mod calls;
mod explore;
mod faulty;
mod lease;
mod rules;
mod same;
mod sound;
mod sync;

#[path = "../../src/pool/jobs.rs"]
mod jobs;

/// By how much the bounds are raised.
fn deeper() -> usize {
    let text = std::env::var("PGQRS_EXHAUSTIVE").unwrap_or_default();
    text.parse().unwrap_or(0)
}
