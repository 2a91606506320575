//! What is measured, a file for each section.

mod backlog;
mod both;
mod drain;
mod enqueue;
pub(crate) mod flat;
mod latency;
mod overhead;
mod pool;
pub(crate) mod snapshot;
pub(crate) mod sqlite;
mod threads;
mod wal;

use crate::Result;
use crate::bench::Bench;

pub(crate) const NAMES: &[&str] = &[
    "drain", "overhead", "enqueue", "backlog", "snapshot", "flat", "threads", "latency", "both",
    "pool", "wal", SQLITE,
];

/// The section that needs no server.
pub(crate) const SQLITE: &str = "sqlite";

/// Those that take messages in batches and settle them in batches, and the one that has none.
const PEERS: &[&str] = &[
    "pgqrs",
    "pgqrs in one call",
    "by hand",
    "pgqrs 0.15.3",
    "fang",
    "graphile_worker",
    "pgmq",
];

/// The payloads: small, and a kilobyte.
const SMALL: usize = 50;
const LARGE: usize = 1_024;

pub(crate) fn run(name: &str, bench: &mut Bench<'_>) -> Result<()> {
    match name {
        "drain" => drain::run(bench),
        "overhead" => overhead::run(bench),
        "enqueue" => enqueue::run(bench),
        "backlog" => backlog::run(bench),
        "snapshot" => snapshot::run(bench),
        "flat" => flat::run(bench),
        "threads" => threads::run(bench),
        "latency" => latency::run(bench),
        "both" => both::run(bench),
        "pool" => pool::run(bench),
        "wal" => wal::run(bench),
        SQLITE => sqlite::run(bench),
        _ => Err(format!("there is no section named {name}").into()),
    }
}

/// What the section is, for whoever reads its table.
pub(crate) fn title(name: &str) -> &'static str {
    match name {
        "drain" => "Drain: dequeue and archive",
        "overhead" => "What the library costs",
        "enqueue" => "Enqueue: one producer",
        "backlog" => "Drain of a small and of a large backlog",
        "snapshot" => "Drain while another session holds a snapshot",
        "flat" => "Drain beside what is not to be drained",
        "threads" => "Drain by many consumers",
        "latency" => {
            "Idle queue, one message every 5 ms: from before the enqueue to the start of the handler"
        }
        "both" => "Enqueue, then drain, each at its best",
        "pool" => "The worker pool",
        SQLITE => "In an SQLite file",
        _ => {
            "Write-ahead log over a message's whole life, full-page images after a checkpoint included"
        }
    }
}
