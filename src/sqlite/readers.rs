//! The connections that read, beside whoever writes.

use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::place::Place;
use crate::error::Result;

/// As many as read at once: a long count keeps no other from its look.
pub(super) struct Readers {
    place: Place,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            idle: Mutex::default(),
        }
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&Connection) -> T) -> Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let free = idle().pop();
        let db = free.map_or_else(|| self.place.connect(), Ok)?;
        let answer = work(&db);
        idle().push(db);
        Ok(answer)
    }
}
