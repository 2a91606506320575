//! The one connection that writes.

use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::fault::{self, Work};
use super::line::{Flush, Job, Waiting};
use super::sql;
use super::turn::Turn;
use crate::error::{Error, ErrorKind, Result};

/// The pauses between two tries to begin while another process writes: mostly it is done in
/// less than a millisecond.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

pub(super) struct Writer {
    db: Connection,
    /// What it is, for errors.
    place: String,
    /// Whose turn it is among the processes that share the file; none in memory.
    turn: Option<Turn>,
    busy_timeout: Duration,
    /// Whether commits are flushed now, ...
    flushes: Flush,
    /// ... and whether any are to be.
    may_flush: bool,
}

impl Writer {
    pub(super) fn new(
        db: Connection,
        place: String,
        turn: Option<Turn>,
        busy_timeout: Duration,
        may_flush: bool,
    ) -> Self {
        Self {
            db,
            place,
            turn,
            busy_timeout,
            flushes: Flush::No, // by sql::ON_OPEN
            may_flush,
        }
    }

    pub(super) fn db(&self) -> &Connection {
        &self.db
    }

    /// Does all the work in one transaction, and answers. What one does wrong is undone, and no
    /// concern of the others. Returns those that it did not get to.
    pub(super) fn transact(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let flush = match jobs.iter().any(|job| job.flush == Flush::Yes) {
            true => Flush::Yes,
            false => Flush::No,
        };
        let came = jobs.first().map_or_else(Instant::now, |job| job.came);
        if let Err(error) = self.begin(flush, came) {
            jobs.into_iter()
                .for_each(|job| job.answer(Err(error.clone())));
            return Vec::new();
        }
        let is_alone = jobs.len() == 1;
        let mut done: Vec<Waiting> = Vec::with_capacity(jobs.len());
        let mut jobs = jobs.into_iter();
        for job in jobs.by_ref() {
            let (work, waiting) = job.split();
            let Err(fault) = self.apart(is_alone, work) else {
                done.push(waiting);
                continue;
            };
            let error = fault.error(waiting.doing, &self.place);
            waiting.answer(Err(error.clone()));
            if self.db.is_autocommit() {
                // SQLite has undone all of it: a full disk, an I/O error.
                let text = format!("another call of the same transaction failed: {error}");
                let undone = Error::new(ErrorKind::Unavailable, text).because(error);
                done.into_iter()
                    .for_each(|waiting| waiting.answer(Err(undone.clone())));
                return jobs.collect();
            }
        }
        let committed = run(&self.db, sql::COMMIT);
        for waiting in done {
            let result = match &committed {
                Ok(()) => Ok(()),
                Err(error) => Err(fault::from_commit(waiting.doing, &self.place, error)),
            };
            waiting.answer(result);
        }
        if committed.is_err() {
            self.roll_back();
        }
        Vec::new()
    }

    /// Does one piece of the work, or nothing of it.
    fn apart(&self, is_alone: bool, work: impl FnOnce(&Connection) -> Work<()>) -> Work<()> {
        if is_alone {
            let result = work(&self.db);
            if result.is_err() {
                self.roll_back();
            }
            return result;
        }
        apart(&self.db, work)
    }

    /// Waits for the other processes, and begins. `came`: when the first of the calls did.
    fn begin(&mut self, flush: Flush, came: Instant) -> Result<()> {
        let doing = "begin to write";
        self.roll_back(); // only after a panic
        if self.may_flush && self.flushes != flush {
            let pragma = match flush {
                Flush::Yes => sql::FLUSHED,
                Flush::No => sql::NOT_FLUSHED,
            };
            let set = self.db.execute_batch(pragma);
            set.map_err(|error| fault::from_sqlite(doing, &self.place, error))?;
            self.flushes = flush;
        }
        // Until it has begun.
        let _turn = self.turn.as_mut().and_then(Turn::wait);
        let mut pause = FIRST_PAUSE;
        loop {
            match run(&self.db, sql::BEGIN) {
                Ok(()) => return Ok(()),
                Err(error) if fault::is_busy(&error) && came.elapsed() < self.busy_timeout => {}
                Err(error) if fault::is_busy(&error) => {
                    let text = format!(
                        "could not {doing} in {}: others have been writing for longer than the \
                         busy_timeout of {:?}",
                        self.place, self.busy_timeout
                    );
                    return Err(Error::new(ErrorKind::Unavailable, text).because(error));
                }
                Err(error) => return Err(fault::from_sqlite(doing, &self.place, error)),
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(super) fn roll_back(&self) {
        if !self.db.is_autocommit() {
            // It fails only if there is nothing to roll back any more.
            let _ = self.db.execute_batch(sql::ROLLBACK);
        }
    }
}

fn run(db: &Connection, text: &str) -> rusqlite::Result<()> {
    db.prepare_cached(text)?.execute([]).map(drop)
}

/// Does a piece of a transaction's work, or nothing of it.
pub(super) fn apart<T>(db: &Connection, work: impl FnOnce(&Connection) -> Work<T>) -> Work<T> {
    db.execute_batch(sql::SAVEPOINT)?;
    let result = work(db);
    if db.is_autocommit() {
        return result; // SQLite has undone the whole transaction
    }
    let end = match result {
        Ok(_) => db.execute_batch(sql::RELEASE),
        Err(_) => db.execute_batch(sql::UNDO),
    };
    if let Err(error) = end {
        // Rather nothing of the transaction than something that nobody was told of.
        let _ = db.execute_batch(sql::ROLLBACK);
        return Err(error.into());
    }
    result
}
