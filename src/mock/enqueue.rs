//! What an enqueue stores, and what it answers.

use std::time::Duration;

use time::OffsetDateTime;

use super::keys::{Known, Used};
use super::{Inner, builder};
use crate::error::Result;
use crate::message::{Message, NewMessage};
use crate::span::span_micros;

/// An enqueue that is not carried out yet.
#[derive(Debug, Default)]
pub(super) struct Enqueue {
    /// The messages that it answers with.
    pub(super) answer: Vec<Message>,
    /// Those of them that it stores: all but repeats.
    pub(super) stored: Vec<Message>,
    /// The keys among them.
    pub(super) used: Used,
}

impl Inner {
    /// Draws ids for messages that are enqueued now. `mine`: the keys that the caller's
    /// transaction has used before.
    pub(super) fn number(
        &mut self,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
        retention: Duration,
        mine: &Used,
    ) -> Result<Enqueue> {
        let (now, expires_at) = (self.now, self.after(retention));
        let first = self.last_message + 1;
        let keys = &self.shelf(queue_id)?.keys;
        keys.check_free(&messages, mine)?;
        let known = |key: &str, used: &Used| -> Option<Known> {
            let known = used.get(key).or_else(|| mine.get(key));
            let known = known.or_else(|| keys.get(key)).copied();
            known.filter(|known| known.expires_at > now)
        };
        let mut enqueue = Enqueue::default();
        for message in messages {
            let before = message.key().and_then(|key| known(key, &enqueue.used));
            let this = before.unwrap_or(Known {
                id: first + enqueue.stored.len() as i64,
                enqueued_at: now,
                expires_at,
            });
            if let Some(key) = message.key() {
                enqueue.used.insert(key.to_owned(), this);
            }
            let vt = after(this.enqueued_at, delay.unwrap_or_default());
            let message = message.stored(queue_id, this.id, this.enqueued_at, vt);
            if before.is_none() {
                enqueue.stored.push(message.clone());
            }
            enqueue.answer.push(message);
        }
        self.last_message += enqueue.stored.len() as i64;
        Ok(enqueue)
    }
}

/// `span` after `at`.
pub(super) fn after(at: OffsetDateTime, span: Duration) -> OffsetDateTime {
    let span = time::Duration::microseconds(span_micros(span));
    at.checked_add(span).unwrap_or(builder::LAST_INSTANT)
}
