//! What each fuzz target does with its bytes: reads them, and checks what must hold.
//!
//! Functions, so that `cargo test` runs the seeds through them without a fuzzer.

#[cfg(not(fuzzing))]
compile_error!("run cargo in the directory fuzz/, whose .cargo/config.toml sets cfg(fuzzing)");

mod dsn;
mod encode;
mod environment;
mod queue_name;
mod stored;
mod typed;

pub use crate::dsn::dsn;
pub use crate::encode::encode;
pub use crate::environment::environment;
pub use crate::queue_name::queue_name;
pub use crate::stored::stored;
pub use crate::typed::typed;

/// Whether the environment asks for a defect: each target then has one in what the library
/// answers, which its seeds do not meet, so that it can be seen to find anything at all.
fn planted() -> bool {
    static PLANTED: std::sync::LazyLock<bool> =
        std::sync::LazyLock::new(|| std::env::var_os("PGQRS_FUZZ_PLANTED").is_some());
    *PLANTED
}

/// Everything that an error tells, to whoever prints it in whatever way.
fn told(error: &pgqrs::Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!("\n{cause}\n{cause:?}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
