//! Waking those who wait: at once for what this process does, and within milliseconds for what
//! others do to the same file.
//!
//! A thread, started when somebody waits for the first time and ended with the store, asks
//! SQLite every few milliseconds whether another connection has committed
//! (`PRAGMA data_version`, which reads a number in shared memory), and only if so whether a queue
//! that somebody waits for has something. It also keeps the time: messages come due, and
//! leases run out, without anybody doing anything. While nobody waits, it sleeps.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::Connection;

use super::clock::now;
use super::dequeue::{Peek, peek};
use super::place::Place;
use super::sql;
use crate::bell::{Bell, Hung, Ringing};
use crate::store::Wakeups;

/// The pauses between two looks at the file: short while others write to it, longer and longer
/// while nobody does.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// And where it cannot be read.
const AFTER_A_FAULT: Duration = Duration::from_secs(1);

pub(super) struct Watch {
    place: Place,
    shared: Arc<Shared>,
    pokes: Receiver<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    ringing: Ringing,
    state: Mutex<State>,
    /// Ends the thread's sleep.
    poke: Sender<()>,
}

#[derive(Default)]
struct State {
    /// Who is asleep, by the number of its bells and the queue.
    waiting: BTreeMap<(u64, i64), Armed>,
    last_number: u64,
    /// When to look at a queue again, whatever happens.
    next: BTreeMap<i64, i64>,
    is_over: bool,
}

/// Whether the file is watched for somebody who waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Armed {
    /// From the thread's next look on.
    Soon,
    Yes,
}

impl Watch {
    pub(super) fn new(place: Place) -> Self {
        let (poke, pokes) = bounded(1);
        Self {
            place,
            shared: Arc::new(Shared {
                ringing: Ringing::default(),
                state: Mutex::default(),
                poke,
            }),
            pokes,
            thread: Mutex::new(None),
        }
    }

    /// Hangs up bells, and sees to it that the thread runs.
    pub(super) fn hang_up(&self, bells: Vec<(i64, Bell)>) -> Option<Box<dyn Wakeups>> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let watcher = Watcher {
                place: self.place.clone(),
                shared: Arc::clone(&self.shared),
                pokes: self.pokes.clone(),
                db: None,
                seen: None,
                pause: FIRST_PAUSE,
            };
            let builder = thread::Builder::new().name("pgqrs-watch".to_owned());
            *thread = Some(builder.spawn(move || watcher.run()).ok()?);
        }
        drop(thread);
        let mut state = self.shared.lock();
        state.last_number += 1;
        Some(Box::new(Waiter {
            number: state.last_number,
            shared: Arc::clone(&self.shared),
            is_shared: self.place.is_file(),
            _bells: self.shared.ringing.hang_up(bells),
        }))
    }

    /// Messages of this queue have become ready.
    pub(super) fn ring(&self, queue_id: i64) {
        self.shared.ringing.ring(queue_id);
    }

    /// Everything may have become ready.
    pub(super) fn ring_all(&self) {
        self.shared.ringing.ring_all();
    }

    /// A message of this queue, or a lease, comes to its time then.
    pub(super) fn look_again(&self, queue_id: i64, at: i64) {
        let mut state = self.shared.lock();
        let is_sooner = state.next.values().all(|next| at < *next);
        state.note(queue_id, at);
        if is_sooner {
            drop(state);
            self.shared.poke();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.poke();
        let thread = self.thread.get_mut();
        if let Some(thread) = thread.unwrap_or_else(PoisonError::into_inner).take() {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poke(&self) {
        // A full channel says the same already.
        let _ = self.poke.try_send(());
    }
}

impl State {
    fn note(&mut self, queue_id: i64, at: i64) {
        let next = self.next.entry(queue_id).or_insert(at);
        *next = at.min(*next);
    }

    /// Forgets what has come to its time, and returns it.
    fn take_due(&mut self, now: i64) -> Vec<i64> {
        let due: Vec<i64> = self
            .next
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(queue_id, _)| *queue_id)
            .collect();
        self.next.retain(|_, at| *at > now);
        due
    }

    /// What happens from here on is not seen.
    fn disarm(&mut self) {
        let all = self.waiting.values_mut();
        all.for_each(|armed| *armed = Armed::Soon);
    }

    /// Arms those who want to be, and returns their queues: they look once more then.
    fn arm(&mut self) -> Vec<i64> {
        let soon = self
            .waiting
            .iter_mut()
            .filter(|(_, armed)| **armed == Armed::Soon);
        soon.map(|((_, queue_id), armed)| {
            *armed = Armed::Yes;
            *queue_id
        })
        .collect()
    }
}

/// The thread.
struct Watcher {
    place: Place,
    shared: Arc<Shared>,
    pokes: Receiver<()>,
    db: Option<Connection>,
    /// The file's version that was seen last.
    seen: Option<i64>,
    pause: Duration,
}

impl Watcher {
    fn run(mut self) {
        loop {
            let is_waited_for = {
                let state = self.shared.lock();
                if state.is_over {
                    return;
                }
                !state.waiting.is_empty()
            };
            if is_waited_for {
                let sleep = self.look();
                let _ = match sleep {
                    Some(sleep) => self.pokes.recv_timeout(sleep).ok(),
                    None => self.pokes.recv().ok(),
                };
            } else {
                self.seen = None;
                let _ = self.pokes.recv();
            }
        }
    }

    /// Looks once at everything, and says how long to sleep; none: until somebody says something.
    fn look(&mut self) -> Option<Duration> {
        let pause = self.look_at_the_file();
        let now = now();
        let mut state = self.shared.lock();
        for queue_id in state.take_due(now) {
            self.shared.ringing.ring(queue_id);
        }
        let until_next = state.next.values().min().map(|next| {
            let micros = u64::try_from(next.saturating_sub(now)).unwrap_or(0);
            Duration::from_micros(micros)
        });
        match (pause, until_next) {
            (Some(pause), Some(until)) => Some(pause.min(until)),
            (pause, until) => pause.or(until),
        }
    }

    /// Rings for what others have done. Nobody else does anything in memory.
    fn look_at_the_file(&mut self) -> Option<Duration> {
        if !self.place.is_file() {
            return None;
        }
        let Some(version) = self.version() else {
            // Another connection counts anew, and nobody is armed meanwhile, but polls.
            (self.db, self.seen) = (None, None);
            self.shared.lock().disarm();
            return Some(AFTER_A_FAULT);
        };
        let changed = self.seen.replace(version) != Some(version);
        if !changed {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        } else {
            self.pause = FIRST_PAUSE;
        }
        // Asked before anybody is armed: from here on no change is missed.
        let waited_for: Vec<i64> = {
            let mut state = self.shared.lock();
            for queue_id in state.arm() {
                self.shared.ringing.ring(queue_id);
            }
            state
                .waiting
                .keys()
                .map(|(_, queue_id)| *queue_id)
                .collect()
        };
        if changed {
            for queue_id in waited_for {
                self.look_at(queue_id);
            }
        }
        Some(self.pause)
    }

    fn version(&mut self) -> Option<i64> {
        if self.db.is_none() {
            self.db = self.place.connect().ok();
        }
        let db = self.db.as_ref()?;
        let mut version = db.prepare_cached(sql::DATA_VERSION).ok()?;
        version.query_row([], |row| row.get(0)).ok()
    }

    fn look_at(&self, queue_id: i64) {
        let Some(db) = &self.db else { return };
        match peek(db, queue_id, now()) {
            Ok(Some(Peek { ready: false, next })) => {
                if let Some(next) = next {
                    self.shared.lock().note(queue_id, next);
                }
            }
            // Also where there is no such queue any more, or it cannot be read: let its consumer
            // see for itself.
            _ => self.shared.ringing.ring(queue_id),
        }
    }
}

/// One who waits, until it is dropped.
struct Waiter {
    number: u64,
    shared: Arc<Shared>,
    /// Other processes may use the same database.
    is_shared: bool,
    _bells: Hung,
}

impl Wakeups for Waiter {
    fn arm(&self, queue_id: i64) -> bool {
        let mut state = self.shared.lock();
        // What this process does rings all bells, all the time.
        let begin = match self.is_shared {
            true => Armed::Soon,
            false => Armed::Yes,
        };
        let place = state.waiting.entry((self.number, queue_id));
        let is_new = matches!(place, Entry::Vacant(_));
        let armed = *place.or_insert(begin);
        drop(state);
        if is_new {
            self.shared.poke();
        }
        armed == Armed::Yes
    }

    fn disarm(&self, queue_id: i64) {
        self.shared.lock().waiting.remove(&(self.number, queue_id));
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let number = self.number;
        state.waiting.retain(|(other, _), _| *other != number);
    }
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiter")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Watch {
    /// Whether the thread has something to look for.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.shared.lock().waiting.is_empty()
    }
}
