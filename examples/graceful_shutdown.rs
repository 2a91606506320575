//! A worker that ends well: Ctrl-C or SIGTERM stops it, and a second one ends it at once.
//!
//! ```text
//! PGQRS_DSN=postgresql://localhost/mydb cargo run --example graceful_shutdown -- [MESSAGES]
//! ```
//!
//! It first enqueues so many messages to work on, if told to. What runs when it is stopped is
//! finished; what was only fetched is released.

use std::error::Error;
use std::process;
use std::thread;
use std::time::Duration;

use pgqrs::{Context, Producer, StopHandle, Store, WorkerPool, connect_from_env};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const QUEUE: &str = "graceful";

/// How long the running handlers have, once it is to stop. Less than what whoever sends the
/// signal waits before the next one: docker stop 10 seconds, Kubernetes 30.
const GRACE: Duration = Duration::from_secs(8);

fn main() -> Result<(), Box<dyn Error>> {
    let store = connect_from_env()?;
    store.install()?;
    store.create_queue(QUEUE)?;
    if let Some(messages) = std::env::args().nth(1) {
        Producer::new(&store, QUEUE)?.batch_enqueue(vec![1; messages.parse()?])?;
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
