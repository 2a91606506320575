//! Hostile conditions: real producers and worker processes on a real PostgreSQL, something that
//! goes wrong, and at the end always the same audit. See RELIABILITY.md.
//!
//! `cargo test --test chaos` runs it all; `-- --nocapture` shows the figures of each.

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

/// The program of a run's processes.
const CLIENT: &str = env!("CARGO_BIN_EXE_chaos_client");
