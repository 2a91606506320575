//! Hostile conditions: `run` starts, kills and audits the processes whose program is `client`, for the
//! chaos tests and the soak.

pub mod audit;
pub mod child;
pub mod client;
pub mod errand;
pub mod ledger;
pub mod line;
pub mod run;
pub mod snapshot;
pub mod wire;
