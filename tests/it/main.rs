//! The tests against a real PostgreSQL; `tests/support` finds or starts it.

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
mod ear;
mod explained;
mod hot_path;
mod idle;
mod layers;
mod logged;
mod logins;
mod model;
mod once;
mod outage;
mod pg;
mod places;
mod plans;
mod plans_once;
mod promises;
mod proxy;
mod queues;
mod quickstart;
mod quiet;
mod reconnect;
mod refuser;
mod rights;
mod roles;
mod schema;
mod secrets;
mod shutdown;
mod taken;
mod together;
mod transactions;
mod values;
mod wake;
