//! Whose turn it is to write, among processes that share a file.
//!
//! SQLite has no queue for writers: whoever waits looks now and then whether the file is free,
//! and a process that writes without pause takes it again before anybody has looked. So each,
//! before it tries, takes its turn: an advisory lock on a file beside the database, `…-turn`,
//! which it gives back as soon as it has begun to write. Who is waiting holds it, and who
//! has just written has to wait behind. What it protects is fairness alone: without it
//! nothing is lost.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// The pause between two looks at the lock, where it is taken: mostly nobody holds it for longer
/// than the one who writes takes.
const PAUSE: Duration = Duration::from_micros(200);

/// How long the turn is waited for: then whoever has it is asleep, or waits for somebody who writes
/// for long, and it is tried without.
const PATIENCE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Turn {
    file: File,
    /// It was waited for in vain the last time: until it is free it is not waited for again.
    is_stuck: bool,
}

impl Turn {
    /// Opens the file beside the database.
    pub(super) fn open(database: &Path) -> Result<Self> {
        let mut path = OsString::from(database);
        path.push("-turn");
        let path = PathBuf::from(path);
        // It may be another user's, who made it: to lock it, reading suffices.
        let opened = File::open(&path).or_else(|_| {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).open(&path)
        });
        let file = opened.map_err(|error| {
            let text = format!("could not open {}: {error}", path.display());
            Error::new(ErrorKind::Invalid, text).because(error)
        })?;
        Ok(Self {
            file,
            is_stuck: false,
        })
    }

    /// Waits for the turn, but not for long; none where it is not to be had.
    pub(super) fn wait(&mut self) -> Option<Waiting<'_>> {
        let began = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => {
                    self.is_stuck = false;
                    return Some(Waiting(&self.file));
                }
                Err(TryLockError::WouldBlock) if !self.is_stuck && began.elapsed() < PATIENCE => {
                    thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    self.is_stuck = true;
                    return None;
                }
                // There are no such locks here.
                Err(TryLockError::Error(_)) => return None,
            }
        }
    }
}

/// It is one's turn, until this is dropped.
pub(super) struct Waiting<'a>(&'a File);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // The lock ends with the process at the latest.
        let _ = self.0.unlock();
    }
}
