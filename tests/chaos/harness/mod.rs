//! What runs producers and workers under hostile conditions, and what tells afterwards whether
//! anything was lost or done twice: for the chaos tests and the soak.

#![allow(
    dead_code,
    reason = "the tests and the soak both include this, and use a part of it"
)]

pub(crate) mod audit;
pub(crate) mod child;
pub(crate) mod ledger;
pub(crate) mod run;
pub(crate) mod snapshot;
pub(crate) mod wire;

#[path = "../../support/example.rs"]
mod example;

#[path = "../errand.rs"]
pub(crate) mod errand;
#[path = "../line.rs"]
pub(crate) mod line;
