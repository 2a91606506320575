//! Queues in an SQLite file, each library in a program of its own: they depend on different versions
//! of SQLite, and cargo allows one in a program.

pub(crate) mod job;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use self::job::Job;
use crate::Result;
use crate::drive::Done;

pub(crate) const OURS: &str = "pgqrs sqlite";
pub(crate) const ONE_CALL: &str = "pgqrs sqlite in one call";
pub(crate) const ASYNC: &str = "pgqrs 0.15.3 sqlite";
pub(crate) const NAMES: &[&str] = &[OURS, ONE_CALL, ASYNC];

const OUR_PROGRAM: &str = "our_sqlite";
const ASYNC_PROGRAM: &str = "async_sqlite";
/// What the programs were built of.
pub(crate) const LOCKS: [(&str, &str); 2] = [
    (OUR_PROGRAM, include_str!("../../our_sqlite/Cargo.lock")),
    (ASYNC_PROGRAM, include_str!("../../async_sqlite/Cargo.lock")),
];

/// The programs, built.
pub(crate) struct Programs {
    ours: PathBuf,
    theirs: PathBuf,
}

impl Programs {
    pub(crate) fn build() -> Result<Self> {
        Ok(Self {
            ours: build(OUR_PROGRAM)?,
            theirs: build(ASYNC_PROGRAM)?,
        })
    }

    /// Has a queue do the work, in a file of its own.
    pub(crate) fn run(&self, queue: &str, job: &Job) -> Result<Done> {
        let program = match queue {
            ASYNC => &self.theirs,
            _ => &self.ours,
        };
        // Beside the programs: directories for temporary files are often in memory.
        let directory = tempfile::tempdir_in(program.parent().ok_or("no directory")?)?;
        let output = Command::new(program)
            .arg(directory.path().join("queue.db"))
            .arg(serde_json::to_string(job)?)
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("{}: {}", program.display(), output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// As this program itself was built: optimized or not.
fn build(name: &str) -> Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    // With ours, as much of it is the same.
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    // What `cargo run` says of this package: crates that look at it would be built anew each time
    // it comes or goes.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        command.arg("--release");
        "release"
    };
    let status = command.status()?;
    if !status.success() {
        return Err(format!("{name} was not built: {status}").into());
    }
    let program = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Ok(target.join(profile).join(program))
}
