//! Ours: the worker pool, whose handlers do nothing.

use super::SMALL;
use crate::Result;
use crate::bench::{Bench, rate};
use crate::drive::Drain;
use crate::load::Load;
use crate::results::Cell;

/// A multiple of each number of threads.
const PREFETCH: usize = 1_920;

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let args = bench.args;
    let load = Load::new(SMALL);
    bench.rounds("pool", &["pgqrs pool"], |peer| {
        let mut figures = Vec::new();
        for threads in [1, 4, 64] {
            let drain = Drain {
                messages: args.scaled(200_000),
                consumers: threads,
                batch: PREFETCH / threads,
                limit: args.limit,
            };
            let done = peer.fill_and_drain(&load, &drain, |_| Ok(()))?;
            figures.push(rate(Cell::new(SMALL, threads, PREFETCH), &done));
        }
        Ok(figures)
    })
}
