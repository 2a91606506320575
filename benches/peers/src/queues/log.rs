//! Not a queue: an append-only table and one cursor. One reader, in order, all or nothing; no
//! state of any single message, so none can be retried, delayed, given up or worked on by two.
//! What it is quicker by is what the state of every message costs.

use std::time::Duration;

use postgres::{Client, NoTls, Statement};

use super::{Queue, json_text};
use crate::Result;
use crate::drive::{self, Done, Drain, Enqueue};
use crate::load::Load;
use crate::server::Database;

const SCHEMA: &str = "
    CREATE TABLE log (
        id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        payload jsonb NOT NULL
    );
    CREATE TABLE log_cursor (consumers text PRIMARY KEY, at bigint NOT NULL);
    INSERT INTO log_cursor VALUES ('peers', 0)";
const APPEND: &str = "INSERT INTO log (payload) SELECT payload FROM unnest($1::jsonb[]) AS payload";
const READ: &str = "
    SELECT id, payload FROM log
    WHERE id > (SELECT at FROM log_cursor WHERE consumers = 'peers')
    ORDER BY id LIMIT $1";
const ADVANCE: &str = "UPDATE log_cursor SET at = $1 WHERE consumers = 'peers'";

pub(super) struct Log {
    url: String,
}

struct Session {
    client: Client,
    read: Statement,
    advance: Statement,
}

impl Session {
    fn open(url: &str) -> Result<Self> {
        let mut client = Client::connect(url, NoTls)?;
        Ok(Self {
            read: client.prepare(READ)?,
            advance: client.prepare(ADVANCE)?,
            client,
        })
    }

    fn step(&mut self, batch: i64) -> Result<usize> {
        let mut tx = self.client.transaction()?;
        let rows = tx.query(&self.read, &[&batch])?;
        if let Some(last) = rows.last() {
            tx.execute(&self.advance, &[&last.try_get::<_, i64>(0)?])?;
        }
        tx.commit()?;
        Ok(rows.len())
    }
}

impl Log {
    pub(super) fn install(db: &mut Database) -> Result<Self> {
        db.monitor.batch_execute(SCHEMA)?;
        Ok(Self {
            url: db.url.clone(),
        })
    }
}

impl Queue for Log {
    fn tables(&self) -> &'static str {
        "log"
    }

    fn waiting(&self) -> &'static str {
        "SELECT count(*) FROM log WHERE id > (SELECT at FROM log_cursor)"
    }

    fn done(&self) -> Option<&'static str> {
        Some("SELECT count(*) FROM log WHERE id <= (SELECT at FROM log_cursor)")
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
        let append = client.prepare(APPEND)?;
        drive::batches(enqueue, |batch| {
            client.execute(&append, &[&json_text::all(&enqueue.load.texts[batch])])?;
            Ok(())
        })
    }

    fn drain(&mut self, drain: &Drain) -> Result<Done> {
        if drain.consumers != 1 {
            return Err("a log has one consumer".into());
        }
        let batch = i64::try_from(drain.batch)?;
        drive::threads(
            drain,
            |_| Session::open(&self.url),
            |session| session.step(batch),
        )
    }
}
