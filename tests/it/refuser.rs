//! A server that asks for the password, and then lets nobody in.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The code of a request for TLS, where the version of the protocol is in other first messages.
const SSL_REQUEST: [u8; 4] = 80_877_103_i32.to_be_bytes();

/// "Send the password as it is."
const ASK: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];

pub(crate) struct Refuser {
    pub(crate) address: SocketAddr,
    sent: Arc<Mutex<Sent>>,
}

/// What clients have sent.
#[derive(Default)]
struct Sent {
    /// The user, the database and the like, of all of them.
    names: String,
    /// The last one's.
    password: Option<String>,
}

impl Refuser {
    /// With an SQLSTATE and a text, or without a word.
    pub(crate) fn saying(refusal: Option<(&'static str, &'static str)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::default());
        let shared = Arc::clone(&sent);
        // Runs as long as the test does: it is connected to by nobody else.
        thread::spawn(move || {
            for client in listener.incoming() {
                // Some hang up in the middle.
                let _ = refuse(client.unwrap(), refusal, &shared);
            }
        });
        Self { address, sent }
    }

    pub(crate) fn dsn(&self, password: &str) -> String {
        format!("postgresql://me:{password}@{}/db?user=me", self.address)
    }

    /// What the last one has sent.
    pub(crate) fn password_sent(&self) -> Option<String> {
        self.sent.lock().unwrap().password.clone()
    }

    /// The users, databases and the like that were asked for.
    pub(crate) fn names_sent(&self) -> String {
        self.sent.lock().unwrap().names.clone()
    }
}

fn refuse(
    mut client: TcpStream,
    refusal: Option<(&str, &str)>,
    sent: &Mutex<Sent>,
) -> io::Result<()> {
    let mut first = read(&mut client)?;
    while first.starts_with(&SSL_REQUEST) {
        client.write_all(b"N")?;
        first = read(&mut client)?;
    }
    sent.lock().unwrap().names += &String::from_utf8_lossy(&first);
    client.write_all(&ASK)?;
    client.read_exact(&mut [0; 1])?; // the type of its message
    let password = read(&mut client)?;
    let password = String::from_utf8_lossy(&password);
    sent.lock().unwrap().password = Some(password.trim_end_matches('\0').to_owned());
    if let Some((code, text)) = refusal {
        let fields = format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap();
        client.write_all(&[b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat())?;
    }
    Ok(())
}

/// Reads what follows a length.
fn read(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let rest = u32::from_be_bytes(length).saturating_sub(4);
    let mut message = vec![0; rest as usize];
    client.read_exact(&mut message)?;
    Ok(message)
}
