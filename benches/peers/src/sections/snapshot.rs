//! An old snapshot keeps vacuum from removing anything: who walks over what is done gets slower
//! with every message.

use super::{PEERS, SMALL};
use crate::Result;
use crate::bench::{Bench, Peer, rate};
use crate::drive::Drain;
use crate::load::Load;
use crate::results::Cell;

const CONSUMERS: usize = 2;
const BATCH: usize = 100;
const PATIENCE: u32 = 40;

pub(crate) const WITHOUT: &str = "no snapshot";
pub(crate) const HELD: &str = "snapshot held";

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let args = bench.args;
    let load = Load::new(SMALL);
    let drain = Drain {
        messages: args.scaled(200_000),
        consumers: CONSUMERS,
        batch: BATCH,
        // To the end: a queue that walks over what is done is quick in the beginning.
        limit: args.limit * PATIENCE,
    };
    bench.rounds("snapshot", PEERS, |peer| {
        if !peer.queue.can_drain(BATCH) {
            return Ok(Vec::new());
        }
        let cell = Cell::new(SMALL, CONSUMERS, BATCH);
        let without = peer.fill_and_drain(&load, &drain, |_| Ok(()))?;
        let mut holder = None;
        // Held from before the first enqueue until after the drain.
        peer.reset()?;
        holder.replace(Peer::snapshot(&peer.db)?);
        peer.queue.prefill(drain.messages, &load)?;
        let held = peer.drain(&drain)?;
        drop(holder);
        peer.reset()?;
        Ok(vec![
            rate(cell.variant(WITHOUT), &without),
            rate(cell.variant(HELD), &held),
        ])
    })
}
