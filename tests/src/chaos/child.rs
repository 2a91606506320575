//! One process of a run.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use pgqrs_test_support::{MINUTE, wait_until};

/// A process that works until its standard input ends. Killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    pub name: String,
    pub role: Role,
    pub queue: String,
    /// The environment variables that it was given.
    pub settings: Vec<(OsString, OsString)>,
    child: Child,
    stdin: Option<ChildStdin>,
    /// Whether it was killed, and so owes nobody a good end.
    killed: bool,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Puts errands in.
    Producer,
    /// A pool that does errands.
    Worker,
    /// A bare consumer, of the other queue.
    Consumer,
}

impl Process {
    /// Starts `command`, whose complaints go to a file in `dir`.
    pub fn start(mut command: Command, name: &str, role: Role, queue: &str, dir: &Path) -> Self {
        let log = File::create(dir.join(format!("{name}.log"))).unwrap();
        let settings = command.get_envs();
        let settings = settings.filter_map(|(name, value)| Some((name.into(), value?.into())));
        let settings = settings.collect();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            name: name.to_owned(),
            role,
            queue: queue.to_owned(),
            settings,
            stdin: child.stdin.take(),
            child,
            killed: false,
        }
    }

    /// Whether it was neither killed nor told to end.
    pub fn works(&self) -> bool {
        !self.killed && self.stdin.is_some()
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        self.killed = true;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal: std has none but KILL.
    pub fn signal(&self, signal: &str) {
        let script = r#"kill -s "$1" "$2""#;
        let sent = Command::new("sh")
            .args(["-c", script, "sh", signal, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Tells it to end.
    pub fn end(&mut self) {
        self.stdin = None;
    }

    /// Waits until it has ended, and well.
    #[track_caller]
    pub fn wait(&mut self, dir: &Path) {
        if self.killed {
            return;
        }
        let mut status = None;
        wait_until(&format!("{} to end", self.name), MINUTE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let name = &self.name;
        let said = self.said(dir);
        assert!(status.unwrap().success(), "{name} ended badly:\n{said}");
    }

    /// Checks that it has not ended by itself.
    #[track_caller]
    pub fn check(&mut self, dir: &Path) {
        if self.works()
            && let Some(status) = self.child.try_wait().unwrap()
        {
            panic!("{} ended, {status}:\n{}", self.name, self.said(dir));
        }
    }

    /// Whether it has said this.
    pub fn has_said(&self, dir: &Path, what: &str) -> bool {
        self.log(dir).contains(what)
    }

    fn log(&self, dir: &Path) -> String {
        let log = dir.join(format!("{}.log", self.name));
        fs::read_to_string(log).unwrap_or_default()
    }

    /// The last that it said.
    fn said(&self, dir: &Path) -> String {
        let said = self.log(dir);
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
