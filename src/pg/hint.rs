//! Where a scan for ready messages starts.
//!
//! Everything before the end of the last batch was ready once and is now leased or gone,
//! and what is gone stays in the table and its key until vacuum may remove it, which a
//! long-running snapshot somewhere can prevent for hours. So a dequeue starts where those
//! before it in this process ended, or will end (the hint), and never walks over the dead.
//!
//! What does become ready below the hint, by a lease that runs out or by a transaction
//! that commits late, is found by a *sweep*, a scan from the start. Sweeps have a budget:
//! after one that took t, the next waits 50 t, so that they take a fiftieth of the time at
//! most, however slow they are. In a healthy table that is ten a second or more.
//! A sweep that finds something moves the hint back with it, so that a large late batch is
//! drained at full speed.
//!
//! Looks that are under way at the same time start one after the other's end, as far as that
//! can be known: a look for 100 that finds them ends 100 ids further at least. From the same
//! place, each would walk over what the others are just leasing, and a row that it saw ready
//! and finds leased it has locked by then, so that whoever holds the lease waits for it. And
//! those that began in the wrong place end in the wrong place, where the next one has begun.
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
const SWEEP_SHARE: u32 = 50;
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

/// A look for more than this makes room for others after so many: one for a million that finds
/// ten would have sent the next one a million ids ahead, until it is back.
const MOST_RESERVED: usize = 10_000;

/// One look into the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Only ids over this one; 0 is a sweep.
    pub(super) after: i64,
    /// Also for scheduled messages that are due.
    pub(super) due: bool,
    /// Where it starts, or would if it were no sweep, ...
    from: i64,
    /// ... and how far the others keep away: the same, or where a full answer ends at the
    /// earliest if nothing else is found before.
    end: i64,
    /// Which hint it started from.
    generation: u64,
}

impl Look {
    /// Whether it is neither a sweep nor for due messages: then its time teaches nothing.
    pub(super) fn is_plain(self) -> bool {
        self.after != 0 && !self.due
    }
}

/// What a look found.
#[derive(Clone, Copy, Debug, Default)]
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
    /// Where the next look starts: after those under way.
    reserved: i64,
    /// Grows when the hint moves back: looks under way by then must not move it forward
    /// again.
    generation: u64,
    sweep_at: Instant,
    sweep_took: Duration,
    /// When to look for due messages whatever is known of them.
    due_at: Instant,
    /// When the next one comes due that this process knows of.
    noted: Option<Instant>,
    /// Whether the last look for due messages found one.
    found_due: bool,
}

impl Hints {
    /// Decides the first look of a dequeue that wants up to `limit`.
    pub(super) fn first(&self, queue_id: i64, limit: usize, now: Instant) -> Look {
        let mut hints = self.lock();
        let hint = hints.entry(queue_id).or_insert(Hint {
            after: 0,
            reserved: 0,
            generation: 0,
            sweep_at: now,
            sweep_took: Duration::ZERO,
            due_at: now,
            noted: None,
            found_due: false,
        });
        // Due ones would take places of its limit, and its end would be nearer.
        let is_full_of_due = hint.found_due || hint.is_noted(now);
        let mut look = match hint.sweep_at <= now {
            true => hint.sweep(now),
            false => hint.look(now, false),
        };
        if !look.due || (look.from > 0 && !is_full_of_due) {
            hint.reserve(&mut look, limit);
        }
        look
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

    /// Takes in that a look failed: the next one makes up for it.
    pub(super) fn failed(&self, queue_id: i64, look: Look, now: Instant) {
        if let Some(hint) = self.lock().get_mut(&queue_id) {
            match look.after {
                0 => {
                    hint.sweep_at = now;
                    hint.go_back(hint.after.min(look.from));
                }
                after => hint.go_back(hint.after.min(after)),
            }
        }
    }

    /// Notes that a scheduled message comes due at `at`.
    pub(super) fn due_at(&self, queue_id: i64, at: Option<Instant>) {
        if let (Some(at), Some(hint)) = (at, self.lock().get_mut(&queue_id)) {
            hint.noted = Some(hint.noted.map_or(at, |noted| noted.min(at)));
        }
    }

    /// Forgets everything: the next dequeue of each queue sweeps.
    pub(super) fn forget(&self, now: Instant) {
        for hint in self.lock().values_mut() {
            hint.go_back(0); // and not `clear`: looks under way must not bring it back
            (hint.sweep_at, hint.due_at) = (now, now);
        }
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
            after: self.reserved,
            due,
            from: self.reserved,
            end: self.reserved,
            generation: self.generation,
        }
    }

    /// Has the next look start where a full answer for `limit` ends at the earliest.
    fn reserve(&mut self, look: &mut Look, limit: usize) {
        let ids = i64::try_from(limit.min(MOST_RESERVED)).unwrap_or(0);
        self.reserved = self.reserved.saturating_add(ids);
        look.end = self.reserved;
    }

    /// Everything up to `end` is taken.
    fn go_on(&mut self, end: i64) {
        self.after = self.after.max(end);
        self.reserved = self.reserved.max(self.after);
    }

    fn go_back(&mut self, after: i64) {
        self.generation += 1;
        self.after = after;
        self.reserved = after;
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due_at <= now || self.is_noted(now)
    }

    fn is_noted(&self, now: Instant) -> bool {
        self.noted.is_some_and(|noted| noted <= now)
    }

    fn learn(&mut self, look: Look, found: Found, limit: usize, (took, now): (Duration, Instant)) {
        if look.due {
            // A full answer may have left some.
            let more = found.due >= limit;
            self.found_due = found.due > 0;
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
            let begins = if look.end > look.from {
                look.end
            } else {
                self.after
            };
            match found.last {
                // Nothing is ready below what it found, but there may be some up to where the
                // others begin.
                Some(last) if !whole && last < begins => self.go_back(last),
                None if !whole => self.go_back(self.after.min(look.from)),
                // It went through to the end: nothing is ready below what it found, nor
                // above.
                last => self.go_on(last.unwrap_or(0)),
            }
            if whole && self.after < self.reserved {
                self.go_back(self.after);
            }
            return;
        }
        let end = found.last.unwrap_or(look.after);
        if look.generation == self.generation {
            self.go_on(end);
        }
        // There was no more when it looked; what has been enqueued since then may be behind
        // where the others started. Or due ones took the places of some behind there.
        let others = if whole { self.reserved } else { look.end };
        if end < others {
            self.go_back(end.min(self.after));
        }
    }
}

#[cfg(test)]
mod tests;
