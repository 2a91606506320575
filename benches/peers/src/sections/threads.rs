//! Ours: more consumers than there are processors.

use super::SMALL;
use crate::Result;
use crate::bench::{Bench, rate};
use crate::drive::Drain;
use crate::load::Load;
use crate::results::Cell;

const BATCH: usize = 100;

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let args = bench.args;
    let load = Load::new(SMALL);
    bench.rounds("threads", &["pgqrs"], |peer| {
        let mut figures = Vec::new();
        for consumers in [1, 2, 4, 8, 16, 64] {
            let drain = Drain {
                messages: args.scaled(100_000),
                consumers,
                batch: BATCH,
                limit: args.limit,
            };
            let done = peer.fill_and_drain(&load, &drain, |_| Ok(()))?;
            figures.push(rate(Cell::new(SMALL, consumers, BATCH), &done));
        }
        Ok(figures)
    })
}
