//! The example `quickstart`, as a process.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use pgqrs::Store;
use pgqrs_test_support::wait_until;

const FILES: usize = 20_000;
const DEADLINE: Duration = Duration::from_secs(120);

/// The program, and where it keeps its queue.
pub struct Quickstart<'a> {
    pub program: &'a str,
    /// Environment variables. Without `PGQRS_DSN` the queue is in quickstart.db, where it is started.
    pub settings: &'a [(&'a str, &'a str)],
    /// Where it is started.
    pub directory: &'a Path,
}

impl Quickstart<'_> {
    fn on(&self, folder: &Path) -> Command {
        let mut command = Command::new(self.program);
        command.arg(folder).current_dir(self.directory);
        command.stdout(Stdio::piped()).env_remove("PGQRS_DSN");
        command.envs(self.settings.iter().copied());
        command
    }

    /// Runs to its end, and returns what it has said.
    #[track_caller]
    pub fn run(&self, folder: &Path) -> String {
        let Output { status, stdout, .. } = self.on(folder).output().unwrap();
        let said = String::from_utf8(stdout).unwrap();
        assert!(status.success(), "{said}");
        said
    }

    /// The files that it has written sums of.
    pub fn summed(&self) -> BTreeSet<PathBuf> {
        let sums = fs::read_to_string(self.directory.join("quickstart.sha256")).unwrap();
        let path = |line: &str| line.split_once("  ").unwrap().1.into();
        sums.lines().map(path).collect()
    }

    /// The queue is in this store, too. `is_over`: what the killed one had sent is done, or is not
    /// going to be.
    pub fn is_finished_by_the_next_one(&self, store: &dyn Store, is_over: impl FnMut() -> bool) {
        let files = tempfile::tempdir().unwrap();
        for number in 0..FILES {
            fs::write(files.path().join(number.to_string()), "one line\n").unwrap();
        }
        store.create_queue("quickstart").unwrap();
        let counts = || store.counts("quickstart").unwrap();

        let mut killed = self.on(files.path()).spawn().unwrap();
        wait_until("the first files to be archived", DEADLINE, || {
            counts().archived > 0
        });
        killed.kill().unwrap(); // SIGKILL
        killed.wait().unwrap();
        wait_until("the killed one to be over", DEADLINE, is_over);
        let left = counts().unfinished();
        assert!(left > 0, "it was too fast to be killed in the middle");

        let said = self.run(files.path());
        assert!(said.contains(&format!("hashing {left} files")), "{said}");
        let counts = counts();
        assert_eq!(counts.archived, FILES as u64, "{counts:?}");
        assert_eq!(counts.total(), FILES as u64, "{counts:?}");
        assert_eq!(self.summed().len(), FILES);
    }
}
