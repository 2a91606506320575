//! Everything that can happen, within bounds, one after the other: the leases of a store,
//! and the threads of a pool.
//!
//! - `sound` goes through all states of the real `MockStore`, through real producers and
//!   consumers, and checks the rules in each; and finds each seeded fault, by the rule it breaks.
//! - `PGQRS_EXHAUSTIVE=1 cargo test --test exhaustive -- --nocapture` goes deeper, and tells how
//!   much there was.

mod baton;
mod calls;
mod explore;
mod faulty;
mod lease;
mod rules;
mod sound;
mod sync;

#[path = "../../src/pool/jobs.rs"]
mod jobs;
