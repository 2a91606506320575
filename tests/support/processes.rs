//! Signals to other processes, by the shell: std has none, and there need not
//! be a `kill` command beside the shell's.

use std::process::{Command, Stdio};

/// Sends `signal` ("QUIT", "KILL", ...) to `pids`; those that are gone are
/// skipped.
pub(super) fn signal(signal: &str, pids: &[u32]) -> Result<(), String> {
    // One by one, so that a process which is gone does not spare the others;
    // that one failed is therefore no failure here.
    let script = r#"signal=$1; shift; for pid; do kill -s "$signal" "$pid"; done; true"#;
    Command::new("sh")
        .args(["-c", script, "sh", signal])
        .args(pids.iter().map(u32::to_string))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(|_| ())
        .map_err(|err| format!("cannot run sh: {err}"))
}

/// The child processes of `pid`.
pub(super) fn children(pid: u32) -> Result<Vec<u32>, String> {
    // Linux tells them without help; a slim image need not have ps.
    if let Ok(list) = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
        return Ok(list
            .split_whitespace()
            .filter_map(|child| child.parse().ok())
            .collect());
    }
    let output = Command::new("ps")
        .args(["-A", "-o", "ppid=,pid="])
        .output()
        .map_err(|err| format!("cannot run ps: {err}"))?;
    let listed = String::from_utf8_lossy(&output.stdout);
    let pairs = listed.lines().filter_map(|line| {
        let (parent, child) = line.trim().split_once(char::is_whitespace)?;
        Some((parent.parse::<u32>().ok()?, child.trim().parse().ok()?))
    });
    Ok(pairs
        .filter_map(|(parent, child)| (parent == pid).then_some(child))
        .collect())
}
