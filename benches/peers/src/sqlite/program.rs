//! What the two programs have in common; `peers` itself has no use for it.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::drive::{Done, Drain, Enqueue};
use crate::job::{Job, Work};
use crate::load::Load;

/// Does what the arguments say, and says what came of it. `work` is given the load as well.
pub(crate) fn run(work: impl FnOnce(&Path, &Job, &Load) -> Result<(Done, InFile)>) -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let file = PathBuf::from(args.next().ok_or("which database?")?);
    let job = args.next().and_then(|job| job.into_string().ok());
    let job: Job = serde_json::from_str(&job.ok_or("what is to be done?")?)?;
    let (done, in_file) = work(&file, &job, &Load::new(job.payload_bytes))?;
    let should_be = job.leaves(&done);
    if in_file != should_be {
        return Err(format!("{in_file:?}, and that should be {should_be:?}: {done:?}").into());
    }
    println!("{}", serde_json::to_string(&done)?);
    Ok(())
}

/// What the database says in the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InFile {
    pub(crate) waiting: u64,
    pub(crate) archived: u64,
}

impl Job {
    /// How many are to be put in before the clock starts.
    pub(crate) fn waiting(&self) -> usize {
        match self.work {
            Work::Enqueue => 0,
            Work::Drain | Work::DrainInOneCall => self.messages,
        }
    }

    pub(crate) fn enqueue<'a>(&self, load: &'a Load) -> Enqueue<'a> {
        Enqueue {
            messages: self.messages,
            batch: self.batch,
            limit: self.limit,
            load,
        }
    }

    pub(crate) fn drain(&self) -> Drain {
        Drain {
            messages: self.messages,
            consumers: self.consumers,
            batch: self.batch,
            limit: self.limit,
        }
    }

    fn leaves(&self, done: &Done) -> InFile {
        match self.work {
            Work::Enqueue => InFile {
                waiting: done.in_the_end,
                archived: 0,
            },
            Work::Drain | Work::DrainInOneCall => InFile {
                waiting: (self.messages as u64).saturating_sub(done.in_the_end),
                archived: done.in_the_end,
            },
        }
    }
}
