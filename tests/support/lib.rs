//! What tests, load drivers and benches share that does not depend on the library.
//!
//! Where the PostgreSQL of a run comes from:
//!
//! 1. the server of the environment variable `PGQRS_TEST_DSN`;
//! 2. a container, of the image `PGQRS_TEST_IMAGE` or else of
//!    [`DEFAULT_IMAGE`], where there is a Docker engine that has the image or
//!    can pull it;
//! 3. a throwaway cluster of the machine's own PostgreSQL binaries, looked for
//!    in `PGQRS_TEST_PG_BIN`, on `PATH` and in the usual places.
//!
//! A variable set to the empty string counts as not set. Nothing that is
//! started here outlives the process, however the process ends: see
//! [`watchdog`].

mod announce;
mod binaries;
mod cluster;
mod container;
mod dsn;
mod initdb;
pub mod load;
mod local;
mod port;
pub mod process;
mod processes;
mod schema;
mod wait;
pub mod wal;
mod watchdog;

use std::sync::OnceLock;

pub use self::cluster::Cluster;
pub use self::schema::Schema;
pub use self::wait::{MINUTE, wait_until};

/// The image a container is made of when `PGQRS_TEST_IMAGE` names none.
const DEFAULT_IMAGE: &str = "postgres:17-alpine";

/// The PostgreSQL that the tests of one process share.
#[derive(Debug)]
pub struct Server {
    /// How to reach it.
    dsn: String,
    /// The cluster behind it, if it is ours; kept here so that it lives on.
    _cluster: Option<Cluster>,
}

/// The shared server, found or started on first use.
///
/// # Panics
///
/// If there is none to be had, in this and in every later call.
#[track_caller]
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    match SERVER.get_or_init(Server::find) {
        Ok(server) => server,
        Err(why) => panic!("{why}"),
    }
}

/// A server of the caller's own, to stop and kill at will; it is removed when
/// it is dropped.
///
/// # Panics
///
/// If there is neither a container nor a throwaway cluster to be had: the
/// server of `PGQRS_TEST_DSN` is not ours to stop.
#[track_caller]
pub fn private_server() -> Cluster {
    let made = Cluster::make().and_then(|cluster| {
        announce::source(cluster.dsn(), cluster.origin())?;
        Ok(cluster)
    });
    match made {
        Ok(cluster) => cluster,
        Err(why) if setting("PGQRS_TEST_DSN").is_some() => panic!(
            "this test stops and kills its server, and the one of PGQRS_TEST_DSN is not its own \
             to stop.\n{why}"
        ),
        Err(why) => panic!("{why}"),
    }
}

impl Server {
    /// The DSN: a `postgresql://` URL, or whatever `PGQRS_TEST_DSN` holds.
    pub fn dsn(&self) -> &str {
        &self.dsn
    }

    /// A new connection, without TLS.
    ///
    /// # Panics
    ///
    /// If the server does not take it.
    #[track_caller]
    pub fn connect(&self) -> postgres::Client {
        match dsn::connect(&self.dsn) {
            Ok(client) => client,
            Err(why) => panic!("{why}"),
        }
    }

    /// Takes the first source there is, and says which.
    fn find() -> Result<Self, String> {
        if let Some(dsn) = setting("PGQRS_TEST_DSN") {
            let said = dsn::address(&dsn)
                .and_then(|address| announce::source(&dsn, &format!("PGQRS_TEST_DSN ({address})")));
            said.map_err(|why| format!("PGQRS_TEST_DSN: {why}"))?;
            return Ok(Self {
                dsn,
                _cluster: None,
            });
        }
        let cluster = Cluster::make()?;
        announce::source(cluster.dsn(), cluster.origin())?;
        Ok(Self {
            dsn: cluster.dsn().to_owned(),
            _cluster: Some(cluster),
        })
    }
}

/// User and group for programs that refuse to be root, if we are.
///
/// # Panics
///
/// If there is no user `postgres`.
pub fn unprivileged() -> Option<(u32, u32)> {
    match binaries::unprivileged() {
        Ok(user) => user,
        Err(why) => panic!("{why}"),
    }
}

/// A TCP port for a server that must keep it over restarts, which nobody listens on now.
///
/// # Panics
///
/// If there is none.
pub fn free_port() -> u16 {
    match port::free() {
        Ok(port) => port,
        Err(why) => panic!("{why}"),
    }
}

/// An environment variable that is set to something.
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
