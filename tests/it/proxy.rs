//! A way to the server on which notifications get lost, as behind a pooler.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use postgres::Config;
use postgres::config::Host;

/// The type of the server's message NotificationResponse.
const NOTIFICATION: u8 = b'A';

/// Passes everything on, but not what LISTEN waits for.
pub(crate) struct DeafProxy {
    address: SocketAddr,
    behind: Config,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    kept: AtomicUsize,
    ended: AtomicUsize,
}

impl DeafProxy {
    pub(crate) fn start(dsn: &str) -> Self {
        let behind: Config = dsn.parse().unwrap();
        let host = match behind.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            other => panic!("this test needs a server that is reached by TCP, not {other:?}"),
        };
        let port = behind.get_ports().first().copied().unwrap_or(5432);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        // Runs as long as the test does: it is connected to by nobody else.
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect((host.as_str(), port)).unwrap();
                for stream in [&client, &server] {
                    stream.set_nodelay(true).unwrap();
                }
                connect(client, server, &shared);
            }
        });
        Self {
            address,
            behind,
            counts,
        }
    }

    /// The same database, by this way.
    pub(crate) fn dsn(&self) -> String {
        let mut dsn = format!("host=127.0.0.1 port={}", self.address.port());
        let password = self.behind.get_password().map(String::from_utf8_lossy);
        for (key, value) in [
            ("user", self.behind.get_user()),
            ("password", password.as_deref()),
            ("dbname", self.behind.get_dbname()),
        ] {
            if let Some(value) = value {
                let value = value.replace('\\', "\\\\").replace('\'', "\\'");
                dsn += &format!(" {key}='{value}'");
            }
        }
        dsn
    }

    /// How many notifications were kept back.
    pub(crate) fn kept(&self) -> usize {
        self.counts.kept.load(Ordering::SeqCst)
    }

    /// How many of the connections that a notification was for have ended.
    pub(crate) fn ended(&self) -> usize {
        self.counts.ended.load(Ordering::SeqCst)
    }
}

/// Passes on what two say to each other, until one hangs up.
fn connect(client: TcpStream, server: TcpStream, counts: &Arc<Counts>) {
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let counts = Arc::clone(counts);
    thread::spawn(move || {
        let mut deaf = false;
        let _ = pass_messages(server, &client, || {
            deaf = true;
            counts.kept.fetch_add(1, Ordering::SeqCst);
        });
        let _ = client.shutdown(Shutdown::Both);
        counts.ended.fetch_add(usize::from(deaf), Ordering::SeqCst);
    });
}

/// Passes the server's messages on: a byte that says which sort it is, then its length, which
/// counts itself.
fn pass_messages(
    mut server: TcpStream,
    mut client: &TcpStream,
    mut kept: impl FnMut(),
) -> io::Result<()> {
    loop {
        let mut head = [0; 5];
        server.read_exact(&mut head)?;
        let [sort, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        let mut message = head.to_vec();
        message.resize(1 + length, 0);
        server.read_exact(&mut message[5..])?;
        match sort {
            NOTIFICATION => kept(),
            _ => client.write_all(&message)?,
        }
    }
}
