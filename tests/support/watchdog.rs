//! Removing a server when the process that started it ends.
//!
//! Statics are never dropped, and a killed process drops nothing at all. So
//! each server has a small shell beside it that reads from a pipe which only
//! this process holds open. However this process ends, the pipe closes, and the
//! shell removes what it was told to watch.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// What every watchdog does first: it leaves in `$last` the newest line that it
/// was told by the time the pipe closes. It outlives the signals that end a test
/// run from the terminal.
const WATCH: &str = "trap '' HUP INT TERM; last=; while read -r line; do last=$line; done; ";

/// The shell that removes a server after us.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// The shell; its stdin is the pipe.
    shell: Child,
}

impl Watchdog {
    /// Runs `script` with `args` when this process ends or the watchdog is
    /// dropped. The script finds in `$last` what [`tell`](Self::tell) said last.
    pub(super) fn new(script: &str, args: &[&OsStr]) -> Result<Self, String> {
        let shell = Command::new("sh")
            .arg("-c")
            .arg(format!("{WATCH}{script}"))
            .arg("pgqrs-test-watchdog")
            .args(args)
            .stdin(Stdio::piped())
            // Not ours: whoever reads our output waits for its last holder.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // Ctrl-C reaches our process group, and must not reach the shell.
            .process_group(0)
            .spawn()
            .map_err(|err| format!("cannot run sh: {err}"))?;
        Ok(Self { shell })
    }

    /// Tells the shell what it needs to know when its time comes.
    pub(super) fn tell(&self, line: &str) -> Result<(), String> {
        let Some(mut pipe) = self.shell.stdin.as_ref() else {
            return Err("the watchdog of the server is gone".to_owned());
        };
        pipe.write_all(format!("{line}\n").as_bytes())
            .map_err(|err| format!("the watchdog of the server is gone: {err}"))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Child::wait closes the pipe first, which is the watchdog's signal.
        let _ = self.shell.wait();
    }
}
