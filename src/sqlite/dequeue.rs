//! The dequeue: what is due, then what is ready, oldest first.
//!
//! Leased messages stand in the same table as ready ones, mostly before them. So that no
//! dequeue walks over what the others hold, each queue keeps its *front*: nothing up to that id
//! is ready before a certain time, the earliest at which a lease of those ends. From then on a
//! look begins at the start again, and finds both anew. (As SQLite has one writer at a time,
//! nothing comes to be behind the front by a late commit.)

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use serde_json::Value;

use super::clock::{after, date, now};
use super::fault::Work;
use super::settle::are_close;
use super::{sql, unknown_queue};
use crate::message::{Message, Receipt};
use crate::store::Dequeue;

const HOUR: i64 = 3_600_000_000;

/// What a look has found.
#[derive(Debug)]
pub(super) struct Leased {
    rows: Vec<Row>,
    until: i64,
    /// The earliest time at which there may be something again that is not ready now.
    pub(super) next: Option<i64>,
}

#[derive(Debug)]
struct Row {
    id: i64,
    read_ct: i32,
    attempt: i32,
    /// Out of the scheduled ones.
    was_due: bool,
    enqueued_at: i64,
    /// Whatever stands there: somebody may have written it by other means.
    payload: Vec<u8>,
}

/// Leases up to `limit` messages.
pub(super) fn lease(db: &Connection, dequeue: &Dequeue, limit: i32) -> Work<Leased> {
    let now = now();
    let until = after(now, dequeue.lock_time);
    let limit = usize::try_from(limit).unwrap_or(0);
    let Some(before) = Front::read(db, dequeue.queue_id)? else {
        return Err(unknown_queue(dequeue.queue_id).into());
    };
    let mut rows = take_due(db, dequeue, limit, (now, until))?;
    let mut front = before;
    if !rows.is_empty() {
        front.vt = front.vt.min(until);
    }
    let left = limit - rows.len();
    if left > 0 {
        let found = look(db, dequeue.queue_id, front, left, now)?;
        front = found.front;
        if let (Some(first), Some(last)) = (found.rows.first(), found.rows.last()) {
            db.prepare_cached(sql::LEASE)?.execute(params![
                dequeue.queue_id,
                first.id,
                last.id,
                now,
                until,
                dequeue.worker
            ])?;
            front.vt = front.vt.min(until);
        }
        rows.extend(found.rows);
    }
    if front != before {
        let mut move_front = db.prepare_cached(sql::MOVE_FRONT)?;
        move_front.execute(params![dequeue.queue_id, front.id, front.vt])?;
    }
    if !rows.is_empty() {
        let mut see = db.prepare_cached(sql::SEE_WORKER)?;
        see.execute(params![dequeue.worker, now, now - HOUR])?;
    }
    read_bodies(db, &mut rows)?;
    let next = match rows.len() < limit {
        true => peek(db, dequeue.queue_id, now)?.and_then(|peek| peek.next),
        false => Some(front.vt),
    };
    Ok(Leased { rows, until, next })
}

/// See the table `pgqrs_queues`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Front {
    id: i64,
    vt: i64,
}

impl Front {
    fn read(db: &Connection, queue_id: i64) -> Work<Option<Self>> {
        let mut front = db.prepare_cached(sql::FRONT)?;
        let mut rows = front.query([queue_id])?;
        let front = rows.next()?.map(|row| {
            Ok::<_, rusqlite::Error>(Self {
                id: row.get(0)?,
                vt: row.get(1)?,
            })
        });
        Ok(front.transpose()?)
    }
}

/// Leases scheduled messages that are due.
fn take_due(
    db: &Connection,
    dequeue: &Dequeue,
    limit: usize,
    (now, until): (i64, i64),
) -> Work<Vec<Row>> {
    let queue_id = dequeue.queue_id;
    let mut rows = Vec::new();
    let mut last = None;
    {
        let mut due = db.prepare_cached(sql::DUE)?;
        let mut found = due.query(params![queue_id, now, limit as i64])?;
        while let Some(row) = found.next()? {
            let (vt, id): (i64, i64) = (row.get(0)?, row.get(1)?);
            last = Some((vt, id));
            rows.push(Row::leased(id, row.get(2)?, row.get(3)?, true));
        }
    }
    if let Some((vt, id)) = last {
        db.prepare_cached(sql::TAKE_DUE)?
            .execute(params![queue_id, vt, id])?;
        let mut put = db.prepare_cached(sql::PUT_LEASED)?;
        for row in &rows {
            put.execute(params![
                queue_id,
                row.id,
                until,
                dequeue.worker,
                row.read_ct,
                row.attempt
            ])?;
        }
    }
    Ok(rows)
}

struct Found {
    rows: Vec<Row>,
    front: Front,
}

/// Finds up to `limit` ready messages, and where the next look is to begin.
fn look(db: &Connection, queue_id: i64, front: Front, limit: usize, now: i64) -> Work<Found> {
    let from_the_start = front.vt <= now;
    let mut found = Found {
        rows: Vec::new(),
        front: match from_the_start {
            true => Front {
                id: i64::MIN,
                vt: i64::MAX,
            },
            false => front,
        },
    };
    let mut live = db.prepare_cached(sql::LIVE)?;
    let mut rows = live.query([queue_id, found.front.id])?;
    while found.rows.len() < limit
        && let Some(row) = rows.next()?
    {
        let (id, vt): (i64, i64) = (row.get(0)?, row.get(1)?);
        found.front.id = id;
        if vt <= now {
            found
                .rows
                .push(Row::leased(id, row.get(2)?, row.get(3)?, false));
        } else {
            found.front.vt = found.front.vt.min(vt);
        }
    }
    Ok(found)
}

/// Reads the bodies: of neighbours at one go.
fn read_bodies(db: &Connection, rows: &mut [Row]) -> Work<()> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(());
    };
    let is_ascending = rows.is_sorted_by_key(|row| row.id);
    if is_ascending && are_close(first.id, last.id, rows.len()) {
        let mut bodies = db.prepare_cached(sql::BODIES)?;
        let mut found = bodies.query([first.id, last.id])?;
        let mut rows = rows.iter_mut().peekable();
        while let Some(body) = found.next()? {
            let id: i64 = body.get(0)?;
            // A body may be missing only if somebody has deleted it by hand.
            while rows.next_if(|row| row.id < id).is_some() {}
            if let Some(row) = rows.next_if(|row| row.id == id) {
                row.read_body(body, 1)?;
            }
        }
        return Ok(());
    }
    let mut body = db.prepare_cached(sql::BODY)?;
    for row in rows {
        let mut found = body.query([row.id])?;
        if let Some(body) = found.next()? {
            row.read_body(body, 0)?;
        }
    }
    Ok(())
}

impl Row {
    /// Counts the delivery.
    fn leased(id: i64, read_ct: i32, attempt: i32, was_due: bool) -> Self {
        Self {
            id,
            read_ct: read_ct.saturating_add(1),
            attempt: attempt.saturating_add(1),
            was_due,
            enqueued_at: 0,
            payload: Vec::new(),
        }
    }

    /// Reads the body, whose columns begin at `column`. What is no text is given up as unreadable.
    fn read_body(&mut self, body: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<()> {
        self.enqueued_at = body.get(column)?;
        if let ValueRef::Text(text) = body.get_ref(column + 1)? {
            self.payload = text.to_vec();
        }
        Ok(())
    }
}

impl Leased {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Makes messages of the rows; what cannot be read comes apart, with the reason.
    pub(super) fn messages(self, dequeue: &Dequeue) -> (Vec<Message>, Vec<(Receipt, String)>) {
        let (vt, mut unreadable) = (date(self.until), Vec::new());
        let mut messages = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            let payload = serde_json::from_slice(&row.payload);
            let mut message = Message {
                id: row.id,
                queue_id: dequeue.queue_id,
                payload: Value::Null,
                enqueued_at: date(row.enqueued_at),
                vt,
                read_ct: row.read_ct,
                attempt: row.attempt,
                // Whatever ended a delivery on purpose took the row out of pgqrs_live.
                lapsed: !row.was_due && row.read_ct > 1,
                worker: Some(dequeue.worker),
            };
            match payload {
                Ok(payload) => {
                    message.payload = payload;
                    messages.push(message);
                }
                Err(why) => unreadable.push((Receipt::from(&message), why.to_string())),
            }
        }
        (messages, unreadable)
    }
}

/// What there is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peek {
    /// A dequeue may find something.
    pub(super) ready: bool,
    /// If not: the earliest time from which on it may.
    pub(super) next: Option<i64>,
}

/// Looks, without leasing, whether a dequeue is worth the while. None: there is no such queue.
pub(super) fn peek(db: &Connection, queue_id: i64, now: i64) -> Work<Option<Peek>> {
    let mut peek = db.prepare_cached(sql::PEEK)?;
    let mut rows = peek.query([queue_id, now])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let (due, front_vt): (Option<i64>, i64) = (row.get(1)?, row.get(2)?);
    let next = due.map_or(front_vt, |due| due.min(front_vt));
    Ok(Some(Peek {
        ready: row.get(0)? || next <= now,
        next: Some(next).filter(|next| *next < i64::MAX),
    }))
}
