//! Putting in messages that have keys: each once.

use rusqlite::{Connection, OptionalExtension, params};

use super::clock::after;
use super::enqueue::{Batch, Put};
use super::fault::Work;
use super::sql;

/// Stores those messages whose key is free, and those that have none. Returns the id of each,
/// and when it was enqueued; the ids of new ones are drawn from `first_id` on.
///
/// On the way it forgets up to two keys per message that are free again: so they go twice as fast
/// as they come.
pub(super) fn enqueue(
    db: &Connection,
    batch: &Batch,
    keys: &[Option<String>],
    first_id: i64,
    now: i64,
) -> Work<Vec<(i64, i64)>> {
    let queue_id = batch.queue_id;
    let until = after(now, batch.retention);
    let mut next_id = first_id;
    let mut put = Put::new(db, batch, now)?;
    let mut look = db.prepare_cached(sql::KEY)?;
    let mut put_key = db.prepare_cached(sql::PUT_KEY)?;
    let mut stored = Vec::with_capacity(keys.len());
    for (key, text) in keys.iter().zip(&batch.texts) {
        if let Some(key) = key {
            let args = params![queue_id, key, now];
            let known = look.query_row(args, |row| Ok((row.get(0)?, row.get(1)?)));
            if let Some(known) = known.optional()? {
                stored.push(known);
                continue;
            }
            put_key.execute(params![queue_id, key, next_id, now, until])?;
        }
        put.one(next_id, text)?;
        stored.push((next_id, now));
        next_id += 1;
    }
    db.prepare_cached(sql::FORGET_KEYS)?
        .execute(params![queue_id, now, 2 * keys.len() as i64])?;
    Ok(stored)
}
