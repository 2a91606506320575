//! Whose turn it is: several queues by their weights, none starved.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::caution::Caution;
use crate::bell::Bell;
use crate::queue::Queue;

/// One queue of a pool.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) queue: Arc<Queue>,
    pub(super) worker: i64,
    pub(super) weight: u32,
    pub(super) caution: Caution,
    /// Rung by the store when messages may have become ready.
    pub(super) bell: Bell,
    /// Not asked before then, unless the bell rings.
    pub(super) next_look: Instant,
    /// Whether the store was asked to ring it, ...
    pub(super) waiting: bool,
    /// ... and is known to: then the queue is looked at less often.
    pub(super) armed: bool,
    /// How many looks in a row have found something.
    pub(super) streak: u32,
    /// Whether it was found empty.
    resting: bool,
    /// Messages fetched so far, divided by the weight: who has the least is next.
    served: f64,
}

impl Source {
    pub(super) fn new(
        queue: Queue,
        worker: i64,
        weight: u32,
        caution: Caution,
        bell: Bell,
    ) -> Self {
        Self {
            queue: Arc::new(queue),
            worker,
            weight,
            caution,
            bell,
            next_look: Instant::now(),
            waiting: false,
            armed: false,
            streak: 0,
            resting: false,
            served: 0.0,
        }
    }
}

/// All queues of a pool.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) sources: Vec<Source>,
    /// How far those have been served whose turn it was: where one begins that was empty, as
    /// what it did not use then it cannot claim now.
    served: f64,
}

impl Turns {
    pub(super) fn new(sources: Vec<Source>) -> Self {
        Self {
            sources,
            served: 0.0,
        }
    }

    /// Whose turn it is to be asked for messages, and for how many of the `room` there is;
    /// `None` if no queue is worth a look now.
    pub(super) fn next(&mut self, now: Instant, room: usize) -> Option<(usize, usize)> {
        for source in &mut self.sources {
            if source.bell.take() {
                source.next_look = now;
            }
        }
        let ready: Vec<usize> = (0..self.sources.len())
            .filter(|at| self.sources[*at].next_look <= now)
            .collect();
        for at in &ready {
            let source = &mut self.sources[*at];
            if std::mem::take(&mut source.resting) {
                source.served = source.served.max(self.served);
            }
        }
        let served = |at: &usize| self.sources[*at].served;
        let next = *ready
            .iter()
            .min_by(|one, other| served(one).total_cmp(&served(other)))?;
        self.served = self.served.max(served(&next));
        let weight = |at: &usize| f64::from(self.sources[*at].weight);
        let all: f64 = ready.iter().map(weight).sum();
        // Its part of the room, rounded up: what it does not fill goes to the next.
        let part = (room as f64 * weight(&next) / all).ceil() as usize;
        Some((next, part.clamp(1, room)))
    }

    /// Notes what a look brought.
    pub(super) fn found(&mut self, at: usize, count: usize) {
        let source = &mut self.sources[at];
        source.served += count as f64 / f64::from(source.weight);
        source.streak = match count {
            0 => 0,
            _ => source.streak.saturating_add(1),
        };
    }

    /// Notes that a queue was found empty, and is not to be asked for a while.
    pub(super) fn rest(&mut self, at: usize, now: Instant, pause: Duration) {
        let source = &mut self.sources[at];
        source.resting = true;
        source.next_look = now + pause;
    }

    /// Asks a queue again, whatever was found.
    pub(super) fn look_again(&mut self, at: usize, when: Instant) {
        self.sources[at].next_look = when;
    }

    /// When the next queue is to be asked.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.sources.iter().map(|source| source.next_look).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bell::Bells;
    use time::OffsetDateTime;

    const SECOND: Duration = Duration::from_secs(1);

    fn turns(weights: &[u32]) -> Turns {
        let bells = Bells::new();
        let source = |(at, weight): (usize, &u32)| {
            let queue = Queue {
                id: at as i64,
                name: at.to_string(),
                created_at: OffsetDateTime::UNIX_EPOCH,
            };
            let caution = Caution::new(1, 1, SECOND);
            Source::new(queue, 1, *weight, caution, bells.bell())
        };
        Turns::new(weights.iter().enumerate().map(source).collect())
    }

    /// How many messages each queue gets of `total`, where each look brings what it asks for
    /// and there is `room` each time.
    fn shares(turns: &mut Turns, total: usize, room: usize) -> Vec<usize> {
        let now = Instant::now();
        let mut shares = vec![0; turns.sources.len()];
        while shares.iter().sum::<usize>() < total {
            let (at, limit) = turns.next(now, room).unwrap();
            turns.found(at, limit);
            shares[at] += limit;
        }
        shares
    }

    #[test]
    fn full_queues_share_by_weight() {
        for room in [1, 7, 100] {
            let shares = shares(&mut turns(&[1, 3, 6]), 10_000, room);
            for (share, fair) in shares.iter().zip([1_000, 3_000, 6_000]) {
                let off = (*share as i64 - fair).unsigned_abs();
                assert!(off <= room as u64 + 10, "room {room}: {shares:?}");
            }
        }
    }

    #[test]
    fn one_queue_alone_gets_all_the_room() {
        let mut turns = turns(&[1, 9]);
        let now = Instant::now();
        turns.rest(1, now, SECOND);
        assert_eq!(turns.next(now, 50), Some((0, 50)));
    }

    #[test]
    fn an_empty_queue_is_not_asked_until_its_time_or_its_bell() {
        let mut turns = turns(&[1]);
        let now = Instant::now();
        turns.rest(0, now, SECOND);
        assert_eq!(turns.next(now, 5), None);
        assert_eq!(turns.next_look(), Some(now + SECOND));
        assert_eq!(turns.next(now + SECOND, 5), Some((0, 5)));
        turns.rest(0, now, SECOND);
        turns.sources[0].bell.ring();
        assert_eq!(turns.next(now, 5), Some((0, 5)));
    }

    #[test]
    fn a_queue_that_was_empty_for_long_gets_its_share_and_no_more() {
        let mut turns = turns(&[1, 1]);
        let now = Instant::now();
        turns.rest(1, now, SECOND);
        for _ in 0..1_000 {
            let (at, limit) = turns.next(now, 10).unwrap();
            assert_eq!(at, 0);
            turns.found(at, limit);
        }
        turns.rest(1, now, Duration::ZERO);
        let shares = shares(&mut turns, 1_000, 10);
        assert!(shares[0] >= 450, "{shares:?}");
    }

    #[test]
    fn what_each_had_while_the_other_was_empty_does_not_count() {
        let mut turns = turns(&[1, 1]);
        let now = Instant::now();
        for (busy, empty, count) in [(0, 1, 100), (1, 0, 50_000)] {
            turns.rest(empty, now, SECOND);
            turns.look_again(busy, now);
            for _ in 0..count / 10 {
                assert_eq!(turns.next(now, 10), Some((busy, 10)));
                turns.found(busy, 10);
            }
            turns.rest(busy, now, SECOND);
        }
        turns.look_again(0, now);
        turns.look_again(1, now);
        let shares = shares(&mut turns, 1_000, 10);
        assert!(shares.iter().all(|share| *share >= 480), "{shares:?}");
    }
}
