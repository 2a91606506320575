//! The limit of our design: our own schema and our own statements, prepared once by plain
//! clients, without the library. What it leaves out: parsing payloads, the pool of connections,
//! looking for due messages in between, surviving a lost connection.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pgqrs::Store;
use postgres::{Client, NoTls, Statement};

use super::Queue;
use super::json_text;
use super::pgqrs as ours;
use crate::Result;
use crate::drive::{self, Done, Drain, Enqueue};
use crate::load::Load;
use crate::server::Database;

/// As in the library's `src/pg/sql.rs`: with all the columns that it asks for.
const ENQUEUE: &str = "
    SELECT ids, enqueued_at, vt
    FROM pgqrs_enqueue_batch($1, $2, $3::int8 * interval '1 microsecond')";
const DEQUEUE: &str = "
    SELECT d.id, d.enqueued_at, d.vt, d.read_ct, d.attempt, d.payload, d.due_at
    FROM set_config('synchronous_commit', 'off', true),
         pgqrs_dequeue($1, $2, $3, $4::int8 * interval '1 microsecond', $5, $6) d";
const ARCHIVE: &str = "SELECT pgqrs_archive($1, $2, $3, $4)";

const LOCK_TIME: i64 = 60_000_000;

pub(super) struct ByHand {
    url: String,
    queue_id: i64,
}

/// One consumer's session.
struct Session {
    client: Client,
    worker: i64,
    dequeue: Statement,
    archive: Statement,
}

impl Session {
    fn open(url: &str, worker: usize) -> Result<Self> {
        let mut client = Client::connect(url, NoTls)?;
        Ok(Self {
            dequeue: client.prepare(DEQUEUE)?,
            archive: client.prepare(ARCHIVE)?,
            worker: i64::try_from(worker)? + 1,
            client,
        })
    }

    /// Leases up to `limit` messages with ids over `after`: (id, `read_ct`). The payloads
    /// have arrived with them, as bytes.
    fn look(&mut self, queue_id: i64, limit: usize, after: i64) -> Result<Vec<(i64, i32)>> {
        let limit = i32::try_from(limit)?;
        let rows = self.client.query(
            &self.dequeue,
            &[
                &queue_id,
                &self.worker,
                &limit,
                &LOCK_TIME,
                &after,
                &(after == 0),
            ],
        )?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(3)?)))
            .collect()
    }

    /// One batch, there and back.
    fn step(&mut self, queue_id: i64, batch: usize, hint: &AtomicI64) -> Result<usize> {
        // As the library does: whoever comes next starts where this one ends at the earliest.
        let after = hint.fetch_add(i64::try_from(batch)?, Ordering::Relaxed);
        let mut leased = self.look(queue_id, batch, after)?;
        if leased.len() < batch && after != 0 {
            leased.extend(self.look(queue_id, batch - leased.len(), 0)?);
        }
        leased.sort_unstable();
        let Some((last, _)) = leased.last() else {
            return Ok(0);
        };
        hint.fetch_max(*last, Ordering::Relaxed);
        let (ids, read_cts): (Vec<i64>, Vec<i32>) = leased.into_iter().unzip();
        let workers = vec![self.worker; ids.len()];
        let row = self
            .client
            .query_one(&self.archive, &[&queue_id, &ids, &workers, &read_cts])?;
        let archived: Option<Vec<i64>> = row.try_get(0)?;
        Ok(archived.map_or(0, |ids| ids.len()))
    }
}

impl ByHand {
    pub(super) fn install(db: &Database) -> Result<Self> {
        let url = ours::install(db)?;
        let queue_id = ours::store(&url, 1)?.queue(ours::QUEUE)?.id;
        Ok(Self { url, queue_id })
    }
}

impl Queue for ByHand {
    fn tables(&self) -> &'static str {
        ours::TABLES
    }

    fn waiting(&self) -> &'static str {
        ours::WAITING
    }

    fn done(&self) -> Option<&'static str> {
        Some(ours::DONE)
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
        let statement = client.prepare(ENQUEUE)?;
        drive::batches(enqueue, |batch| {
            let payloads = json_text::all(&enqueue.load.texts[batch]);
            client.query_one(&statement, &[&self.queue_id, &payloads, &None::<i64>])?;
            Ok(())
        })
    }

    fn drain(&mut self, drain: &Drain) -> Result<Done> {
        let hint = AtomicI64::new(0);
        drive::threads(
            drain,
            |worker| Session::open(&self.url, worker),
            |session| session.step(self.queue_id, drain.batch, &hint),
        )
    }
}
