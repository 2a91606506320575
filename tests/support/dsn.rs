//! Connecting to a DSN, and naming it without its secrets.

use postgres::config::Host;
use postgres::{Client, Config, NoTls};

/// A new connection to `dsn`.
pub(super) fn connect(dsn: &str) -> Result<Client, String> {
    let server = address(dsn)?;
    Client::connect(dsn, NoTls)
        .map_err(|err| format!("cannot connect to PostgreSQL at {server}: {}", causes(&err)))
}

/// Where a DSN leads, without user and password.
pub(super) fn address(dsn: &str) -> Result<String, String> {
    // Without its cause, which may repeat a part of the password.
    let config: Config = dsn
        .parse()
        .map_err(|err: postgres::Error| format!("this is no DSN: {err}"))?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config
            .get_hostaddrs()
            .first()
            .map_or_else(|| "no host".to_owned(), ToString::to_string),
    };
    let port = config.get_ports().first().unwrap_or(&5432);
    Ok(format!("{host}, port {port}"))
}

/// An error with all that led to it: `postgres` and `testcontainers` put what
/// matters into the causes.
pub(super) fn causes(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Some errors repeat their cause in their own text.
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
