//! Hostile conditions: real producers and worker processes on a real PostgreSQL, something that
//! goes wrong, and at the end always the same audit. See RELIABILITY.md.
//!
//! `cargo test --test chaos` runs it all; `-- --nocapture` shows the figures of each.

#[path = "../support/mod.rs"]
mod support;

mod harness;

mod bouncer;
mod clock;
mod failover;
mod faults;
mod network;
mod resources;
mod rules;
mod servers;
mod upgrade;
mod workers;
