//! Making the files of a throwaway cluster.

use std::path::Path;
use std::process::Stdio;

use super::binaries::Binaries;
use super::watchdog::Watchdog;

/// Runs initdb for `data`, a directory in `dir`, watched by `watchdog`.
pub(super) fn run(
    binaries: &Binaries,
    dir: &Path,
    data: &Path,
    watchdog: &Watchdog,
) -> Result<(), String> {
    let child = binaries
        .command("initdb", dir)
        .arg("--pgdata")
        .arg(data)
        .args(["--username=postgres", "--auth=trust"])
        .args(["--encoding=UTF8", "--locale=C"])
        // Only the making of the cluster goes unsynced, not its running.
        .arg("--no-sync")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|err| format!("cannot run initdb: {err}"))?;
    watchdog.tell(&child.id().to_string())?;
    let output = child
        .wait_with_output()
        .map_err(|err| format!("cannot wait for initdb: {err}"))?;
    watchdog.tell("")?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{}/initdb failed: {}\n{}{}",
        binaries.dir().display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}
