//! A test that runs in a process of its own: for what a whole process has, its threads, its
//! user, its mounts.

use std::env;
use std::process::Command;

/// Tells the child that it is the child, and hands it one word.
const WORD: &str = "PGQRS_TEST_ALONE";

/// In the child: the word that it was given.
pub(crate) fn word() -> Option<String> {
    env::var(WORD).ok()
}

/// Runs the test of this name as `command`: this program, or what ends in starting it.
///
/// # Panics
///
/// With what it said, if it fails there, or is not there.
#[track_caller]
pub(crate) fn run(mut command: Command, test: &str, word: &str) {
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(WORD, word);
    let output = command.output().unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let [stdout, stderr] = &text;
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "in a process of its own, {:?}: {}\n{stdout}\n{stderr}",
        command.get_program(),
        output.status
    );
}
