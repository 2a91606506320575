//! The server: a database for each queue, and who asks it whether the counting was right.

use postgres::config::Host;
use postgres::{Client, Config, NoTls};

use crate::Result;

/// The database of one queue, from its making to its end: whatever has happened, it is dropped.
///
/// One each, so that whatever a queue leaves behind is in nobody else's way; and an old
/// snapshot keeps vacuum from its own database only.
pub(crate) struct Database {
    /// How to reach it: as a URL that all client libraries understand.
    pub(crate) url: String,
    /// A session that none of the queues uses.
    pub(crate) monitor: Client,
    name: String,
    admin: Client,
}

impl Database {
    pub(crate) fn create(dsn: &str, name: &str) -> Result<Self> {
        let mut admin = Client::connect(dsn, NoTls)?;
        admin.batch_execute(&format!("CREATE DATABASE {name}"))?;
        let url = url(dsn, name)?;
        match Client::connect(&url, NoTls) {
            Ok(monitor) => Ok(Self {
                url,
                monitor,
                name: name.to_owned(),
                admin,
            }),
            Err(error) => {
                admin.batch_execute(&format!("DROP DATABASE {name}"))?;
                Err(error.into())
            }
        }
    }

    pub(crate) fn connect(&self) -> Result<Client> {
        Ok(Client::connect(&self.url, NoTls)?)
    }

    pub(crate) fn count(&mut self, sql: &str) -> Result<u64> {
        Ok(u64::try_from(
            self.monitor.query_one(sql, &[])?.try_get::<_, i64>(0)?,
        )?)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        if let Err(error) = self.admin.batch_execute(&sql) {
            eprintln!("{} stays behind: {error}", self.name);
        }
    }
}

/// The URL of another database of the same server.
fn url(dsn: &str, database: &str) -> Result<String> {
    let config: Config = dsn.parse()?;
    let mut authority = String::new();
    if let Some(user) = config.get_user() {
        authority += &encoded(user.as_bytes());
        if let Some(password) = config.get_password() {
            authority += ":";
            authority += &encoded(password);
        }
        authority += "@";
    }
    match config.get_hosts().first() {
        Some(Host::Tcp(name)) if name.contains(':') => authority += &format!("[{name}]"),
        Some(Host::Tcp(name)) => authority += name,
        Some(Host::Unix(path)) => authority += &encoded(path.to_string_lossy().as_bytes()),
        None => authority += "localhost",
    }
    let port = config.get_ports().first().unwrap_or(&5432);
    // No library encrypts, so that none does it alone.
    Ok(format!(
        "postgresql://{authority}:{port}/{database}?sslmode=disable"
    ))
}

fn encoded(bytes: &[u8]) -> String {
    let encode = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(*byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(encode).collect()
}
