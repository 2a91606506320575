//! A worker that ends well: Ctrl-C or SIGTERM stops it, and a second one ends it at once.
//!
//! ```text
//! PGQRS_DSN=postgresql://localhost/mydb cargo run --release --example graceful_shutdown
//! ```
//!
//! What runs is finished, what was only fetched is given back. Without `PGQRS_DSN` it starts a
//! throwaway Postgres, with some work in it.

#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::process;
use std::thread;
use std::time::Duration;

use pgqrs::{Context, PgStore, Producer, StopHandle, Store, WorkerPool};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const QUEUE: &str = "graceful";

/// How long the running handlers have, once it is to stop. Less than what whoever sends the
/// signal waits before the next one: docker stop 10 seconds, Kubernetes 30.
const GRACE: Duration = Duration::from_secs(8);

fn main() -> Result<(), Box<dyn Error>> {
    let store = match std::env::var_os("PGQRS_DSN") {
        Some(_) => PgStore::from_env()?,
        None => PgStore::connect(support::server().dsn())?,
    };
    store.install()?;
    store.create_queue(QUEUE)?;
    if std::env::var_os("PGQRS_DSN").is_none() {
        Producer::new(&store, QUEUE)?.batch_enqueue(vec![1; 100_000])?;
    }

    let pool = WorkerPool::builder(store, QUEUE)
        .handle(|millis: u64, _: &Context| {
            thread::sleep(Duration::from_millis(millis)); // the work
            Ok(())
        })
        .start()?;
    let stop = pool.stop_handle();
    stop_on_signals(&stop)?;
    println!("working");
    stop.wait(); // also where an error ends the pool
    let report = pool.shutdown(GRACE)?;
    println!("{report}");
    Ok(())
}

/// Has the first signal stop, and the second end this process.
fn stop_on_signals(stop: &StopHandle) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let stop = stop.clone();
    thread::spawn(move || {
        let mut signals = signals.forever();
        signals.next();
        println!("stopping; once more to end at once");
        stop.stop();
        signals.next();
        process::exit(130);
    });
    Ok(())
}
