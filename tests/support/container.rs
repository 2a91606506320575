//! A container of a PostgreSQL image, by testcontainers.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use testcontainers::core::IntoContainerPort;
use testcontainers::runners::SyncRunner;
use testcontainers::{GenericImage, ImageExt};

use super::wait::holds_within;
use super::watchdog::Watchdog;
use super::{dsn, port};

/// How long a server may take to accept connections: it may have to make its
/// cluster, or to recover.
const START: Duration = Duration::from_secs(60);

/// How long a container may take to stop.
const STOP: Duration = Duration::from_secs(20);

/// How often another port is tried, if somebody was faster to take it.
const PORTS_TRIED: usize = 5;

/// The watchdog's work: remove the container `$1` with its volumes. Unless told
/// that its making is done, the engine may be in the middle of it, and only a
/// second try finds the container.
const REMOVE: &str = r#"
docker rm --force --volumes "$1"
[ "$last" = done ] || { sleep 2; docker rm --force --volumes "$1"; }
"#;

/// A PostgreSQL in a container.
#[derive(Debug)]
pub(super) struct Container {
    /// The name that Docker knows it by.
    name: String,
    /// How to reach it.
    dsn: String,
    /// The container, which testcontainers removes when it is dropped.
    inner: testcontainers::Container<GenericImage>,
    /// Removes it when nobody drops it.
    _watchdog: Watchdog,
}

impl Container {
    /// Starts a container of `image` and gives up after `patience`: a registry
    /// that does not answer, or a Docker engine that hangs, must not hang the
    /// tests.
    pub(super) fn new(image: &str, patience: Duration) -> Result<Self, String> {
        let (sender, receiver) = channel();
        let image = image.to_owned();
        std::thread::spawn(move || {
            // Who comes too late is dropped with the message, and so removed.
            let _ = sender.send(Self::on_a_free_port(&image));
        });
        match receiver.recv_timeout(patience) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(format!(
                "Docker has not pulled and started it within {patience:?}"
            )),
            Err(RecvTimeoutError::Disconnected) => Err("starting it panicked".to_owned()),
        }
    }

    /// How to reach it.
    pub(super) fn dsn(&self) -> String {
        self.dsn.clone()
    }

    /// One of the programs that came with the server.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new("docker");
        command.args(["exec", &self.name, name]);
        command
    }

    /// Immediate shutdown, which is what SIGQUIT means to a postmaster.
    pub(super) fn stop(&self) -> Result<(), String> {
        self.end("QUIT")
    }

    /// SIGKILL to all its processes: they do not outlive the container's first.
    pub(super) fn kill(&self) -> Result<(), String> {
        self.end("KILL")
    }

    /// Starts it again.
    pub(super) fn start(&self) -> Result<(), String> {
        let mut last = Ok(());
        // Docker may need a moment to give the port free that it shall take.
        holds_within(START, || {
            last = self
                .inner
                .start()
                .map_err(|err| format!("cannot start the container: {}", dsn::causes(&err)));
            match &last {
                Ok(()) => true,
                Err(why) => !taken(why),
            }
        });
        last?;
        self.wait()
    }

    /// Starts a container on a port that does not change over restarts.
    fn on_a_free_port(image: &str) -> Result<Self, String> {
        for _ in 1..PORTS_TRIED {
            match Self::on_port(port::free()?, image) {
                Err(why) if taken(&why) => {}
                done => return done,
            }
        }
        Self::on_port(port::free()?, image)
    }

    /// Starts a container on a given port.
    fn on_port(port: u16, image: &str) -> Result<Self, String> {
        // Without it, nothing would remove a container that nobody drops.
        docker(&["--version"])?;
        let name = unique_name();
        let watchdog = Watchdog::new(REMOVE, &[OsStr::new(&name)])?;
        let (repository, tag) = split(image);
        let made = GenericImage::new(repository, tag)
            .with_mapped_port(port, 5432.tcp())
            .with_container_name(&name)
            .with_env_var("POSTGRES_PASSWORD", "postgres")
            .with_cmd(["postgres", "-c", "max_connections=500"])
            .start();
        watchdog.tell("done")?;
        let inner = made.map_err(|err| dsn::causes(&err))?;
        let host = inner.get_host().map_err(|err| dsn::causes(&err))?;
        let host = match host.to_string() {
            // It may mean ::1, where not every Docker engine listens.
            name if name == "localhost" => "127.0.0.1".to_owned(),
            name => name,
        };
        let container = Self {
            name,
            dsn: format!("postgresql://postgres:postgres@{host}:{port}/postgres"),
            inner,
            _watchdog: watchdog,
        };
        container.wait().map(|()| container)
    }

    /// Waits until it accepts connections.
    fn wait(&self) -> Result<(), String> {
        let mut last = Ok(());
        let ready = holds_within(START, || {
            last = dsn::connect(&self.dsn).map(drop);
            last.is_ok() || !self.runs()
        });
        match last {
            Ok(()) => Ok(()),
            Err(why) if ready => Err(format!("the container ended: {why}\n{}", self.log_tail())),
            Err(why) => Err(format!("{why}\n{}", self.log_tail())),
        }
    }

    /// Ends its first process with `signal`, and so the container.
    fn end(&self, signal: &str) -> Result<(), String> {
        if !self.runs() {
            return Ok(());
        }
        docker(&["kill", "--signal", signal, &self.name])?;
        if holds_within(STOP, || !self.runs()) {
            return Ok(());
        }
        Err(format!("the container does not stop\n{}", self.log_tail()))
    }

    /// Whether its first process runs.
    fn runs(&self) -> bool {
        self.inner.is_running().unwrap_or(false)
    }

    /// The end of what it wrote.
    fn log_tail(&self) -> String {
        docker(&["logs", "--tail", "20", &self.name]).unwrap_or_else(|err| err)
    }
}

/// Runs the `docker` command and returns what it writes. testcontainers can
/// neither send a signal nor remove anything after the end of the process.
fn docker(args: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|err| format!("cannot run docker: {err}"))?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!("docker {}: {}", args.join(" "), text.trim()))
    }
}

/// Whether a container was refused because its port is taken.
fn taken(why: &str) -> bool {
    why.contains("already allocated") || why.contains("already in use")
}

/// Splits the name of an image into what testcontainers wants to have apart. It
/// joins them again with a colon, so that a digest may be split like a tag.
fn split(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        // A colon before a slash belongs to the port of the registry.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, "latest"),
    }
}

/// A name for a container; the engine may serve several machines, so the
/// process id alone does not do.
fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    format!(
        "pgqrs-test-{}-{:x}-{}",
        std::process::id(),
        now.map_or(0, |since| since.as_micros()),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}
