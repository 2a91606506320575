//! What a crash left behind is worked off carefully.
//!
//! A dequeue charges an attempt, and a process that dies leaves its messages charged: those
//! that it was working on, one of which may have killed it, and those that it had merely
//! fetched ahead. A message whose attempts are used up in this way goes to the dead letters,
//! so it must not happen to one that nobody ever worked on. When messages come whose lease
//! lapsed, the pool therefore
//!
//! - holds no more than its threads work on (*careful*): whatever happens then, only messages
//!   that were being worked on are charged;
//! - and holds a single message, if it is at its last attempt, or at its third while leases
//!   have just lapsed (*alone*): if the process dies now, it was this one.
//!
//! What was fetched beyond that is given back without charging an attempt, and comes again
//! first, in its order; to whichever pool, so it carries the suspicion with it: an attempt was
//! charged, and it was given back since. (A message that was once retried and then given back
//! for other reasons looks the same. That costs only speed.) The pool is itself again when a
//! fetch brings only new messages, or nothing, or after a while.

use std::time::{Duration, Instant};

use crate::message::Message;

/// From this attempt on, messages are worked on alone while leases have just lapsed.
const GRAVE: i32 = 3;

/// How long to be careful after the last lapsed lease, in lock times, ...
const LOCK_TIMES: u32 = 4;
/// ... and at least.
const AT_LEAST: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Normal,
    Careful,
    Alone,
}

#[derive(Debug)]
pub(super) struct Caution {
    threads: usize,
    attempts: u32,
    lasts: Duration,
    mode: Mode,
    /// The end of being careful.
    until: Instant,
    /// The same, by lapsed leases alone: then something has crashed for certain.
    crashed_until: Instant,
}

impl Caution {
    pub(super) fn new(threads: usize, attempts: u32, lock_time: Duration) -> Self {
        Self {
            threads,
            attempts,
            lasts: lock_time.saturating_mul(LOCK_TIMES).max(AT_LEAST),
            mode: Mode::Normal,
            until: Instant::now(),
            crashed_until: Instant::now(),
        }
    }

    /// How many messages may be fetched when there is `room` for so many and the pool holds
    /// `held` of them.
    pub(super) fn limit(&mut self, now: Instant, room: usize, held: usize) -> usize {
        if self.mode != Mode::Normal && self.until <= now {
            self.mode = Mode::Normal;
        }
        self.allowed().saturating_sub(held).min(room)
    }

    /// Looks at what was fetched.
    pub(super) fn see(&mut self, now: Instant, fetched: &[Message]) {
        let suspect = fetched.iter().any(is_suspect);
        let again = fetched.iter().any(|message| message.read_ct > 1);
        let later = now.checked_add(self.lasts).unwrap_or(now);
        if suspect {
            self.until = later;
        }
        if fetched.iter().any(|message| message.lapsed) {
            self.crashed_until = later;
        }
        let crashed = now < self.crashed_until;
        let grave = |message: &Message| match crashed {
            true => message.read_ct > 1 && (message.attempt >= GRAVE || self.is_last(message)),
            false => is_suspect(message) && self.is_last(message),
        };
        self.mode = match self.mode {
            Mode::Normal if !suspect => Mode::Normal,
            _ if !again => Mode::Normal,
            _ if fetched.iter().any(grave) => Mode::Alone,
            _ => Mode::Careful,
        };
    }

    /// Whether the pool may hold so many messages.
    pub(super) fn allows(&self, held: usize) -> bool {
        held <= self.allowed()
    }

    fn allowed(&self) -> usize {
        match self.mode {
            Mode::Normal => usize::MAX,
            Mode::Careful => self.threads,
            Mode::Alone => 1,
        }
    }

    fn is_last(&self, message: &Message) -> bool {
        u32::try_from(message.attempt).is_ok_and(|attempt| attempt >= self.attempts)
    }
}

/// Whether an attempt was charged that may have ended in a crash: by a lease that lapsed, now
/// or before somebody gave the message back. What was only retried has as many attempts as
/// deliveries.
fn is_suspect(message: &Message) -> bool {
    message.lapsed || message.attempt > 1 && message.read_ct > message.attempt
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use time::OffsetDateTime;

    const LOCK: Duration = Duration::from_secs(30);

    fn message(attempt: i32, lapsed: bool) -> Message {
        Message {
            id: 1,
            queue_id: 1,
            payload: Value::Null,
            enqueued_at: OffsetDateTime::UNIX_EPOCH,
            vt: OffsetDateTime::UNIX_EPOCH,
            read_ct: attempt,
            attempt,
            lapsed,
            worker: Some(1),
        }
    }

    fn caution() -> (Caution, Instant) {
        (Caution::new(4, 5, LOCK), Instant::now())
    }

    /// Whether what was fetched may be kept, beside what is held.
    fn keeps(caution: &mut Caution, now: Instant, fetched: &[Message], held: usize) -> bool {
        caution.see(now, fetched);
        caution.allows(held + fetched.len())
    }

    #[test]
    fn retries_are_no_reason_to_be_careful() {
        let (mut caution, now) = caution();
        assert!(keeps(&mut caution, now, &vec![message(4, false); 100], 50));
        assert_eq!(caution.limit(now, 256, 150), 256);
    }

    #[test]
    fn after_a_lapse_no_more_is_held_than_the_threads_work_on() {
        let (mut caution, now) = caution();
        let batch = [message(1, false), message(2, true)];
        assert!(!keeps(&mut caution, now, &batch, 3), "five are too many");
        assert_eq!(caution.limit(now, 256, 3), 1);
        assert_eq!(caution.limit(now, 256, 4), 0);
        assert!(
            keeps(&mut caution, now, &[message(2, false)], 3),
            "given back"
        );
        assert_eq!(caution.limit(now, 256, 0), 4, "and still careful");
    }

    #[test]
    fn what_a_careful_pool_gave_back_is_reason_enough_for_the_next() {
        let given_back = |attempt| Message {
            read_ct: attempt + 1,
            ..message(attempt, false)
        };
        for (attempt, limit) in [(1, 256), (2, 4), (4, 4), (5, 1)] {
            let (mut caution, now) = caution();
            let kept = keeps(&mut caution, now, &vec![given_back(attempt); 100], 0);
            assert_eq!(kept, attempt == 1, "attempt {attempt}");
            assert_eq!(caution.limit(now, 256, 0), limit, "attempt {attempt}");
        }
    }

    #[test]
    fn the_third_time_a_message_is_worked_on_alone() {
        let (mut caution, now) = caution();
        let batch = [message(3, true), message(1, false)];
        assert!(!keeps(&mut caution, now, &batch, 0));
        assert_eq!(caution.limit(now, 256, 1), 0);
        assert_eq!(caution.limit(now, 256, 0), 1);
        assert!(keeps(&mut caution, now, &[message(3, false)], 0));
        assert_eq!(caution.limit(now, 256, 1), 0);
    }

    #[test]
    fn so_is_one_at_its_last_attempt() {
        let mut caution = Caution::new(4, 2, LOCK);
        let now = Instant::now();
        assert!(!keeps(
            &mut caution,
            now,
            &[message(2, true), message(2, true)],
            0
        ));
        assert_eq!(caution.limit(now, 256, 0), 1);
    }

    #[test]
    fn new_messages_end_it_and_so_does_an_empty_queue_and_time() {
        for end in [vec![message(1, false)], vec![]] {
            let (mut caution, now) = caution();
            assert!(!keeps(&mut caution, now, &[message(2, true)], 4));
            assert!(keeps(&mut caution, now, &end, 3));
            assert_eq!(caution.limit(now, 256, 3), 256);
        }
        let (mut caution, now) = caution();
        assert!(!keeps(&mut caution, now, &[message(2, true)], 4));
        assert_eq!(caution.limit(now + 4 * LOCK, 256, 100), 256);
    }
}
