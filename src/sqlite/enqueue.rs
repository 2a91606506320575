//! Putting messages in.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::clock::{after, date, now};
use super::fault::Work;
use super::{once, sql, unknown_queue};
use crate::error::Result;
use crate::message::{Message, NewMessage};
use crate::settings::Settings;

/// A batch on its way into a queue.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) queue_id: i64,
    pub(super) delay: Option<Duration>,
    /// The payloads.
    pub(super) texts: Vec<String>,
    /// As many, if any message has one.
    pub(super) keys: Option<Vec<Option<String>>>,
    /// For how long they are remembered.
    pub(super) retention: Duration,
}

/// What the store adds to messages, in order.
#[derive(Debug)]
pub(super) enum Stored {
    /// All are new, and their ids neighbours.
    New { first_id: i64, enqueued_at: i64 },
    /// The id of each, and when it was enqueued.
    Once(Vec<(i64, i64)>),
}

impl Batch {
    pub(super) fn new(
        queue_id: i64,
        messages: &[NewMessage],
        delay: Option<Duration>,
        settings: &Settings,
    ) -> Result<Self> {
        let texts = NewMessage::encode_all(messages, settings.payload_limit)?;
        let key = |message: &NewMessage| message.key().map(str::to_owned);
        let has_keys = messages.iter().any(|message| message.key().is_some());
        Ok(Self {
            queue_id,
            delay,
            texts,
            keys: has_keys.then(|| messages.iter().map(key).collect()),
            retention: settings.key_retention,
        })
    }
}

/// Stores messages.
pub(super) fn enqueue(db: &Connection, batch: &Batch) -> Work<Stored> {
    let now = now();
    let last = draw_ids(db, batch)?;
    let first_id = last - batch.texts.len() as i64 + 1;
    if let Some(keys) = &batch.keys {
        return Ok(Stored::Once(once::enqueue(db, batch, keys, first_id, now)?));
    }
    let mut put = Put::new(db, batch, now)?;
    for (id, text) in (first_id..).zip(&batch.texts) {
        put.one(id, text)?;
    }
    Ok(Stored::New {
        first_id,
        enqueued_at: now,
    })
}

/// Draws an id for each message, and returns the last.
fn draw_ids(db: &Connection, batch: &Batch) -> Work<i64> {
    let mut draw = db.prepare_cached(sql::DRAW_IDS)?;
    let mut drawn = draw.query(params![batch.queue_id, batch.texts.len() as i64])?;
    match drawn.next()? {
        Some(row) => Ok(row.get(0)?),
        None => Err(unknown_queue(batch.queue_id).into()),
    }
}

/// Puts messages into the tables.
pub(super) struct Put<'a> {
    queue_id: i64,
    now: i64,
    /// When they become visible, if not at once.
    vt: Option<i64>,
    body: rusqlite::CachedStatement<'a>,
    state: rusqlite::CachedStatement<'a>,
}

impl<'a> Put<'a> {
    pub(super) fn new(db: &'a Connection, batch: &Batch, now: i64) -> Work<Self> {
        Ok(Self {
            queue_id: batch.queue_id,
            now,
            vt: batch.delay.map(|delay| after(now, delay)),
            body: db.prepare_cached(sql::PUT_BODY)?,
            state: db.prepare_cached(match batch.delay {
                None => sql::PUT_READY,
                Some(_) => sql::PUT_SCHEDULED,
            })?,
        })
    }

    pub(super) fn one(&mut self, id: i64, text: &str) -> Work<()> {
        self.body
            .execute(params![id, self.queue_id, self.now, text])?;
        match self.vt {
            None => self.state.execute([self.queue_id, id])?,
            Some(vt) => self.state.execute(params![self.queue_id, id, vt, 0, 0])?,
        };
        Ok(())
    }
}

impl Stored {
    pub(super) fn messages(
        self,
        queue_id: i64,
        new: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Vec<Message> {
        let delay = delay.unwrap_or_default();
        let message = |new: NewMessage, id, enqueued_at| {
            let vt = date(after(enqueued_at, delay));
            new.stored(queue_id, id, date(enqueued_at), vt)
        };
        match self {
            Self::New {
                first_id,
                enqueued_at,
            } => (first_id..)
                .zip(new)
                .map(|(id, new)| message(new, id, enqueued_at))
                .collect(),
            Self::Once(all) => all
                .into_iter()
                .zip(new)
                .map(|((id, enqueued_at), new)| message(new, id, enqueued_at))
                .collect(),
        }
    }
}
