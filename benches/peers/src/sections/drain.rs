//! The middle of it all: how quickly a backlog is worked off.

use super::{LARGE, PEERS, SMALL};
use crate::Result;
use crate::bench::{Bench, rate};
use crate::drive::Drain;
use crate::load::Load;
use crate::results::Cell;

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let args = bench.args;
    let who = [PEERS, &["pgqrs pool"]].concat();
    for bytes in [SMALL, LARGE] {
        let load = Load::new(bytes);
        for batch in [1, 10, 50, 100, 1_000] {
            for consumers in [1, 2, 4] {
                let drain = Drain {
                    messages: args.messages,
                    consumers,
                    batch,
                    limit: args.limit,
                };
                bench.rounds("drain", &who, |peer| {
                    if !peer.queue.can_drain(batch) {
                        return Ok(Vec::new());
                    }
                    let done = peer.fill_and_drain(&load, &drain, |_| Ok(()))?;
                    Ok(vec![rate(Cell::new(bytes, consumers, batch), &done)])
                })?;
            }
        }
    }
    Ok(())
}
