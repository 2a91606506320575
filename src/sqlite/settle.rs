//! What is done to deliveries: each statement names the receipt, and so changes only what it
//! still owns.

use std::time::Duration;

use rusqlite::{Connection, params};

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

/// Ends deliveries, one after the other.
pub(super) fn settle(
    db: &Connection,
    queue_id: i64,
    settlements: &[Settlement],
) -> Work<Vec<bool>> {
    let now = now();
    let mut take = db.prepare_cached(sql::TAKE_OWNED)?;
    let mut done = db.prepare_cached(sql::PUT_DONE)?;
    let mut body = db.prepare_cached(sql::DELETE_BODY)?;
    let mut back = db.prepare_cached(sql::PUT_SCHEDULED)?;
    let mut dead = db.prepare_cached(sql::PUT_DEAD)?;
    let mut answers = Vec::with_capacity(settlements.len());
    for Settlement { receipt, outcome } in settlements {
        let id = receipt.id();
        let taken = {
            let owned = params![queue_id, id, receipt.worker(), delivery(receipt)];
            let mut rows = take.query(owned)?;
            match rows.next()? {
                Some(row) => Some((row.get::<_, i32>(0)?, row.get::<_, i32>(1)?)),
                None => None,
            }
        };
        answers.push(taken.is_some());
        let Some((read_ct, attempt)) = taken else {
            continue;
        };
        match outcome {
            Outcome::Archive => done.execute(params![queue_id, id, now, read_ct, attempt])?,
            Outcome::Delete => body.execute([id])?,
            Outcome::Release { delay, charged } => {
                let attempt = attempt - i32::from(!charged);
                back.execute(params![queue_id, id, after(now, *delay), read_ct, attempt])?
            }
            Outcome::DeadLetter(why) => {
                let why = why.replace('\0', "\u{fffd}");
                dead.execute(params![queue_id, id, now, read_ct, attempt, why])?
            }
        };
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
