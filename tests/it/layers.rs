//! Imports point down, and foreign crates stay where they belong: the picture in
//! ARCHITECTURE.md, checked.

use std::fs;
use std::path::Path;

/// Ground modules, lowest first: each may use those before it.
const GROUND: &[&str] = &[
    "error", "sync", "span", "settings", "vars", "queue", "retry", "message", "stop", "bell",
];

/// Every other module, and what it may use besides the ground.
const ABOVE: &[(&str, &[&str])] = &[
    ("store", &[]),
    ("mock", &["store"]),
    ("pg", &["store"]),
    ("sqlite", &["store"]),
    ("producer", &["store"]),
    ("consumer", &["store"]),
    ("event", &[]),
    ("pool", &["store", "consumer", "event"]),
    // Where a DSN decides: it names every store, and nothing names it.
    ("connect", &["store", "mock", "pg", "sqlite"]),
];

/// Crates that have their homes.
const HOMES: &[(&str, &[&str])] = &[
    ("postgres::", &["pg"]),
    ("r2d2", &["pg"]),
    ("rusqlite", &["sqlite"]),
    ("humantime", &["vars"]),
    (
        "crossbeam",
        &["sync", "stop", "bell", "pool", "pg", "sqlite"],
    ),
];

fn may_use(owner: &str, used: &str) -> bool {
    let height = |module: &str| GROUND.iter().position(|ground| *ground == module);
    match (height(owner), height(used)) {
        (Some(owner), Some(used)) => used < owner,
        (Some(_), None) => false,
        (None, Some(_)) => true,
        (None, None) => ABOVE
            .iter()
            .any(|(module, uses)| *module == owner && uses.contains(&used)),
    }
}

/// Collects what is wrong in a file that belongs to the module `owner`.
fn check_text(name: &str, owner: &str, text: &str, wrong: &mut Vec<String>) {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().map(str::trim);
    for line in lines.filter(|line| !line.starts_with("//")) {
        for used in line.split("crate::").skip(1) {
            let used = used
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default();
            if used != owner && !may_use(owner, used) {
                wrong.push(format!("{name} must not use crate::{used}"));
            }
        }
        for (foreign, homes) in HOMES {
            if !homes.contains(&owner) && line.contains(foreign) {
                wrong.push(format!("{name} must not name {foreign}"));
            }
        }
    }
}

fn check(dir: &Path, owner: Option<&str>, wrong: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let owner = owner.unwrap_or(&stem);
        // The facade names everything; the fuzz targets' door is used by nobody. Tests may use
        // anything.
        if matches!(owner, "lib" | "fuzzing") || stem == "tests" {
            continue;
        }
        if path.is_dir() {
            check(&path, Some(owner), wrong);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            check_text(&path.display().to_string(), owner, &text, wrong);
        }
    }
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    check(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../src"),
        None,
        &mut wrong,
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_import_that_points_up_is_found() {
    for (owner, line) in [
        ("error", "use crate::queue::Queue;"),
        ("store", "use crate::pg::PgStore;"),
        ("mock", "use crate::pg::PgStore;"),
        ("pg", "use crate::producer::Producer;"),
        ("event", "use crate::pool::WorkerPool;"),
        ("pool", "use crate::mock::MockStore;"),
        ("pg", "use crate::connect::connect;"),
        ("vars", "use crate::queue::Queue;"),
        ("sqlite", "humantime::parse_duration(text)"),
        ("consumer", "let client = postgres::Client::connect(dsn)?;"),
    ] {
        let mut wrong = Vec::new();
        check_text("a file", owner, line, &mut wrong);
        assert_eq!(wrong.len(), 1, "{owner}: {line}");
    }
}
