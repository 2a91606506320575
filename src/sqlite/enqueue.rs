//! Putting messages in.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::clock::{after, date, now};
use super::fault::Work;
use super::{sql, unknown_queue};
use crate::message::{Message, NewMessage};

/// What the store adds to new messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    first_id: i64,
    enqueued_at: i64,
    /// When they become visible.
    pub(super) vt: i64,
}

/// Stores messages, whose payloads are `texts`.
pub(super) fn enqueue(
    db: &Connection,
    queue_id: i64,
    texts: &[String],
    delay: Option<Duration>,
) -> Work<Stored> {
    let now = now();
    let mut draw = db.prepare_cached(sql::DRAW_IDS)?;
    let mut drawn = draw.query(params![queue_id, texts.len() as i64])?;
    let Some(row) = drawn.next()? else {
        return Err(unknown_queue(queue_id).into());
    };
    let last: i64 = row.get(0)?;
    drop(drawn);
    let stored = Stored {
        first_id: last - texts.len() as i64 + 1,
        enqueued_at: now,
        vt: after(now, delay.unwrap_or_default()),
    };
    let mut body = db.prepare_cached(sql::PUT_BODY)?;
    let mut ready = db.prepare_cached(sql::PUT_READY)?;
    let mut scheduled = db.prepare_cached(sql::PUT_SCHEDULED)?;
    for (id, text) in (stored.first_id..).zip(texts) {
        body.execute(params![id, queue_id, now, text])?;
        match delay {
            None => ready.execute([queue_id, id])?,
            Some(_) => scheduled.execute(params![queue_id, id, stored.vt, 0, 0])?,
        };
    }
    Ok(stored)
}

impl Stored {
    pub(super) fn messages(self, queue_id: i64, new: Vec<NewMessage>) -> Vec<Message> {
        let (enqueued_at, vt) = (date(self.enqueued_at), date(self.vt));
        (self.first_id..)
            .zip(new)
            .map(|(id, new)| Message {
                id,
                queue_id,
                payload: new.into_payload(),
                enqueued_at,
                vt,
                read_ct: 0,
                attempt: 0,
                lapsed: false,
                worker: None,
            })
            .collect()
    }
}
