//! Ours: whether what is not to be drained is in the way.

use super::SMALL;
use crate::Result;
use crate::bench::{Bench, rate};
use crate::drive::Drain;
use crate::load::Load;
use crate::report::thousands;
use crate::results::Cell;

const CONSUMERS: usize = 2;
const BATCH: usize = 100;

/// Its name, how many rows, and the statement that puts them there. Put in before what is
/// drained, so that they stand at the front of the queue.
const BURDENS: [(&str, usize, &str); 3] = [
    (
        "in flight",
        10_000,
        "SELECT count(*) FROM (
             SELECT pgqrs_enqueue_batch(q.id, array_agg(payload)) FROM made, q GROUP BY q.id
         ) put",
    ),
    (
        "delayed",
        1_000_000,
        "SELECT count(*) FROM (
             SELECT pgqrs_enqueue_batch(q.id, array_agg(payload), interval '1 hour')
             FROM made, q GROUP BY q.id, n / 1000
         ) put",
    ),
    (
        "archived",
        5_000_000,
        ", body AS (
             INSERT INTO pgqrs_messages (queue_id, payload) SELECT q.id, payload FROM made, q
             RETURNING queue_id, id
         ), done AS (
             INSERT INTO pgqrs_done (queue_id, id, read_ct, attempt)
             SELECT queue_id, id, 1, 1 FROM body RETURNING 1
         ) SELECT count(*) FROM done",
    ),
];
/// Leases what was put in, for another consumer.
const LEASE: &str = "
    SELECT count(*) FROM pgqrs_queues q, pgqrs_dequeue(q.id, 1000000, $1, interval '1 hour')
    WHERE q.name = 'peers'";

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BURDENS.iter().map(|(name, ..)| *name)
}

/// How the variants are told apart: the one is "without archived", the other ends the same.
pub(crate) fn without(burden: &str) -> String {
    format!("without {burden}")
}

pub(crate) fn is_with(burden: &str, variant: &str) -> bool {
    variant.starts_with("with ") && variant.ends_with(burden)
}

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let args = bench.args;
    let load = Load::new(SMALL);
    let drain = Drain {
        messages: args.scaled(100_000),
        consumers: CONSUMERS,
        batch: BATCH,
        limit: args.limit,
    };
    for (burden, rows, sql) in BURDENS {
        let rows = args.mass(rows);
        let sql = format!(
            "WITH q AS (SELECT id FROM pgqrs_queues WHERE name = 'peers'), made AS (
                 SELECT n, json_build_object('p', md5(n::text)) AS payload FROM generate_series(1, {rows}) n
             ) {sql}"
        );
        bench.rounds("flat", &["pgqrs"], |peer| {
            let cell = Cell::new(SMALL, CONSUMERS, BATCH);
            let free = peer.fill_and_drain(&load, &drain, |_| Ok(()))?;
            let with = peer.fill_and_drain(&load, &drain, |db| {
                db.monitor.query_one(&sql, &[])?;
                if burden == "in flight" {
                    let leased: i64 = db
                        .monitor
                        .query_one(LEASE, &[&i32::try_from(rows)?])?
                        .try_get(0)?;
                    if usize::try_from(leased)? != rows {
                        return Err(format!("{leased} of {rows} were leased").into());
                    }
                }
                // Its pages are not written by the drain.
                Ok(db.monitor.batch_execute("CHECKPOINT")?)
            })?;
            Ok(vec![
                rate(cell.variant(without(burden)), &free),
                rate(
                    cell.variant(format!("with {} {burden}", thousands(rows as f64))),
                    &with,
                ),
            ])
        })?;
    }
    Ok(())
}
