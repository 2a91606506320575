//! What several of the tests share: other than `pgqrs-test-support`, it knows the library.

pub mod chaos;
pub mod model;
pub mod quickstart;
pub mod sleeper;
pub mod told;
