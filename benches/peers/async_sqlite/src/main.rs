//! The work of the section `sqlite` of `peers`, by the async library of the same name: pgqrs
//! 0.15.3. See ../README.md.

#[path = "../../src/drive.rs"]
#[expect(
    dead_code,
    reason = "its consumers are tasks, and peers makes a rate of it"
)]
mod drive;
#[path = "../../src/sqlite/job.rs"]
mod job;
#[path = "../../src/load.rs"]
mod load;
#[path = "../../src/sqlite/program.rs"]
mod program;
#[path = "../../src/sqlite/support.rs"]
mod support;
#[path = "../../src/tasks.rs"]
mod tasks;

use std::path::Path;

use pgqrs_async::store::{AnyStore, Store};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::runtime::Runtime;

use self::drive::Done;
use self::job::{Job, Work};
use self::load::Load;
use self::program::InFile;
use self::tasks::QUEUE;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> Result<()> {
    program::run(|file, job, load| {
        let runtime = Runtime::new()?;
        let store = runtime.block_on(open(file))?;
        let mut monitor = runtime.block_on(connect(file))?;
        runtime.block_on(fill(&mut monitor, job.waiting(), load))?;
        let done = work(&runtime, &store, job, load)?;
        Ok((done, runtime.block_on(count(&mut monitor))?))
    })
}

/// A pool of its own making, as it takes no other. Fails unless it is as durable as ours.
async fn open(file: &Path) -> Result<AnyStore> {
    let file = file.to_str().ok_or("a path that is no text")?;
    let config = tasks::config(&format!("sqlite://{file}?mode=rwc"));
    let store = pgqrs_async::connect_with_config(&config).await?;
    tasks::install(&store).await?;
    let journal = store.query_string("PRAGMA journal_mode").await?;
    let synchronous = store.query_int("PRAGMA synchronous").await?;
    if journal != "wal" || synchronous != 2 {
        return Err(format!("journal {journal}, synchronous {synchronous}: not as ours").into());
    }
    Ok(store)
}

/// A connection that is none of the pool's.
async fn connect(file: &Path) -> Result<SqliteConnection> {
    Ok(SqliteConnectOptions::new().filename(file).connect().await?)
}

/// By plain SQL, in the form that it would write itself. Then all that is in the log goes to its
/// place in the database: nobody pays for it later.
async fn fill(db: &mut SqliteConnection, messages: usize, load: &Load) -> Result<()> {
    let mut all = db.begin().await?;
    for batch in Load::batches(messages, 1_000) {
        sqlx::query(
            "INSERT INTO pgqrs_messages (queue_id, payload, read_ct, enqueued_at, vt)
             SELECT q.id, made.value, 0, now.now, now.now
             FROM (SELECT id FROM pgqrs_queues WHERE queue_name = ?) q,
                  (SELECT strftime('%Y-%m-%d %H:%M:%f000', 'now') AS now) now,
                  json_each(?) made",
        )
        .bind(QUEUE)
        .bind(format!("[{}]", load.texts[batch].join(",")))
        .execute(&mut *all)
        .await?;
    }
    all.commit().await?;
    let waits: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut *db)
        .await?;
    match waits {
        0 => Ok(()),
        _ => Err("the log was in use".into()),
    }
}

fn work(runtime: &Runtime, store: &AnyStore, job: &Job, load: &Load) -> Result<Done> {
    match job.work {
        Work::Enqueue => tasks::enqueue(runtime, store, &job.enqueue(load)),
        Work::Drain => runtime.block_on(tasks::drain(store, &job.drain())),
        Work::DrainInOneCall => Err("it has no such call".into()),
    }
}

async fn count(db: &mut SqliteConnection) -> Result<InFile> {
    let (waiting, archived): (i64, i64) = sqlx::query_as(
        "SELECT count(*) - count(archived_at), count(archived_at) FROM pgqrs_messages",
    )
    .fetch_one(db)
    .await?;
    Ok(InFile {
        waiting: waiting.try_into()?,
        archived: archived.try_into()?,
    })
}
