//! Whether it matters how much is waiting.

use super::{PEERS, SMALL};
use crate::Result;
use crate::bench::{Bench, rate};
use crate::drive::Drain;
use crate::load::Load;
use crate::report::thousands;
use crate::results::Cell;

const CONSUMERS: usize = 2;
const BATCH: usize = 100;
/// These may take longer than the limit: they get through a million in a time that one can
/// wait for, and only the rate of all of it says whether it stays flat.
const TO_THE_END: &[&str] = &["pgqrs", "by hand", "pgmq"];
const PATIENCE: u32 = 12;

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let args = bench.args;
    let load = Load::new(SMALL);
    bench.rounds("backlog", PEERS, |peer| {
        let mut figures = Vec::new();
        if !peer.queue.can_drain(BATCH) {
            return Ok(figures);
        }
        for messages in [100_000, 1_000_000] {
            let messages = args.scaled(messages);
            let patience = if TO_THE_END.contains(&peer.name) {
                PATIENCE
            } else {
                1
            };
            let drain = Drain {
                messages,
                consumers: CONSUMERS,
                batch: BATCH,
                limit: args.limit * patience,
            };
            let done = peer.fill_and_drain(&load, &drain, |_| Ok(()))?;
            let cell = Cell::new(SMALL, CONSUMERS, BATCH);
            figures.push(rate(
                cell.variant(format!("{} waiting", thousands(messages as f64))),
                &done,
            ));
        }
        Ok(figures)
    })
}
