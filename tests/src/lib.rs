//! What several of the tests share. Unlike `pgqrs-test-support`, this crate knows the library.

pub mod chaos;
pub mod model;
pub mod quickstart;
pub mod sleeper;
pub mod told;
