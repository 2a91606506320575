//! The tests against a real PostgreSQL; `tests/support` says where it comes from.

#[path = "../support/mod.rs"]
mod support;

#[path = "../../src/pg/sql.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "only the list of statements is used here"
)]
mod sql;

mod child;
mod costs;
mod counted;
mod crash;
mod explained;
mod hot_path;
mod idle;
mod layers;
mod model;
mod outage;
mod pg;
mod places;
mod plans;
mod proxy;
mod queues;
mod quickstart;
mod quiet;
mod reconnect;
mod schema;
mod shutdown;
mod sleeper;
mod taken;
mod together;
mod told;
mod transactions;
mod values;
mod wake;
