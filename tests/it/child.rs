//! Processes that work on a test's schema.

use std::process::Command;

use crate::pg::Pg;
use pgqrs_test_support::process::Process;

/// Starts a program on the schema.
pub(crate) fn start(program: &str, pg: &Pg) -> Process {
    let mut command = Command::new(program);
    command
        .env("PGQRS_DSN", pg.schema.dsn())
        .env("PGQRS_SCHEMA", pg.schema.name());
    Process::run(&mut command)
}

/// Sends it a signal: std has none but KILL.
pub(crate) fn signal(process: &Process, signal: &str) {
    let script = r#"kill -s "$1" "$2""#;
    let pid = process.id().to_string();
    let sent = Command::new("sh")
        .args(["-c", script, "sh", signal, &pid])
        .status();
    assert!(sent.unwrap().success());
}
