//! What figures depend on.

use postgres::Client;
use serde_json::{Map, Value, json};

use crate::Result;
use crate::sqlite;

/// Of the server, if there is one; and of the machine and the programs.
pub(crate) fn settings(server: Option<&mut Client>) -> Result<Map<String, Value>> {
    let mut all = Map::new();
    if let Some(server) = server {
        for name in [
            "server_version",
            "shared_buffers",
            "fsync",
            "synchronous_commit",
            "full_page_writes",
            "wal_level",
            "max_wal_size",
            "autovacuum",
        ] {
            let value: String = server.query_one(&format!("SHOW {name}"), &[])?.try_get(0)?;
            all.insert(name.to_owned(), value.into());
        }
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    all.insert("cores".to_owned(), cores.into());
    all.insert("cpu".to_owned(), cpu().into());
    all.insert(
        "crates".to_owned(),
        json!(crates(include_str!("../Cargo.lock"))),
    );
    for (program, lock) in sqlite::LOCKS {
        all.insert(format!("crates of {program}"), json!(crates(lock)));
    }
    Ok(all)
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(": "));
    model.map_or("unknown", |(_, model)| model).to_owned()
}

/// The versions of the crates that are compared, and of what they connect with: as they were
/// locked when this was built.
fn crates(lock: &str) -> Vec<String> {
    let wanted = [
        "pgqrs",
        "fang",
        "graphile_worker",
        "pgmq",
        "postgres",
        "sqlx",
        "diesel",
        "rusqlite",
    ];
    let field = |line: &str, name: &str| {
        let value = line.strip_prefix(name)?.strip_prefix(" = \"")?;
        value.strip_suffix('"').map(str::to_owned)
    };
    let mut found = Vec::new();
    let mut name = None;
    for line in lock.lines() {
        if let Some(value) = field(line, "name") {
            name = Some(value);
        } else if let (Some(version), Some(name)) = (field(line, "version"), name.take())
            && wanted.contains(&name.as_str())
        {
            found.push(format!("{name} {version}"));
        }
    }
    found
}
