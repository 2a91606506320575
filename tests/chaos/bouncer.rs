//! A PgBouncer in transaction mode in between, which is killed and started again.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::chown;
use std::process::{Child, Command, Stdio};

use postgres::Config;
use postgres::config::Host;
use tempfile::TempDir;

use crate::CLIENT;
use pgqrs_test_support::{MINUTE, Schema, free_port, server, unprivileged, wait_until};
use pgqrs_tests::chaos::run::Run;

struct Bouncer {
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Bouncer {
    fn start(dsn: &str) -> Self {
        let behind: Config = dsn.parse().unwrap();
        let host = match behind.get_hosts().first() {
            Some(Host::Tcp(host)) => host,
            other => panic!("this test needs a server that is reached by TCP, not {other:?}"),
        };
        let database = behind.get_dbname().unwrap();
        let server_port = behind.get_ports().first().copied().unwrap_or(5432);
        let password = behind.get_password().map(String::from_utf8_lossy);
        let password = password.map_or_else(String::new, |word| format!(" password={word}"));
        let user = behind.get_user().unwrap();
        let port = free_port();
        let directory = tempfile::tempdir().unwrap();
        // Twelve sessions for all: fewer than there are connections of ours.
        let settings = format!(
            "[databases]\n\
             {database} = host={host} port={server_port} dbname={database} user={user}{password}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = 12\n"
        );
        fs::write(directory.path().join("pgbouncer.ini"), settings).unwrap();
        if let Some((uid, gid)) = unprivileged() {
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        let mut bouncer = Self {
            directory,
            port,
            process: None,
        };
        bouncer.run();
        bouncer
    }

    fn run(&mut self) {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new("pgbouncer");
        // It refuses to be root.
        if let Some((uid, gid)) = unprivileged() {
            command.uid(uid).gid(gid);
        }
        let log = fs::File::create(self.directory.path().join("log")).unwrap();
        let started = command
            .env(
                "PATH",
                "/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin",
            )
            .current_dir(self.directory.path())
            .arg("pgbouncer.ini")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.process = Some(started.expect(
            "this test needs PgBouncer (Debian: apt-get install pgbouncer; sh tests/setup.sh does it)",
        ));
        let log = self.directory.path().join("log");
        wait_until("PgBouncer to listen", MINUTE, || {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "PgBouncer has ended: {}", said());
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
        });
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn dsn(&self, behind: &str) -> String {
        let behind: Config = behind.parse().unwrap();
        let (user, database) = (behind.get_user().unwrap(), behind.get_dbname().unwrap());
        format!("postgresql://{user}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_pooler_in_transaction_mode_is_restarted_under_load() {
    let dsn = server().dsn();
    let schema = Schema::new();
    let mut bouncer = Bouncer::start(dsn);
    let mut run = Run::new(CLIENT, dsn, schema.name());
    run.set("PGQRS_DSN", bouncer.dsn(dsn))
        .set("PGQRS_PREPARED_STATEMENTS", "false");
    run.with_everybody();
    for _ in 0..4 {
        run.progress(150);
        bouncer.kill();
        // Who asked for something just then does not know what came of it; who comes now meets nobody.
        let before = run.figures();
        run.wait("somebody to be refused", |now| now.refused > before.refused);
        bouncer.run();
    }
    run.progress(150);
    run.holds();
}
