//! A PostgreSQL that we started, whatever it runs in.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::binaries::Binaries;
use super::container::Container;
use super::local::Local;
use super::{DEFAULT_IMAGE, dsn, setting};

/// How long a container may take, pull included, if there is nothing else.
const PATIENT: Duration = Duration::from_secs(300);

/// How long a container may take if there are local binaries to turn to.
const HASTY: Duration = Duration::from_secs(20);

/// What a container of ours cannot do.
const NOT_IN_A_CONTAINER: &str = "this test needs PostgreSQL's programs on this machine (Debian: \
     apt-get install postgresql), and PGQRS_TEST_IMAGE not set";

/// A PostgreSQL of our own. Its DSN stays the same over restarts, and dropping
/// it removes it.
///
/// All methods that act on the server panic, with what it said, if that fails.
#[derive(Debug)]
pub struct Cluster {
    /// How to reach it, as its superuser.
    dsn: String,
    /// Where it comes from, for people.
    origin: String,
    /// What it runs in.
    host: Host,
}

/// What a [`Cluster`] runs in.
#[derive(Debug)]
enum Host {
    /// A Docker container.
    Container(Box<Container>),
    /// Processes of this machine.
    Local(Local),
}

impl Cluster {
    /// The DSN: a `postgresql://` URL.
    pub fn dsn(&self) -> &str {
        &self.dsn
    }

    /// A new connection, as superuser.
    #[track_caller]
    pub fn connect(&self) -> postgres::Client {
        succeeded(dsn::connect(&self.dsn))
    }

    /// Shuts the server down at once, without a checkpoint ("immediate"): what
    /// it does next is crash recovery. Does nothing to a server that is down.
    #[track_caller]
    pub fn stop(&self) {
        succeeded(match &self.host {
            Host::Container(container) => container.stop(),
            Host::Local(local) => local.stop(),
        });
    }

    /// Kills the postmaster and all its children with SIGKILL, all at the same
    /// moment. Does nothing to a server that is down.
    #[track_caller]
    pub fn kill(&self) {
        succeeded(match &self.host {
            Host::Container(container) => container.kill(),
            Host::Local(local) => local.kill(),
        });
    }

    /// Starts the server again and waits until it accepts connections. Does
    /// nothing to a server that is up.
    #[track_caller]
    pub fn start(&self) {
        succeeded(match &self.host {
            Host::Container(container) => container.start(),
            Host::Local(local) => local.start(),
        });
    }

    /// [`stop`](Self::stop), then [`start`](Self::start).
    #[track_caller]
    pub fn restart_immediate(&self) {
        self.stop();
        self.start();
    }

    /// A standby of this server, which streams what it does.
    ///
    /// # Panics
    ///
    /// If this server is a container: one that another reaches takes the machine's own programs.
    #[track_caller]
    pub fn standby(&self) -> Self {
        let local = match &self.host {
            Host::Local(local) => succeeded(local.standby()),
            Host::Container(_) => panic!("{NOT_IN_A_CONTAINER}"),
        };
        Self {
            dsn: local.dsn(),
            origin: format!("a standby of {}", self.origin),
            host: Host::Local(local),
        }
    }

    /// One of the programs that came with this server (`pg_dump`), to be run beside it: as seen
    /// from there it is at [`inner_dsn`](Self::inner_dsn).
    pub fn program(&self, name: &str) -> Command {
        match &self.host {
            Host::Local(local) => local.program(name),
            Host::Container(container) => container.program(name),
        }
    }

    /// The DSN for a [`program`](Self::program).
    pub fn inner_dsn(&self) -> &str {
        match &self.host {
            Host::Local(_) => &self.dsn,
            Host::Container(_) => "postgresql://postgres:postgres@127.0.0.1:5432/postgres",
        }
    }

    /// Where there is room for so many megabytes as [`with_small_disk`](Self::with_small_disk) was
    /// asked for: a directory, as the server sees it.
    #[track_caller]
    pub fn small_disk(&self) -> PathBuf {
        match &self.host {
            Host::Local(local) => local.small_disk(),
            Host::Container(_) => panic!("{NOT_IN_A_CONTAINER}"),
        }
    }

    /// A new cluster of the machine's own programs, whatever containers there are: for what takes
    /// the server's files.
    #[track_caller]
    pub fn of_local_programs() -> Self {
        Self::local(Local::new)
    }

    /// The same, with a small disk besides.
    #[track_caller]
    pub fn with_small_disk(megabytes: u32) -> Self {
        Self::local(|binaries| Local::with_small_disk(binaries, megabytes))
    }

    #[track_caller]
    fn local(make: impl FnOnce(Binaries) -> Result<Local, String>) -> Self {
        if setting("PGQRS_TEST_IMAGE").is_some() {
            panic!("{NOT_IN_A_CONTAINER}");
        }
        let binaries = succeeded(Binaries::find());
        let origin = format!("local binaries in {}", binaries.dir().display());
        let local = succeeded(make(binaries));
        let cluster = Self {
            dsn: local.dsn(),
            origin,
            host: Host::Local(local),
        };
        succeeded(super::announce::source(cluster.dsn(), cluster.origin()));
        cluster
    }

    /// Where it comes from, for people.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Starts a new cluster: in a container, else of local binaries.
    pub(super) fn make() -> Result<Self, String> {
        /// Why there are no containers. Asked once in a process, because the
        /// answer may take its time.
        static NO_CONTAINER: OnceLock<String> = OnceLock::new();

        let binaries = Binaries::find();
        let explicit = setting("PGQRS_TEST_IMAGE");
        let image = explicit.as_deref().unwrap_or(DEFAULT_IMAGE);
        let no_container = match NO_CONTAINER.get() {
            Some(known) => known,
            None => {
                let hasty = explicit.is_none() && binaries.is_ok();
                match Container::new(image, if hasty { HASTY } else { PATIENT }) {
                    Ok(container) => return Ok(Self::in_container(container, image)),
                    Err(why) => NO_CONTAINER.get_or_init(|| why),
                }
            }
        };
        if explicit.is_some() {
            // Who names an image does not want to test on something else.
            return Err(format!("PGQRS_TEST_IMAGE={image}: {no_container}"));
        }
        match binaries {
            Ok(binaries) => Self::of_binaries(binaries, image, no_container),
            Err(no_binaries) => Err(format!(
                "The tests need a PostgreSQL, and there is none:\n\
                 - no container of {image}: {no_container}\n\
                 - no local binaries: {no_binaries}\n\
                 Install PostgreSQL (Debian: apt-get install postgresql) or set PGQRS_TEST_PG_BIN \
                 to the directory of its initdb and postgres; or start Docker, and set \
                 PGQRS_TEST_IMAGE to an image it has; or, for all tests but those that kill their \
                 server, set PGQRS_TEST_DSN to the DSN of a running server.",
            )),
        }
    }

    /// The cluster in `container`.
    fn in_container(container: Container, image: &str) -> Self {
        Self {
            dsn: container.dsn(),
            origin: format!("a container of {image}"),
            host: Host::Container(Box::new(container)),
        }
    }

    /// A new cluster of `binaries`, there being `no_container` of `image`.
    fn of_binaries(binaries: Binaries, image: &str, no_container: &str) -> Result<Self, String> {
        let origin = format!(
            "local binaries in {} (no container of {image}: {no_container})",
            binaries.dir().display()
        );
        let local = Local::new(binaries)?;
        Ok(Self {
            dsn: local.dsn(),
            origin,
            host: Host::Local(local),
        })
    }
}

/// The value, or a panic at the caller's place.
#[track_caller]
fn succeeded<T>(result: Result<T, String>) -> T {
    match result {
        Ok(value) => value,
        Err(why) => panic!("{why}"),
    }
}
