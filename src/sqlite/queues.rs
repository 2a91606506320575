//! What is done to whole queues.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::clock::{date, now};
use super::fault::Work;
use super::{sql, unknown_queue};
use crate::error::{Error, ErrorKind};
use crate::queue::{Counts, IfNotEmpty, Queue, State};

const DAY: i64 = 24 * 3_600_000_000;

/// The queue of this name; or the error that says that there is none.
pub(super) fn queue(db: &Connection, name: &str) -> Work<Queue> {
    let mut queue = db.prepare_cached(sql::QUEUE)?;
    let found = queue.query_row([name], read_queue).optional()?;
    let unknown = || {
        let text = format!("there is no queue named {name:?}");
        Error::new(ErrorKind::UnknownQueue, text).into()
    };
    found.ok_or_else(unknown)
}

pub(super) fn queues(db: &Connection) -> Work<Vec<Queue>> {
    let mut queues = db.prepare_cached(sql::QUEUES)?;
    let all = queues.query_map([], read_queue)?;
    Ok(all.collect::<Result<_, _>>()?)
}

fn read_queue(row: &Row<'_>) -> rusqlite::Result<Queue> {
    Ok(Queue {
        id: row.get(0)?,
        name: row.get(1)?,
        created_at: date(row.get(2)?),
    })
}

pub(super) fn create(db: &Connection, name: &str) -> Work<Queue> {
    db.prepare_cached(sql::CREATE_QUEUE)?
        .execute(params![name, now()])?;
    queue(db, name)
}

pub(super) fn delete(db: &Connection, name: &str, messages: IfNotEmpty) -> Work<()> {
    let id = queue(db, name)?.id;
    let count = counts(db, id)?.total();
    if count > 0 {
        if messages == IfNotEmpty::Refuse {
            let text = format!("queue {name:?} still has messages ({count}), and was not deleted");
            return Err(Error::new(ErrorKind::QueueNotEmpty, text).into());
        }
        purge(db, id, &State::ALL)?;
    }
    db.prepare_cached(sql::DELETE_KEYS)?.execute([id])?;
    db.prepare_cached(sql::DELETE_WORKERS)?.execute([id])?;
    db.prepare_cached(sql::DELETE_QUEUE)?.execute([id])?;
    Ok(())
}

pub(super) fn counts(db: &Connection, queue_id: i64) -> Work<Counts> {
    let mut counts = db.prepare_cached(sql::COUNTS)?;
    let found = counts.query_row([queue_id, now()], |row| {
        let count = |column: usize| -> rusqlite::Result<u64> {
            Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
        };
        Ok(Counts {
            ready: count(0)?,
            leased: count(1)?,
            scheduled: count(2)?,
            archived: count(3)?,
            dead: count(4)?,
        })
    });
    found
        .optional()?
        .ok_or_else(|| unknown_queue(queue_id).into())
}

/// Deletes all messages that are in one of the states.
pub(super) fn purge(db: &Connection, queue_id: i64, states: &[State]) -> Work<u64> {
    let now = now();
    let (past, to_come) = ((i64::MIN, now), (now + 1, i64::MAX));
    let live = (sql::PURGE_LIVE_BODIES, sql::PURGE_LIVE);
    let scheduled = (sql::PURGE_SCHEDULED_BODIES, sql::PURGE_SCHEDULED);
    let mut count = 0;
    let mut by_vt = |(bodies, rows): (&str, &str), (from, to): (i64, i64)| -> Work<()> {
        let args = params![queue_id, from, to];
        db.prepare_cached(bodies)?.execute(args)?;
        count += db.prepare_cached(rows)?.execute(args)?;
        Ok(())
    };
    if states.contains(&State::Ready) {
        by_vt(live, past)?;
        by_vt(scheduled, past)?;
    }
    if states.contains(&State::Leased) {
        by_vt(live, to_come)?;
    }
    if states.contains(&State::Scheduled) {
        by_vt(scheduled, to_come)?;
    }
    for (state, bodies, rows) in [
        (State::Archived, sql::PURGE_DONE_BODIES, sql::PURGE_DONE),
        (State::Dead, sql::PURGE_DEAD_BODIES, sql::PURGE_DEAD),
    ] {
        if states.contains(&state) {
            db.prepare_cached(bodies)?.execute([queue_id])?;
            count += db.prepare_cached(rows)?.execute([queue_id])?;
        }
    }
    Ok(count as u64)
}

/// Registers a consumer, and forgets those of its queue that were not seen for a day.
pub(super) fn register(db: &Connection, queue_id: i64, name: &str) -> Work<i64> {
    let now = now();
    db.prepare_cached(sql::FORGET_WORKERS)?
        .execute(params![queue_id, now - DAY])?;
    let mut register = db.prepare_cached(sql::REGISTER_WORKER)?;
    let worker = register.query_row(params![queue_id, name, now], |row| row.get(0));
    worker
        .optional()?
        .ok_or_else(|| unknown_queue(queue_id).into())
}
