//! A message's whole way, each queue with what suits it best; and beside them a log, which keeps
//! no state of any message.

use super::SMALL;
use crate::Result;
use crate::bench::{Bench, rate};
use crate::drive::{Drain, Enqueue};
use crate::load::Load;
use crate::results::{Cell, Figure, Unit};

/// Consumers, and their batch.
fn best(queue: &str) -> (usize, usize) {
    match queue {
        "pgqrs pool" => (4, 500),
        "log" => (1, 1_000),
        _ => (2, 1_000),
    }
}

const WHO: &[&str] = &["pgqrs pool", "pgqrs", "by hand", "pgmq", "log"];
const BATCH: usize = 1_000;
/// The limit is for the slow ones of other sections: all of these get through.
const PATIENCE: u32 = 12;

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let args = bench.args;
    let load = Load::new(SMALL);
    let messages = args.scaled(200_000);
    bench.rounds("both", WHO, |peer| {
        let (consumers, batch) = best(peer.name);
        let limit = args.limit * PATIENCE;
        peer.reset()?;
        let put = peer.enqueue(&Enqueue {
            messages,
            batch: BATCH,
            limit,
            load: &load,
        })?;
        let drain = Drain {
            messages: usize::try_from(put.messages)?,
            consumers,
            batch,
            limit,
        };
        let taken = peer.drain(&drain)?;
        peer.reset()?;
        // What the queues were set to is said here and not in the cell: they share the row.
        let cell = Cell::new(SMALL, 0, 0);
        let sum = Figure {
            cell: cell.variant("both"),
            unit: Unit::PerSecond,
            value: 1.0 / (1.0 / put.rate() + 1.0 / taken.rate()),
            cut_off: put.cut_off || taken.cut_off,
        };
        Ok(vec![
            rate(cell.variant("enqueue"), &put),
            rate(cell.variant("drain"), &taken),
            sum,
        ])
    })
}
