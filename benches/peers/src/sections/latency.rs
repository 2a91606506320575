//! How long an idle queue takes to begin with a message.

use std::sync::Arc;

use super::SMALL;
use crate::Result;
use crate::bench::Bench;
use crate::moments::Moments;
use crate::results::{Cell, Figure, Unit};

const WHO: &[&str] = &[
    "pgqrs pool",
    "pgqrs 0.15.3",
    "fang",
    "graphile_worker",
    "pgmq",
];

pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let count = if bench.args.quick { 100 } else { 500 };
    bench.rounds("latency", WHO, |peer| {
        peer.reset()?;
        let moments = Arc::new(Moments::new(count));
        if !peer.queue.latency(&moments)? {
            return Ok(Vec::new());
        }
        peer.reset()?;
        let times = moments.times();
        if times.len() != count {
            return Err(format!("{} of {count} were begun", times.len()).into());
        }
        let figure = |percent: usize| Figure {
            cell: Cell::new(SMALL, 1, 1).variant(format!("p{percent}")),
            unit: Unit::Milliseconds,
            value: times[count * percent / 100],
            cut_off: false,
        };
        Ok(vec![figure(50), figure(99)])
    })
}
