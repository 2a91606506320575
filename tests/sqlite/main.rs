//! What is the SQLite store's own: several processes on one file, crashes, files that are none.
//! The conformance suite runs on it among the unit tests.

mod support {
    pub(crate) use crate::wait::wait_until;
}

#[path = "../support/example.rs"]
mod example;
#[path = "../support/quickstart.rs"]
mod killed_quickstart;
#[path = "../support/model.rs"]
mod model_steps;
#[path = "../support/process.rs"]
#[allow(dead_code, reason = "the other test uses more of it")]
mod process;
#[path = "../support/sleeper.rs"]
#[allow(dead_code, reason = "the other test uses more of it")]
mod sleeper;
#[path = "../support/told.rs"]
#[allow(dead_code, reason = "the other test uses more of it")]
mod told;
#[path = "../support/wait.rs"]
#[allow(unreachable_pub, reason = "the other test's examples use it")]
mod wait;

mod alone;
mod audit;
mod clock;
mod fair;
mod file;
mod full;
mod idle;
mod kill;
mod locked;
mod many;
mod model;
mod once;
mod payloads;
mod quickstart;
mod refused;
mod rights;
mod schemas;
mod theirs;
mod wake;
