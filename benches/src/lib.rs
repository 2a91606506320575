//! What the load drivers among the examples share.

mod target;

pub use self::target::Target;
