//! What the library costs over its own statements by hand. A tenth is of interest here, and single
//! runs differ by more: so these two get more of them.

use super::{LARGE, SMALL};
use crate::Result;
use crate::bench::{Bench, rate};
use crate::drive::Drain;
use crate::load::Load;
use crate::results::Cell;

const WHO: &[&str] = &["pgqrs", "by hand"];
/// How many times the usual number of runs.
const TIMES: usize = 3;

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let args = bench.args;
    for bytes in [SMALL, LARGE] {
        let load = Load::new(bytes);
        for batch in [10, 50, 100, 1_000] {
            for consumers in [1, 2, 4] {
                let drain = Drain {
                    messages: args.messages,
                    consumers,
                    batch,
                    limit: args.limit,
                };
                for _ in 0..if args.quick { 1 } else { TIMES } {
                    bench.rounds("overhead", WHO, |peer| {
                        let done = peer.fill_and_drain(&load, &drain, |_| Ok(()))?;
                        Ok(vec![rate(Cell::new(bytes, consumers, batch), &done)])
                    })?;
                }
            }
        }
    }
    Ok(())
}
