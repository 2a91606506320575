//! What the server writes for a message, from its enqueue to its archive. It hardly depends on
//! the machine.

use super::{LARGE, PEERS, SMALL};
use crate::Result;
use crate::bench::Bench;
use crate::drive::{Drain, Enqueue};
use crate::load::Load;
use crate::results::{Cell, Figure, Unit};
use crate::support::wal::wal_position;

const CONSUMERS: usize = 2;
/// Where there are batches.
const PUT: usize = 1_000;
const TAKE: usize = 100;
/// Bytes are counted, not seconds.
const PATIENCE: u32 = 12;

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let args = bench.args;
    for bytes in [SMALL, LARGE] {
        let load = Load::new(bytes);
        bench.rounds("wal", PEERS, |peer| {
            let limit = args.limit * PATIENCE;
            let batch = if peer.queue.can_enqueue(PUT) { PUT } else { 1 };
            peer.reset()?;
            let before = wal_position(&mut peer.db.monitor)?;
            let put = peer.enqueue(&Enqueue {
                messages: args.scaled(20_000),
                batch,
                limit,
                load: &load,
            })?;
            let batch = if peer.queue.can_drain(TAKE) { TAKE } else { 1 };
            let drain = Drain {
                messages: usize::try_from(put.messages)?,
                consumers: CONSUMERS,
                batch,
                limit,
            };
            let taken = peer.drain(&drain)?;
            let written = wal_position(&mut peer.db.monitor)? - before;
            peer.reset()?;
            if taken.cut_off {
                // What was not worked off has not lived its life.
                return Ok(Vec::new());
            }
            Ok(vec![Figure {
                cell: Cell::new(bytes, CONSUMERS, TAKE),
                unit: Unit::Bytes,
                value: written as f64 / put.messages as f64,
                cut_off: false,
            }])
        })?;
    }
    Ok(())
}
