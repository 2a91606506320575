//! pgmq: its SQL, installed by its crate, driven by plain clients with prepared statements, so
//! that no client library costs it anything.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ::pgmq::PGMQueueExt;
use postgres::{Client, NoTls, Statement};
use sqlx_09::postgres::{PgConnectOptions, PgPoolOptions};

use super::Queue;
use super::json_text::{self, JsonText};
use crate::Result;
use crate::drive::{self, Done, Drain, Enqueue};
use crate::load::Load;
use crate::moments::Moments;
use crate::server::Database;

/// The casts name one of several functions of this name.
const SEND: &str = "SELECT pgmq.send('peers', $1::jsonb)";
const SEND_BATCH: &str = "SELECT pgmq.send_batch('peers', $1::jsonb[])";
const READ: &str = "SELECT msg_id, message FROM pgmq.read('peers', 60, $1::int4)";
const ARCHIVE: &str = "SELECT pgmq.archive('peers', $1::int8[])";
/// A hundred at most, waiting 60 s at most, looking every 100 ms: its default.
const READ_WITH_POLL: &str =
    "SELECT msg_id, message FROM pgmq.read_with_poll('peers', 60, 100, 60, 100)";

pub(super) struct Pgmq {
    url: String,
}

struct Session {
    client: Client,
    read: Statement,
    archive: Statement,
}

impl Session {
    fn open(url: &str, read: &str) -> Result<Self> {
        let mut client = Client::connect(url, NoTls)?;
        Ok(Self {
            read: client.prepare(read)?,
            archive: client.prepare(ARCHIVE)?,
            client,
        })
    }

    fn step(&mut self, batch: i32) -> Result<usize> {
        let rows = self.client.query(&self.read, &[&batch])?;
        let ids = rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<std::result::Result<Vec<i64>, _>>()?;
        if ids.is_empty() {
            return Ok(0);
        }
        Ok(self.client.query(&self.archive, &[&ids])?.len())
    }
}

impl Pgmq {
    pub(super) fn install(db: &mut Database) -> Result<Self> {
        let url = db.url.clone();
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            // Its own way to connect knows no socket's path.
            let options = PgConnectOptions::from_str(&url)?;
            let pool = PgPoolOptions::new().connect_with(options).await?;
            let queue = PGMQueueExt::new_with_pool(pool).await;
            queue.install_sql_from_embedded().await?;
            queue.connection.close().await;
            Ok::<_, crate::Error>(())
        })?;
        db.monitor.batch_execute("SELECT pgmq.create('peers')")?;
        Ok(Self { url })
    }
}

impl Queue for Pgmq {
    fn tables(&self) -> &'static str {
        "pgmq.q_peers, pgmq.a_peers"
    }

    fn waiting(&self) -> &'static str {
        "SELECT count(*) FROM pgmq.q_peers"
    }

    fn done(&self) -> Option<&'static str> {
        Some("SELECT count(*) FROM pgmq.a_peers")
    }

    fn prefill(&mut self, messages: usize, load: &Load) -> Result<()> {
        self.enqueue(&Enqueue {
            messages,
            batch: 1_000,
            limit: Duration::MAX,
            load,
        })?;
        Ok(())
    }

    fn enqueue(&mut self, enqueue: &Enqueue<'_>) -> Result<Done> {
        let mut client = Client::connect(&self.url, NoTls)?;
        if enqueue.batch == 1 {
            let send = client.prepare(SEND)?;
            return drive::batches(enqueue, |one| {
                client.query(&send, &[&JsonText(&enqueue.load.texts[one.start])])?;
                Ok(())
            });
        }
        let send = client.prepare(SEND_BATCH)?;
        drive::batches(enqueue, |batch| {
            client.query(&send, &[&json_text::all(&enqueue.load.texts[batch])])?;
            Ok(())
        })
    }

    fn drain(&mut self, drain: &Drain) -> Result<Done> {
        let batch = i32::try_from(drain.batch)?;
        drive::threads(
            drain,
            |_| Session::open(&self.url, READ),
            |session| session.step(batch),
        )
    }

    fn latency(&mut self, moments: &Arc<Moments>) -> Result<bool> {
        let mut session = Session::open(&self.url, READ_WITH_POLL)?;
        let mut sender = Client::connect(&self.url, NoTls)?;
        let send = sender.prepare(SEND)?;
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| -> Result<()> {
                while !moments.all_begun() && !stop.load(Ordering::Relaxed) {
                    let rows = session.client.query(&session.read, &[])?;
                    let mut ids = Vec::with_capacity(rows.len());
                    for row in &rows {
                        let payload: serde_json::Value = row.try_get(1)?;
                        moments.begins(&payload);
                        ids.push(row.try_get::<_, i64>(0)?);
                    }
                    session.client.query(&session.archive, &[&ids])?;
                }
                Ok(())
            });
            let sent = moments.send(|_, payload| {
                sender.query(&send, &[&JsonText(&payload.to_string())])?;
                Ok(())
            });
            stop.store(true, Ordering::Relaxed);
            waiting.join().map_err(|_| "the consumer panicked")??;
            sent
        })?;
        Ok(true)
    }
}
