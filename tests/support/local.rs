//! A throwaway cluster of local PostgreSQL binaries.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::binaries::Binaries;
use super::wait::holds_within;
use super::watchdog::Watchdog;
use super::{initdb, port, processes};

/// How long a server may take to accept connections: it may have to recover.
const START: Duration = Duration::from_secs(60);

/// How long an immediate shutdown may take; the postmaster itself kills after
/// five seconds what does not end.
const STOP: Duration = Duration::from_secs(20);

/// How often another port is tried, if somebody was faster to take it.
const PORTS_TRIED: usize = 5;

/// The watchdog's work: stop the process it was told of, initdb or postmaster,
/// and remove the directory `$1`. A postmaster that was killed leaves a shared
/// memory segment, named in line 7 of its lock file. What is still being
/// written while it is removed takes another try.
const REMOVE: &str = r#"
tries=0
if [ -n "$last" ]; then
    kill -s QUIT "$last"
    while kill -s 0 "$last" && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -s KILL "$last"
fi
lock=$1/data/postmaster.pid
if [ -f "$lock" ]; then
    set -- "$1" $(sed -n 7p "$lock")
    ipcrm -m "$3"
fi
tries=0
until rm -rf -- "$1" || [ $tries -ge 50 ]; do sleep 0.1; tries=$((tries + 1)); done
"#;

/// A cluster in a directory of its own, served by processes of this machine.
#[derive(Debug)]
pub(super) struct Local {
    /// What it is made of.
    binaries: Binaries,
    /// What its postmaster sees of the disk.
    place: Place,
    /// The directory with all its files.
    dir: PathBuf,
    /// The port on 127.0.0.1.
    port: u16,
    /// The postmaster, while it runs.
    postmaster: Mutex<Option<Child>>,
    /// Removes it all; dropped after the postmaster has stopped.
    watchdog: Watchdog,
}

/// What a postmaster sees of the disk.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// What everybody sees.
    Plain,
    /// Also a small file system in memory, in a mount namespace of its own: so nothing is left
    /// when it ends.
    SmallDisk(u32),
}

impl Local {
    /// Makes a cluster and starts it.
    pub(super) fn new(binaries: Binaries) -> Result<Self, String> {
        Self::with(binaries, Place::Plain, |local| {
            initdb::run(&local.binaries, &local.dir, &local.data(), &local.watchdog)
        })
    }

    /// The same, with a directory `small` beside its data where there is room for so many
    /// megabytes.
    pub(super) fn with_small_disk(binaries: Binaries, megabytes: u32) -> Result<Self, String> {
        Self::with(binaries, Place::SmallDisk(megabytes), |local| {
            initdb::run(&local.binaries, &local.dir, &local.data(), &local.watchdog)
        })
    }

    /// A standby of this server, which streams what it does.
    pub(super) fn standby(&self) -> Result<Self, String> {
        Self::with(self.binaries.clone(), Place::Plain, |standby| {
            let primary = format!("host=127.0.0.1 port={} user=postgres", self.port);
            let copied = standby
                .binaries
                .command("pg_basebackup", &standby.dir)
                .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
                .args(["--dbname", &primary])
                .arg("--pgdata")
                .arg(standby.data())
                .output()
                .map_err(|err| format!("cannot run pg_basebackup: {err}"))?;
            if copied.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&copied.stderr);
            Err(format!("pg_basebackup failed: {said}"))
        })
    }

    /// One of the programs that came with this server.
    pub(super) fn program(&self, name: &str) -> Command {
        self.binaries.command(name, &self.dir)
    }

    /// The directory with little room, if there is one.
    pub(super) fn small_disk(&self) -> PathBuf {
        self.dir.join("small")
    }

    /// Makes a cluster, whose data `fill` puts there, and starts it.
    fn with(
        binaries: Binaries,
        place: Place,
        fill: impl FnOnce(&Self) -> Result<(), String>,
    ) -> Result<Self, String> {
        let holder = tempfile::Builder::new()
            .prefix("pgqrs-test-")
            .tempdir()
            .map_err(|err| format!("cannot make a temporary directory: {err}"))?;
        let watchdog = Watchdog::new(REMOVE, &[holder.path().as_os_str()])?;
        // From here on the directory is the watchdog's to remove.
        let dir = holder.keep();
        if let Some((uid, gid)) = binaries.user() {
            std::os::unix::fs::chown(&dir, Some(uid), Some(gid))
                .map_err(|err| format!("cannot give {} away: {err}", dir.display()))?;
        }
        let mut local = Self {
            binaries,
            place,
            dir,
            port: port::free()?,
            postmaster: Mutex::new(None),
            watchdog,
        };
        fill(&local)?;
        for _ in 1..PORTS_TRIED {
            match local.try_start() {
                Err(why) if why.contains("could not bind") => local.port = port::free()?,
                done => return done.map(|()| local),
            }
        }
        local.try_start().map(|()| local)
    }

    /// How to reach it.
    pub(super) fn dsn(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Immediate shutdown.
    pub(super) fn stop(&self) -> Result<(), String> {
        let mut postmaster = self.postmaster();
        let Some(child) = postmaster.as_mut() else {
            return Ok(());
        };
        processes::signal("QUIT", &[child.id()])?;
        let stopped = holds_within(STOP, || matches!(child.try_wait(), Ok(Some(_))));
        if !stopped {
            return Err(format!("PostgreSQL does not stop.\n{}", self.log_tail()));
        }
        *postmaster = None;
        self.watchdog.tell("")
    }

    /// SIGKILL to all its processes.
    pub(super) fn kill(&self) -> Result<(), String> {
        let mut postmaster = self.postmaster();
        let Some(mut child) = postmaster.take() else {
            return Ok(());
        };
        // Halted first, so that it starts no more children, and none is shut down in an orderly
        // way on account of another's death. A list may miss some, as it is not halted at once: the
        // dead stay in it, as nobody buries them, so it is asked again until it has no others.
        processes::signal("STOP", &[child.id()])?;
        let mut killed = Vec::new();
        loop {
            let mut living = processes::children(child.id())?;
            living.retain(|pid| !killed.contains(pid));
            if living.is_empty() {
                break;
            }
            processes::signal("KILL", &living)?;
            killed.append(&mut living);
        }
        processes::signal("KILL", &[child.id()])?;
        child
            .wait()
            .map_err(|err| format!("cannot wait for the postmaster: {err}"))?;
        self.watchdog.tell("")
    }

    /// Starts it again.
    pub(super) fn start(&self) -> Result<(), String> {
        let mut last = Ok(());
        // After a SIGKILL, what is left of the old server may refuse the new
        // one for a moment: its shared memory is still in use, or its port.
        holds_within(START, || {
            last = self.try_start();
            match &last {
                Ok(()) => true,
                Err(why) => !why.contains("in use"),
            }
        });
        last
    }

    /// Starts the postmaster, if it does not run, and waits until it is ready.
    fn try_start(&self) -> Result<(), String> {
        let mut postmaster = self.postmaster();
        if postmaster.is_some() {
            return Ok(());
        }
        let mut child = self.spawn()?;
        let told = self.watchdog.tell(&child.id().to_string());
        let mut ended = None;
        let ready = told.is_ok()
            && holds_within(START, || {
                ended = child.try_wait().ok().flatten();
                ended.is_some() || is_ready(&self.data(), child.id())
            });
        if ready && ended.is_none() {
            *postmaster = Some(child);
            return Ok(());
        }
        let _ = child.kill();
        let _ = child.wait();
        told?;
        self.watchdog.tell("")?;
        let what = ended.map_or_else(
            || format!("is not ready after {START:?}"),
            |status| format!("ended: {status}"),
        );
        Err(format!("PostgreSQL {what}\n{}", self.log_tail()))
    }

    /// Runs the postmaster. It shares neither our output nor our process group,
    /// so that nobody waits for it and Ctrl-C does not reach it.
    fn spawn(&self) -> Result<Child, String> {
        // Emptied, so that what the log says is about this start.
        let path = self.log();
        let failed = |err| format!("cannot write {}: {err}", path.display());
        let log = File::create(&path).map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        self.postgres()?
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "max_connections=500"])
            // In the directory, not in /dev/shm, where a kill would leave it.
            .args(["-c", "dynamic_shared_memory_type=mmap"])
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|err| format!("cannot run postgres: {err}"))
    }

    /// The command to which the postmaster's arguments are given.
    fn postgres(&self) -> Result<Command, String> {
        match self.place {
            Place::Plain => Ok(self.binaries.command("postgres", &self.dir)),
            Place::SmallDisk(megabytes) => {
                let small = self.small_disk();
                std::fs::create_dir_all(&small)
                    .map_err(|err| format!("cannot make {}: {err}", small.display()))?;
                Ok(self.binaries.beside_a_disk("postgres", &small, megabytes))
            }
        }
    }

    /// The postmaster, while it runs.
    fn postmaster(&self) -> MutexGuard<'_, Option<Child>> {
        self.postmaster
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The data directory.
    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The server log.
    fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// The end of the server log.
    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // A child that is not waited for would stay a zombie, and the watchdog
        // would take it for a server that does not stop.
        if self.stop().is_err() {
            let _ = self.kill();
        }
    }
}

/// Whether the server in `data` is run by `pid` and accepts connections: it says
/// so in lines 1 and 8 of its lock file. A connection could not tell whose it is.
fn is_ready(data: &Path, pid: u32) -> bool {
    let lock = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let mut lines = lock.lines().map(str::trim);
    lines.next() == Some(&pid.to_string()) && lines.nth(6) == Some("ready")
}
