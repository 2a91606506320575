//! The work of the section `sqlite` of `peers`, by our `SqliteStore`. See ../README.md.

#[path = "../../src/drive.rs"]
#[expect(dead_code, reason = "peers makes a rate of it")]
mod drive;
#[path = "../../src/sqlite/job.rs"]
mod job;
#[path = "../../src/load.rs"]
#[expect(dead_code, reason = "texts are for statements by hand")]
mod load;
#[path = "../../src/loops.rs"]
mod loops;
#[path = "../../src/sqlite/program.rs"]
mod program;
#[path = "../../src/sqlite/support.rs"]
mod support;

use std::path::Path;

use pgqrs::{Durability, SqliteStore, Store};
use rusqlite::Connection;

use self::drive::Done;
use self::job::{Job, Work};
use self::load::Load;
use self::loops::{Calls, LOCK_TIME, QUEUE};
use self::program::InFile;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> Result<()> {
    program::run(|file, job, load| {
        fill(file, job.waiting(), load)?;
        let done = work(file, job, load)?;
        Ok((done, count(file)?))
    })
}

/// Is not measured, and so need not be durable. When its store ends all that is in the log
/// goes to its place in the database: nobody pays for it later.
fn fill(file: &Path, messages: usize, load: &Load) -> Result<()> {
    let store = SqliteStore::builder(file)
        .durability(Durability::Normal)
        .build()?;
    store.create_queue(QUEUE)?;
    loops::prefill(&store, messages, load)
}

/// With the durability that is the default: `Full`.
fn work(file: &Path, job: &Job, load: &Load) -> Result<Done> {
    let store = SqliteStore::builder(file).lock_time(LOCK_TIME).build()?;
    match job.work {
        Work::Enqueue => loops::enqueue(&store, &job.enqueue(load)),
        Work::Drain => loops::drain(&store, Calls::Two, &job.drain()),
        Work::DrainInOneCall => loops::drain(&store, Calls::One, &job.drain()),
    }
}

/// By plain SQL.
fn count(file: &Path) -> Result<InFile> {
    let db = Connection::open(file)?;
    let count = |sql| -> Result<u64> {
        let count: i64 = db.query_row(sql, (), |row| row.get(0))?;
        Ok(count.try_into()?)
    };
    Ok(InFile {
        waiting: count(
            "SELECT (SELECT count(*) FROM pgqrs_live) + (SELECT count(*) FROM pgqrs_scheduled)",
        )?,
        archived: count("SELECT count(*) FROM pgqrs_done")?,
    })
}
