//! A way to the server on which connections are cut, or go dead.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use postgres::Config;
use postgres::config::Host;

/// Passes everything on until it is told otherwise.
pub struct Wire {
    address: SocketAddr,
    behind: Config,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    thawed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many more answers are to be cut off in the middle, ...
    cut_answers: usize,
    /// ... and requests.
    cut_requests: usize,
    /// How many were.
    cut: usize,
    /// Nothing is passed on any more.
    frozen: bool,
    /// How many connections there were, and ...
    connections: u64,
    /// ... how many of those, the first, have hung up.
    hung_up: u64,
}

impl Wire {
    pub fn start(dsn: &str) -> Self {
        let behind: Config = dsn.parse().unwrap();
        let host = match behind.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            other => panic!("this test needs a server that is reached by TCP, not {other:?}"),
        };
        let port = behind.get_ports().first().copied().unwrap_or(5432);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Shared::default());
        let shared = Arc::clone(&state);
        // Runs as long as the test does: it is connected to by nobody else.
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                // While the server is away, who comes is sent away.
                if let Ok(server) = TcpStream::connect((host.as_str(), port)) {
                    connect(client, server, &shared);
                }
            }
        });
        Self {
            address,
            behind,
            state,
        }
    }

    /// The same database, by this way.
    pub fn dsn(&self) -> String {
        let behind = &self.behind;
        let user = behind.get_user().unwrap_or("postgres");
        let password = behind.get_password().map(String::from_utf8_lossy);
        let password = password.map_or_else(String::new, |password| format!(":{password}"));
        let port = self.address.port();
        let database = behind.get_dbname().unwrap_or("postgres");
        format!("postgresql://{user}{password}@127.0.0.1:{port}/{database}")
    }

    /// Has the next answer cut off in the middle, with its connection.
    pub fn cut_an_answer(&self) {
        self.lock().cut_answers += 1;
    }

    /// Has the next request cut off in the middle, with its connection.
    pub fn cut_a_request(&self) {
        self.lock().cut_requests += 1;
    }

    /// How many were cut.
    pub fn cut(&self) -> usize {
        self.lock().cut
    }

    /// Has all connections go dead, also those to come: nobody hears anything, and nobody is told.
    /// When the returned value is dropped, they are hung up, an idle one with the next word on it;
    /// new ones are fine then.
    #[must_use]
    pub fn freeze(&self) -> Frozen<'_> {
        self.lock().frozen = true;
        Frozen(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.state.lock().unwrap()
    }
}

/// A wire whose connections are dead.
pub struct Frozen<'a>(&'a Wire);

impl Frozen<'_> {
    /// Has them live again, and what was said meanwhile on each arrive, all at the same time.
    pub fn thaw(self) {
        self.0.lock().frozen = false;
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.frozen {
            state.hung_up = state.connections;
            state.frozen = false;
        }
        self.0.state.thawed.notify_all();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let mut state = self.lock();
        state.hung_up = u64::MAX;
        self.state.thawed.notify_all();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Answers,
    Requests,
}

/// Passes on what two say to each other, until one hangs up.
fn connect(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    let number = {
        let mut state = shared.state.lock().unwrap();
        state.connections += 1;
        state.connections
    };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true); // one that has hung up already may refuse
    }
    for (from, to, direction) in [
        (&client, &server, Direction::Requests),
        (&server, &client, Direction::Answers),
    ] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let _ = pass_on(&from, &to, direction, number, &shared);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

fn pass_on(
    mut from: &TcpStream,
    mut to: &TcpStream,
    direction: Direction,
    number: u64,
    shared: &Shared,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut count = from.read(&mut buffer)?;
        let mut state = shared.state.lock().unwrap();
        let was_frozen = state.frozen;
        while state.frozen && number > state.hung_up {
            state = shared.thawed.wait(state).unwrap();
        }
        if count == 0 || number <= state.hung_up {
            return Ok(());
        }
        if was_frozen {
            drop(state);
            count += read_on(from, &mut buffer[count..])?;
            state = shared.state.lock().unwrap();
        }
        let cuts = match direction {
            Direction::Answers => &mut state.cut_answers,
            Direction::Requests => &mut state.cut_requests,
        };
        if *cuts > 0 {
            *cuts -= 1;
            state.cut += 1;
            drop(state);
            return to.write_all(&buffer[..count / 2]);
        }
        drop(state);
        to.write_all(&buffer[..count])?;
    }
}

/// Reads until the other side has said nothing for a second, or ends.
fn read_on(mut from: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    from.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut count = 0;
    let end = loop {
        match from.read(&mut buffer[count..]) {
            Ok(0) => break Ok(()),
            Ok(more) => count += more,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break Ok(());
            }
            Err(error) => break Err(error),
        }
    };
    from.set_read_timeout(None)?;
    end.map(|()| count)
}
