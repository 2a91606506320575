//! The process that the crash tests start: a pool that tells on standard output what it does,
//! and dies of what it is told to die of.

use std::time::Duration;

use pgqrs::{Context, Delivery, Events, RetryPolicy, WorkerPool, connect_from_env};

struct Say;

impl Events for Say {
    fn finished(&self, delivery: &Delivery<'_>) {
        println!("finished {}", delivery.id);
    }
    fn asleep(&self, _: bool) {
        println!("asleep");
    }
}

fn main() -> pgqrs::Result<()> {
    WorkerPool::builder(connect_from_env()?, "tasks")
        .threads(4)
        // Only the test ends leases.
        .lock_time(Duration::from_secs(3_600))
        .poll_interval(Duration::from_millis(20))
        .retry(RetryPolicy::fixed(Duration::ZERO).attempts(3))
        .events(Say)
        .handle(|text: String, context: &Context| {
            println!("started {} {}", context.id(), context.attempt());
            if text == "abort" {
                std::process::abort();
            }
            Ok(())
        })
        .start()?
        .join()?;
    Ok(())
}
