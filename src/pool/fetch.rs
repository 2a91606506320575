//! The thread that fetches: as many messages as there is room for, and sleeps when there are
//! none.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, after, never, select_biased};

use super::Shared;
use super::backoff::Backoff;
use super::held::{Held, Job, Taken};
use super::jobs::{JobReceiver, JobSender};
use super::settle::Finished;
use super::turns::Turns;
use crate::bell::Bells;
use crate::error::Result;
use crate::message::{Message, Outcome};
use crate::store::{Dequeue, Wakeups};

/// A store that tells of new messages is still asked, this many times more seldom: leases run
/// out without anybody telling.
const WOKEN_SHARE: u32 = 4;

/// After so many looks in a row that found something, nobody needs to wake us any more.
const BUSY: u32 = 3;

pub(super) struct Fetch {
    pub(super) shared: Arc<Shared>,
    pub(super) turns: Turns,
    pub(super) bells: Bells,
    pub(super) wakeups: Option<Box<dyn Wakeups>>,
    pub(super) jobs: JobSender<Job>,
    /// The other end, to take back what no handler has started.
    pub(super) queued: JobReceiver<Job>,
    pub(super) finished: Sender<Finished>,
    pub(super) backoff: Backoff,
}

impl Fetch {
    pub(super) fn run(mut self) {
        while !self.shared.is_stopping() {
            let now = Instant::now();
            let room = self.room(now);
            let turn = match room {
                0 => None,
                room => self.turns.next(now, room),
            };
            let fetched = match turn {
                Some((at, limit)) => self.fetch(at, limit),
                None => self.sleep(now, room),
            };
            if let Err(error) = fetched {
                if error.is_transient() {
                    let pause = self.backoff.failed(&self.shared, &error);
                    self.shared.pause(pause);
                } else {
                    self.shared.fail(error);
                }
            }
        }
        self.end();
    }

    /// Gives back what no handler has.
    pub(super) fn end(self) {
        self.shared.reporter.tell(|events| events.stopping());
        // That ends the handlers that wait; what they have not taken is ours to give back.
        drop(self.jobs);
        while let Some((held, _)) = self.queued.try_recv() {
            self.shared.finished(1);
            let _ = self.finished.send(Finished::unstarted(held));
        }
        self.shared.drained.stop();
        // The settle thread has nothing to expect from here, whatever the rest takes.
        drop(self.finished);
    }

    /// How many messages to fetch now; 0 also if it is so few that it is not worth a call.
    fn room(&mut self, now: Instant) -> usize {
        let shared = &self.shared;
        let unfinished = shared.unfinished.load(Ordering::SeqCst);
        if unfinished > shared.low_water() {
            return 0;
        }
        let held = shared.holding.len();
        let room = shared.capacity() - unfinished;
        let room = room.min(shared.most_held().saturating_sub(held));
        // What one queue asks for holds for the pool.
        let cautions = self.turns.sources.iter_mut().map(|s| &mut s.caution);
        cautions.fold(room, |room, caution| caution.limit(now, room, held))
    }

    /// Fetches up to so many messages of a queue, and hands them out.
    pub(super) fn fetch(&mut self, at: usize, limit: usize) -> Result<()> {
        let source = &self.turns.sources[at];
        let queue = Arc::clone(&source.queue);
        let since = Instant::now();
        let messages = self.shared.store.dequeue(&Dequeue {
            queue_id: queue.id,
            worker: source.worker,
            limit,
            lock_time: self.shared.lock_time,
        })?;
        self.backoff.succeeded(&self.shared);
        let now = Instant::now();
        self.turns.found(at, messages.len());
        if messages.is_empty() {
            self.turns.sources[at].caution.see(now, &messages);
            self.rest(at, now);
            return Ok(());
        }
        self.turns.look_again(at, now);
        if self.turns.sources[at].streak == BUSY {
            self.disarm(at, now);
        }
        let count = messages.len();
        let told = &self.shared.reporter;
        told.tell(|events| events.fetched(&queue.name, count));

        let before = self.shared.holding.len();
        let lock_time = self.shared.lock_time;
        self.turns.sources[at].caution.see(now, &messages);
        let (mut new, mut again) = (Vec::with_capacity(count), Vec::new());
        for message in messages {
            let holding = &self.shared.holding;
            match holding.take(&queue, &message, since, lock_time) {
                Taken::New(held) => new.push((held, message)),
                Taken::Again(held) => again.push(held),
            }
        }
        for held in again {
            // The delivery that it came under before is lost; the message is not.
            told.tell(|events| events.lease_lost(&held.delivery()));
        }
        self.hand_out(at, new, before);
        Ok(())
    }

    /// Gives messages to the handlers, except those that no handler is to see.
    fn hand_out(&mut self, at: usize, new: Vec<Job>, held_before: usize) {
        let used_up = |message: &Message| {
            let attempts = self.shared.retry.max_attempts();
            u32::try_from(message.attempt).is_ok_and(|attempt| attempt > attempts)
        };
        let (spent, new): (Vec<Job>, Vec<Job>) =
            new.into_iter().partition(|(_, message)| used_up(message));
        for (held, message) in spent {
            let why = match message.lapsed {
                true => {
                    "the attempt before ended without a word, by a crash of its process or by a \
                     lost lease"
                }
                false => "no more are allowed",
            };
            let allowed = self.shared.retry.max_attempts();
            let reason = format!(
                "delivered for attempt {} of {allowed}: {why}",
                message.attempt
            );
            let outcome = Outcome::DeadLetter(reason);
            let _ = self.finished.send(Finished::new(held, outcome, None));
        }
        let (helds, messages): (Vec<Arc<Held>>, Vec<Message>) = new.into_iter().unzip();
        let caution = &self.turns.sources[at].caution;
        if !caution.allows(held_before + messages.len()) {
            for held in helds {
                let _ = self.finished.send(Finished::unstarted(held));
            }
            return;
        }
        self.shared
            .unfinished
            .fetch_add(messages.len(), Ordering::SeqCst);
        self.jobs.send_all(helds.into_iter().zip(messages));
    }

    /// Lets a queue be that has nothing.
    fn rest(&mut self, at: usize, now: Instant) {
        let queue_id = self.turns.sources[at].queue.id;
        let wakeups = self.wakeups.as_ref();
        let armed = wakeups.is_some_and(|wakeups| wakeups.arm(queue_id));
        self.turns.sources[at].waiting = true;
        self.turns.sources[at].armed = armed;
        let share = if armed { WOKEN_SHARE } else { 1 };
        // All queues together are asked as often as one.
        let queues = u32::try_from(self.turns.sources.len()).unwrap_or(u32::MAX);
        let interval = self.shared.poll_interval.saturating_mul(share);
        let pause = interval.saturating_mul(queues);
        let jitter = pause
            .min(Duration::from_secs(3600))
            .mul_f64(fastrand::f64() / 4.0);
        // A pause beyond what the clock can tell is one of a day.
        let pause = pause
            .saturating_add(jitter)
            .min(Duration::from_secs(86_400));
        self.turns.rest(at, now, pause);
    }

    /// Nobody needs to wake us for this queue: we look at it as soon as there is room.
    fn disarm(&mut self, at: usize, now: Instant) {
        let source = &mut self.turns.sources[at];
        if let Some(wakeups) = &self.wakeups
            && std::mem::take(&mut source.waiting)
        {
            source.armed = false;
            source.next_look = now;
            wakeups.disarm(source.queue.id);
        }
    }

    /// Sleeps until there is room, a message, or the time of the next look.
    fn sleep(&mut self, now: Instant, room: usize) -> Result<()> {
        if room > 0 && self.shared.until_empty && self.shared.holding.len() == 0 {
            return self.end_if_empty(now);
        }
        let wait = if room > 0 {
            let woken = self.turns.sources.iter().all(|source| source.armed);
            self.shared.reporter.tell(|events| events.asleep(woken));
            self.turns
                .next_look()
                .map(|at| at.saturating_duration_since(now))
        } else {
            for at in 0..self.turns.sources.len() {
                self.disarm(at, now);
            }
            // The room is rung for; that caution ends with time is not.
            Some(Duration::from_secs(1))
        };
        let time = wait.map_or_else(never, after);
        select_biased! {
            recv(self.shared.stop.stopped()) -> _ => {}
            recv(self.shared.asked.stopped()) -> _ => {}
            recv(self.bells.woken()) -> _ => {}
            recv(time) -> _ => {}
        }
        Ok(())
    }

    /// Stops the pool if no queue has anything ready; else looks again.
    fn end_if_empty(&mut self, now: Instant) -> Result<()> {
        /// Others may hold what is ready locked for a moment.
        const AGAIN: Duration = Duration::from_millis(50);
        let mut empty = true;
        for at in 0..self.turns.sources.len() {
            let queue = Arc::clone(&self.turns.sources[at].queue);
            let counts = self.shared.store.counts(&queue.name)?;
            self.backoff.succeeded(&self.shared);
            if counts.ready > 0 {
                self.turns.look_again(at, now);
                empty = false;
            }
        }
        if empty {
            self.shared.stop.stop();
        } else {
            self.shared.pause(AGAIN);
        }
        Ok(())
    }
}
