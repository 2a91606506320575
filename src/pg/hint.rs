//! Where a scan for ready messages starts.
//!
//! Everything before the end of the last batch was ready once and is now leased or gone,
//! and what is gone stays in the table and its key until vacuum may remove it, which a
//! long-running snapshot somewhere can prevent for hours. So a dequeue starts where the
//! last one of this process ended (the hint), and never walks over the dead.
//!
//! What does become ready below the hint, by a lease that runs out or by a transaction
//! that commits late, is found by a *sweep*, a scan from the start. Sweeps have a budget:
//! after one that took t, the next waits 20 t, so that they take a twentieth of the time at
//! most, however slow they are. In a healthy table that is a sweep every few milliseconds.
//! A sweep that finds something moves the hint back with it, so that a large late batch is
//! drained at full speed.
//!
//! Looking for scheduled messages that have come due costs more than nothing as well, as it
//! walks over those that are gone, so it is done with every sweep, when this process knows
//! that one is due, and every so often, on a budget of its own.
//!
//! All of this is memory only; losing it costs one sweep.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A sweep that took t is followed by one after this many t, ...
const SWEEP_SHARE: u32 = 20;
/// ... but by one after this long at the latest.
const SWEEP_AT_LATEST: Duration = Duration::from_secs(60);
/// A sweep as quick as this is made whatever the budget says rather than answering that
/// there is nothing: programs take an empty answer for the end. A tenth of a second is a
/// third of the time of a consumer that polls an empty queue, at worst, and only where that
/// many dead rows cannot be vacuumed.
const QUICK: Duration = Duration::from_millis(100);
/// How often to look for due messages of other processes while there is a backlog, ...
const DUE_EVERY: Duration = Duration::from_millis(50);
/// ... but after a look that took t, not before this many t.
const DUE_SHARE: u32 = 4;

/// One look into the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Only ids over this one; 0 is a sweep.
    pub(super) after: i64,
    /// Also for scheduled messages that are due.
    pub(super) due: bool,
    /// Which hint it started from.
    generation: u64,
}

/// What a look found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// How many it found in all, and ...
    pub(super) count: usize,
    /// ... how many of them had been scheduled.
    pub(super) due: usize,
    /// The highest id among the others.
    pub(super) last: Option<i64>,
}

/// The hints of one process, by queue.
#[derive(Debug, Default)]
pub(super) struct Hints(Mutex<HashMap<i64, Hint>>);

#[derive(Debug)]
struct Hint {
    after: i64,
    /// Grows when a sweep moves the hint back: looks under way by then must not move it
    /// forward again.
    generation: u64,
    sweep_at: Instant,
    sweep_took: Duration,
    /// When to look for due messages whatever is known of them.
    due_at: Instant,
    /// When the next one comes due that this process knows of.
    noted: Option<Instant>,
}

impl Hints {
    /// Decides the first look of a dequeue.
    pub(super) fn first(&self, queue_id: i64, now: Instant) -> Look {
        let mut hints = self.lock();
        let hint = hints.entry(queue_id).or_insert(Hint {
            after: 0,
            generation: 0,
            sweep_at: now,
            sweep_took: Duration::ZERO,
            due_at: now,
            noted: None,
        });
        if hint.sweep_at <= now {
            hint.sweep(now)
        } else {
            hint.look(now, false)
        }
    }

    /// Takes in what a look found that wanted up to `limit`, and decides the second look,
    /// if one is worth it. `took`: how long the server was at it.
    pub(super) fn next(
        &self,
        queue_id: i64,
        look: Look,
        found: Found,
        limit: usize,
        (took, now): (Duration, Instant),
    ) -> Option<Look> {
        let mut hints = self.lock();
        let hint = hints.get_mut(&queue_id)?;
        hint.learn(look, found, limit, (took, now));
        if found.count >= limit || (look.after == 0 && look.due) {
            None
        } else if found.count == 0 && hint.sweep_took < QUICK && look.after != 0 {
            Some(hint.sweep(now))
        } else if !look.due && (found.count == 0 || hint.is_due(now)) {
            Some(hint.look(now, true))
        } else {
            None
        }
    }

    /// Takes in that a look failed: if it was the sweep, the next one is.
    pub(super) fn failed(&self, queue_id: i64, look: Look, now: Instant) {
        if let (0, Some(hint)) = (look.after, self.lock().get_mut(&queue_id)) {
            hint.sweep_at = now;
        }
    }

    /// Notes that a scheduled message comes due at `at`.
    pub(super) fn due_at(&self, queue_id: i64, at: Option<Instant>) {
        if let (Some(at), Some(hint)) = (at, self.lock().get_mut(&queue_id)) {
            hint.noted = Some(hint.noted.map_or(at, |noted| noted.min(at)));
        }
    }

    /// Forgets everything: the next dequeue of each queue sweeps.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Hint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hint {
    fn sweep(&mut self, now: Instant) -> Look {
        // One thread sweeps; if its answer is lost, another does after the longest wait.
        self.sweep_at = now + SWEEP_AT_LATEST;
        Look {
            after: 0,
            ..self.look(now, true)
        }
    }

    fn look(&mut self, now: Instant, due: bool) -> Look {
        let due = due || self.is_due(now);
        if due {
            // One thread looks, as above; what is noted, all threads look for.
            self.due_at = now + DUE_EVERY;
        }
        Look {
            after: self.after,
            due,
            generation: self.generation,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due_at <= now || self.noted.is_some_and(|noted| noted <= now)
    }

    fn learn(&mut self, look: Look, found: Found, limit: usize, (took, now): (Duration, Instant)) {
        if look.due {
            // A full answer may have left some.
            let more = found.due >= limit;
            let wait = DUE_EVERY.max(took * DUE_SHARE).min(SWEEP_AT_LATEST);
            self.due_at = if more { now } else { now + wait };
            if !more {
                // What was due when it began, it has seen.
                let began = now.checked_sub(took);
                self.noted = self.noted.filter(|noted| Some(*noted) > began);
            }
        }
        let whole = found.count < limit;
        if look.after == 0 {
            self.sweep_took = took;
            self.sweep_at = now + (self.sweep_took * SWEEP_SHARE).min(SWEEP_AT_LATEST);
            match found.last {
                // It went through to the end: nothing is ready below what it found, nor
                // above.
                Some(last) if whole => self.after = self.after.max(last),
                Some(last) => {
                    self.generation += u64::from(last < self.after);
                    self.after = last;
                }
                None => {}
            }
        } else if look.generation == self.generation
            && let Some(last) = found.last
        {
            self.after = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: i64 = 1;

    fn found(count: usize, last: i64) -> Found {
        Found {
            count,
            due: 0,
            last: (count > 0).then_some(last),
        }
    }

    /// Makes looks with a clock of its own.
    struct Looker {
        hints: Hints,
        now: Instant,
    }

    impl Looker {
        fn new() -> Self {
            Self {
                hints: Hints::default(),
                now: Instant::now(),
            }
        }

        fn first(&self) -> Look {
            self.hints.first(QUEUE, self.now)
        }

        /// A look for 10 that took some milliseconds.
        fn took(&mut self, millis: u64, look: Look, found: Found) -> Option<Look> {
            let took = Duration::from_millis(millis);
            self.now += took;
            self.hints.next(QUEUE, look, found, 10, (took, self.now))
        }
    }

    #[test]
    fn the_first_look_is_a_sweep_and_the_next_starts_where_it_ended() {
        let mut looker = Looker::new();
        let sweep = looker.first();
        assert_eq!((sweep.after, sweep.due), (0, true));
        assert_eq!(looker.took(1, sweep, found(10, 17)), None);
        assert_eq!(looker.first().after, 17);
    }

    #[test]
    fn sweeps_wait_twenty_times_as_long_as_the_last_one_took() {
        let mut looker = Looker::new();
        let sweep = looker.first();
        looker.took(100, sweep, found(10, 17));
        looker.now += Duration::from_millis(1_999);
        assert_eq!(looker.first().after, 17);
        looker.now += Duration::from_millis(1);
        assert_eq!(looker.first().after, 0);
        assert_eq!(looker.first().after, 17, "one thread sweeps at a time");
    }

    #[test]
    fn an_empty_answer_is_made_sure_of_if_that_is_quick() {
        let mut looker = Looker::new();
        let sweep = looker.first();
        looker.took(1, sweep, found(10, 17));
        let look = looker.first();
        let second = looker.took(1, look, found(0, 0)).unwrap();
        assert_eq!((second.after, second.due), (0, true));
        // and if it is not, only the due ones are looked for
        looker.took(1_000, second, found(10, 30));
        let look = looker.first();
        assert_eq!((look.after, look.due), (30, false));
        let second = looker.took(1, look, found(0, 0)).unwrap();
        assert_eq!((second.after, second.due), (30, true));
    }

    #[test]
    fn a_sweep_that_finds_old_messages_takes_the_hint_back_with_it() {
        let mut looker = Looker::new();
        let sweep = looker.first();
        looker.took(1, sweep, found(10, 1_000));
        let slow = looker.first();
        looker.now += Duration::from_secs(1);
        let sweep = looker.first();
        looker.took(1, sweep, found(10, 40));
        looker.took(1, slow, found(10, 1_010));
        assert_eq!(
            looker.first().after,
            40,
            "a look under way does not undo it"
        );
    }

    #[test]
    fn a_sweep_that_failed_is_made_up_for() {
        let mut looker = Looker::new();
        let sweep = looker.first();
        looker.took(1, sweep, found(10, 17));
        looker.now += Duration::from_secs(1);
        let sweep = looker.first();
        assert_eq!(sweep.after, 0);
        assert_eq!(looker.first().after, 17);
        looker.hints.failed(QUEUE, sweep, looker.now);
        assert_eq!(looker.first().after, 0);
    }

    #[test]
    fn due_messages_are_looked_for_when_one_is_due() {
        let mut looker = Looker::new();
        let sweep = looker.first();
        looker.took(100, sweep, found(10, 17));
        assert!(!looker.first().due);
        let soon = looker.now + Duration::from_millis(10);
        looker.hints.due_at(QUEUE, Some(soon));
        assert!(!looker.first().due);
        looker.now = soon;
        assert!(looker.first().due);
    }
    #[test]
    fn slow_looks_for_due_messages_are_made_less_often() {
        let mut looker = Looker::new();
        let sweep = looker.first();
        looker.took(100, sweep, found(10, 17));
        looker.now += Duration::from_millis(399);
        assert!(!looker.first().due);
        looker.now += Duration::from_millis(1);
        assert!(looker.first().due);
        assert!(!looker.first().due, "one thread looks at a time");
    }

    #[test]
    fn a_message_that_comes_due_after_a_look_began_is_not_forgotten_by_it() {
        let mut looker = Looker::new();
        let sweep = looker.first();
        let soon = looker.now + Duration::from_millis(50);
        looker.hints.due_at(QUEUE, Some(soon));
        looker.took(100, sweep, found(10, 17));
        let look = looker.first();
        assert!(look.due);
        assert!(looker.first().due, "all threads look until one has");
        looker.took(1, look, found(10, 27));
        assert!(!looker.first().due);
    }
}
