//! The processes that the chaos runs start: `chaos_client ROLE NAME LEDGER QUEUE` with the role
//! `produce`, `work` (a pool) or `consume` (a bare consumer). Each works until its standard input
//! ends, and keeps a ledger of every call and what came of it.
//!
mod book;
mod broken;
mod consume;
mod produce;
mod record;
mod work;

use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use pgqrs::{PgStoreBuilder, StopHandle};

use self::book::Book;
use self::broken::{Broken, Fault};
use self::record::Recorded;

/// What everybody here works on.
type Tested = Recorded<Broken>;

/// Whether the arguments are a client's, in a program that is something else besides.
pub fn is_asked_for() -> bool {
    let role = std::env::args().nth(1).unwrap_or_default();
    ["produce", "work", "consume"].contains(&role.as_str())
}

/// Does what the program's arguments say.
pub fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [role, name, ledger, queue] = &args[..] else {
        panic!("usage: chaos_client ROLE NAME LEDGER QUEUE");
    };
    if let Some(seed) = variable::<u64>("CHAOS_SEED") {
        // Each process another, and each time the same.
        fastrand::seed(
            name.bytes()
                .fold(seed, |seed, byte| seed.wrapping_mul(31) ^ u64::from(byte)),
        );
    }
    let stop = StopHandle::new();
    let stopped = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stopped.stop();
    });
    let book = Book::open(Path::new(ledger));
    let Some(store) = connect(&book, &stop) else {
        return;
    };
    match role.as_str() {
        "produce" => produce::run(&store, &book, name, queue, &stop),
        "work" => work::run(&store, &book, name, queue, &stop),
        "consume" => consume::run(&store, name, queue, &stop),
        other => panic!("there is no role {other:?}"),
    }
}

/// Tries until there is a server; `None` if it is told to stop before.
fn connect(book: &Book, stop: &StopHandle) -> Option<Tested> {
    let fault = variable("CHAOS_FAULT");
    loop {
        match PgStoreBuilder::from_env().and_then(PgStoreBuilder::build) {
            Ok(store) => {
                let broken = Broken::new(store, fault);
                return Some(Recorded::new(broken, book.clone()));
            }
            Err(error) => complain("connect", &error),
        }
        if stop.wait_timeout(A_MOMENT) {
            return None;
        }
    }
}

/// Between two tries.
const A_MOMENT: Duration = Duration::from_millis(20);

/// For whoever looks into a run that went wrong.
fn complain(doing: &str, error: &dyn std::error::Error) {
    eprintln!("{doing}: {error}");
}

/// What an environment variable says, if it is set.
fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name}: what is {text:?}?"),
    }
}

/// A span in an environment variable, in milliseconds.
fn millis(name: &str) -> Duration {
    Duration::from_millis(variable(name).unwrap_or_default())
}

/// The fault to have, by name.
impl FromStr for Fault {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let all = Fault::ALL.iter().copied();
        all.into_iter().find(|fault| fault.name() == name).ok_or(())
    }
}
