//! The examples as processes of their own, to be killed.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use crate::pg::Pg;
use crate::support::wait_until;
use crate::told::MINUTE;

/// Builds an example, and returns where it is: beside this test's own directory.
pub(crate) fn example(name: &str) -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--example", name]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(built.unwrap().success());
    let test = env::current_exe().unwrap();
    let target = test.parent().and_then(|deps| deps.parent()).unwrap();
    target.join("examples").join(name)
}

/// A process that works on a test's schema. Killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    pub(crate) fn start(program: &PathBuf, pg: &Pg) -> Self {
        let mut child = Command::new(program)
            .env("PGQRS_DSN", pg.schema.dsn())
            .env("PGQRS_SCHEMA", pg.schema.name())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// Waits for its next line; `None` if it has ended.
    pub(crate) fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(MINUTE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the process says nothing, and does not end"),
        }
    }

    /// Sends it a signal: std has none but KILL.
    pub(crate) fn signal(&self, signal: &str) {
        let script = r#"kill -s "$1" "$2""#;
        let pid = self.child.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", script, "sh", signal, &pid])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the process to end", MINUTE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // SIGKILL
        let _ = self.child.wait();
    }
}
