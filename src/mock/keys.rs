//! The keys of one queue: the table `pgqrs_keys` of `schema.sql`.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use crate::error::{Error, ErrorKind, Result};
use crate::message::NewMessage;

/// What is known of the message that a key stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) enqueued_at: OffsetDateTime,
    /// When the key is free again.
    pub(super) expires_at: OffsetDateTime,
}

/// Keys that one call, or one transaction, has used.
pub(super) type Used = BTreeMap<String, Known>;

#[derive(Debug, Default)]
pub(super) struct Keys {
    known: Used,
    /// The same, by the time at which each is free again.
    ends: BTreeSet<(OffsetDateTime, String)>,
    /// Used by transactions that are still open: nobody else may.
    locked: BTreeSet<String>,
}

impl Keys {
    pub(super) fn get(&self, key: &str) -> Option<&Known> {
        self.known.get(key)
    }

    /// Remembers keys, and forgets all that are free again by now.
    pub(super) fn remember(&mut self, used: Used, now: OffsetDateTime) {
        for (key, known) in used {
            if let Some(before) = self.known.insert(key.clone(), known) {
                self.ends.remove(&(before.expires_at, key.clone()));
            }
            self.ends.insert((known.expires_at, key));
        }
        while let Some((end, key)) = self.ends.pop_first() {
            if end > now {
                self.ends.insert((end, key));
                return;
            }
            self.known.remove(&key);
        }
    }

    /// PostgreSQL would make the others wait; see `Shelf`.
    pub(super) fn check_free(&self, messages: &[NewMessage], mine: &Used) -> Result<()> {
        let mut keys = messages.iter().filter_map(NewMessage::key);
        match keys.find(|key| self.locked.contains(*key) && !mine.contains_key(*key)) {
            None => Ok(()),
            Some(key) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("the key {key:?} is locked by an open transaction"),
            )),
        }
    }

    pub(super) fn hold(&mut self, used: &Used) {
        self.locked.extend(used.keys().cloned());
    }

    pub(super) fn let_go(&mut self, used: &Used) {
        self.locked.retain(|key| !used.contains_key(key));
    }
}
