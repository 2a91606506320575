//! The thread that renews: the leases of all that the pool holds, waiting or running.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::backoff::Backoff;
use super::held::Held;
use crate::error::Result;
use crate::message::Receipt;

/// Leases are renewed when a third of the lock time is over, which is looked at twice as often.
const LOOKS_PER_LOCK_TIME: u32 = 6;

/// Runs until everything is settled.
pub(super) fn run(shared: &Shared) {
    let mut backoff = Backoff::new("renew");
    let tick = (shared.lock_time / LOOKS_PER_LOCK_TIME).max(Duration::from_millis(1));
    let mut pause = tick;
    while !shared.settled.wait_timeout(pause) && !shared.abandon.is_stopped() {
        pause = match renew(shared) {
            Ok(renewed) => {
                if renewed > 0 {
                    backoff.succeeded(shared);
                    shared.reporter.tell(|events| events.renewed(renewed));
                }
                tick
            }
            Err(error) if error.is_transient() => backoff.failed(shared, &error).min(tick),
            Err(error) => {
                shared.fail(error);
                tick
            }
        };
    }
}

/// Renews what is due, and returns how many leases that were.
pub(super) fn renew(shared: &Shared) -> Result<usize> {
    let lock_time = shared.lock_time;
    let since = Instant::now();
    // A moment beyond what the clock can tell: everything ends before.
    let Some(soon) = since.checked_add(lock_time - lock_time / 3) else {
        return Ok(0);
    };
    let mut queues: BTreeMap<i64, Vec<Arc<Held>>> = BTreeMap::new();
    for held in shared.holding.ending_before(soon) {
        queues.entry(held.queue.id).or_default().push(held);
    }
    let mut renewed = 0;
    for (queue_id, all) in queues {
        let receipts: Vec<Receipt> = all.iter().map(|held| held.receipt()).collect();
        let since = Instant::now();
        let answers = shared
            .store
            .extend_visibility(queue_id, &receipts, lock_time)?;
        for ((held, receipt), owned) in all.iter().zip(receipts).zip(answers) {
            if owned {
                held.extended(since, lock_time);
                renewed += 1;
            } else if held.receipt() == receipt {
                // Or it is being settled at this moment: then nobody asks any more.
                held.lose();
            }
        }
    }
    Ok(renewed)
}
