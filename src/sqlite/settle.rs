//! What is done to deliveries, to those that the receipts still own.
//!
//! Most of what is settled is archived, in batches of neighbours. Those are done a stretch at a
//! time, by three statements for all of them instead of three for each.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::clock::{after, now};
use super::fault::Work;
use super::sql;
use crate::message::{Outcome, Receipt, Settlement};

/// Stands in a statement for "whichever delivery it was".
const ANY_DELIVERY: i32 = -1;

fn delivery(receipt: &Receipt) -> i32 {
    receipt.read_ct().unwrap_or(ANY_DELIVERY)
}

/// Moves the ends of leases to `by` from now.
pub(super) fn extend(
    db: &Connection,
    queue_id: i64,
    receipts: &[Receipt],
    by: Duration,
) -> Work<Vec<bool>> {
    let until = after(now(), by);
    let mut extend = db.prepare_cached(sql::EXTEND)?;
    let mut answers = Vec::with_capacity(receipts.len());
    for receipt in receipts {
        let (id, worker, read_ct) = (receipt.id(), receipt.worker(), delivery(receipt));
        let changed = extend.execute(params![queue_id, id, worker, read_ct, until])?;
        answers.push(changed > 0);
    }
    Ok(answers)
}

/// Ends deliveries, as if one after the other.
pub(super) fn settle(
    db: &Connection,
    queue_id: i64,
    settlements: &[Settlement],
) -> Work<Vec<bool>> {
    let now = now();
    let mut answers = Vec::with_capacity(settlements.len());
    let mut rest = settlements;
    while !rest.is_empty() {
        let stretch = archived_neighbours(rest);
        let (now_done, later) = rest.split_at(stretch.max(1));
        match stretch {
            0 => answers.push(settle_one(db, queue_id, &now_done[0], now)?),
            _ => answers.extend(archive_neighbours(db, queue_id, now_done, now)?),
        }
        rest = later;
    }
    Ok(answers)
}

fn settle_one(db: &Connection, queue_id: i64, settlement: &Settlement, now: i64) -> Work<bool> {
    let Settlement { receipt, outcome } = settlement;
    let id = receipt.id();
    let held: Option<(i32, i32)> = {
        let mut owned = db.prepare_cached(sql::OWNED)?;
        let args = params![queue_id, id, receipt.worker(), delivery(receipt)];
        let row = owned.query_row(args, |row| Ok((row.get(0)?, row.get(1)?)));
        row.optional()?
    };
    let Some((read_ct, attempt)) = held else {
        return Ok(false);
    };
    db.prepare_cached(sql::TAKE)?
        .execute(params![queue_id, id])?;
    let put = |text, args: &[&dyn ToSql]| db.prepare_cached(text)?.execute(args);
    match outcome {
        Outcome::Archive => put(sql::PUT_DONE, params![queue_id, id, now, read_ct, attempt])?,
        Outcome::Delete => put(sql::DELETE_BODY, params![id])?,
        Outcome::Release { delay, charged } => {
            let (vt, attempt) = (after(now, *delay), attempt - i32::from(!charged));
            put(
                sql::PUT_SCHEDULED,
                params![queue_id, id, vt, read_ct, attempt],
            )?
        }
        Outcome::DeadLetter(why) => {
            let why = why.replace('\0', "\u{fffd}");
            put(
                sql::PUT_DEAD,
                params![queue_id, id, now, read_ct, attempt, why],
            )?
        }
    };
    Ok(true)
}

/// How many settlements at the beginning are archivings of ids that ascend and lie close
/// together; 0 if there are so few that it is not worth while.
fn archived_neighbours(settlements: &[Settlement]) -> usize {
    const WORTH_WHILE: usize = 4;
    let mut last = None;
    let ascending = settlements.iter().take_while(|settlement| {
        let id = settlement.receipt.id();
        let goes_on = settlement.outcome == Outcome::Archive && last < Some(id);
        last = Some(id);
        goes_on
    });
    let count = ascending.count();
    if count < WORTH_WHILE {
        return 0;
    }
    let (first, last) = (&settlements[0].receipt, &settlements[count - 1].receipt);
    match are_close(first.id(), last.id(), count) {
        true => count,
        false => 0,
    }
}

/// Whether it is quicker to walk from the one id to the other than to look up `count` of them.
pub(super) fn are_close(first: i64, last: i64, count: usize) -> bool {
    const PLACES_EACH: u64 = 4;
    last.abs_diff(first) < PLACES_EACH.saturating_mul(count as u64)
}

/// Archives what is owned of neighbours.
fn archive_neighbours(
    db: &Connection,
    queue_id: i64,
    settlements: &[Settlement],
    now: i64,
) -> Work<Vec<bool>> {
    let ids = |settlement: Option<&Settlement>| settlement.map_or(0, |s| s.receipt.id());
    let (first, last) = (ids(settlements.first()), ids(settlements.last()));
    let mut answers = vec![false; settlements.len()];
    // From id to id, with nobody else's message in between.
    let mut stretches: Vec<(i64, i64)> = Vec::new();
    {
        let mut held = db.prepare_cached(sql::HELD)?;
        let mut rows = held.query([queue_id, first, last])?;
        let (mut at, mut goes_on) = (0, false);
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            while settlements[at].receipt.id() < id {
                at += 1; // its message is gone
            }
            let receipt = &settlements[at].receipt;
            let owned = receipt.id() == id && receipt.owns(row.get(1)?, row.get(2)?);
            answers[at] |= owned;
            match stretches.last_mut() {
                Some((_, end)) if owned && goes_on => *end = id,
                _ if owned => stretches.push((id, id)),
                _ => {}
            }
            goes_on = owned;
        }
    }
    let mut archive = db.prepare_cached(sql::ARCHIVE_STRETCH)?;
    let mut take = db.prepare_cached(sql::TAKE_STRETCH)?;
    for (from, to) in stretches {
        archive.execute([queue_id, from, to, now])?;
        take.execute([queue_id, from, to])?;
    }
    Ok(answers)
}

/// The soonest that something comes back, of what is released.
pub(super) fn soonest(settlements: &[Settlement]) -> Option<Duration> {
    let delays = settlements.iter().filter_map(|s| match s.outcome {
        Outcome::Release { delay, .. } => Some(delay),
        _ => None,
    });
    delays.min()
}
