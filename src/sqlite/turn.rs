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

/// The pause between two looks at the lock, where it is taken: nobody holds it for longer than
/// the one who writes takes, except who waits for a process that is not ours.
const PAUSE: Duration = Duration::from_micros(200);

#[derive(Debug)]
pub(super) struct Turn {
    file: File,
    path: PathBuf,
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
        Ok(Self { file, path })
    }

    /// Waits for the turn.
    pub(super) fn wait(&self, began: Instant, at_most: Duration) -> Result<Waiting<'_>> {
        loop {
            match self.file.try_lock() {
                Err(TryLockError::WouldBlock) if began.elapsed() < at_most => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let text = format!(
                        "others have been waiting to write, at {}, for longer than the \
                         busy_timeout of {at_most:?}",
                        self.path.display()
                    );
                    return Err(Error::new(ErrorKind::Unavailable, text));
                }
                // Where there are no such locks, it is unfair, and works.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(Waiting(self)),
            }
        }
    }
}

/// It is one's turn, until this is dropped.
pub(super) struct Waiting<'a>(&'a Turn);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // The lock ends with the process at the latest.
        let _ = self.0.file.unlock();
    }
}
