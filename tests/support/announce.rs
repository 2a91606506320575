//! Saying on which PostgreSQL the tests run.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// Says that the server at `dsn` comes from `origin`, unless that was said.
pub(super) fn source(dsn: &str, origin: &str) -> Result<(), String> {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let row = super::dsn::connect(dsn)?
        .query_one("SHOW server_version", &[])
        .map_err(|err| format!("cannot ask the server from {origin} for its version: {err}"))?;
    let version: &str = row.get(0);
    // A distribution adds its own: "15.18 (Debian 15.18-0+deb12u1)".
    let number = version.split(' ').next().unwrap_or(version);
    let line = format!("pgqrs tests: PostgreSQL {number} from {origin}\n");
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if !said.contains(&line) {
        // Not eprintln!, which libtest would keep to itself. One write, so that
        // the line is not mixed with others; a closed stderr is no failure.
        let _ = std::io::stderr().write_all(line.as_bytes());
        said.push(line);
    }
    Ok(())
}
