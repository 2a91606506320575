//! One producer, each call a transaction of its own.

use super::{LARGE, PEERS, SMALL};
use crate::Result;
use crate::bench::{Bench, rate};
use crate::drive::Enqueue;
use crate::load::Load;
use crate::results::{Cell, Figure};

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let args = bench.args;
    for bytes in [SMALL, LARGE] {
        let load = Load::new(bytes);
        for batch in [1, 100, 1_000] {
            let enqueue = Enqueue {
                messages: args.messages,
                batch,
                limit: args.limit,
                load: &load,
            };
            bench.rounds("enqueue", PEERS, |peer| {
                if !peer.queue.can_enqueue(batch) {
                    return Ok(Vec::new());
                }
                peer.reset()?;
                let done = peer.enqueue(&enqueue)?;
                peer.reset()?;
                // A part of it says as much as all: nothing is marked.
                Ok(vec![Figure {
                    cut_off: false,
                    ..rate(Cell::new(bytes, 1, batch), &done)
                }])
            })?;
        }
    }
    Ok(())
}
