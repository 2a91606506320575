//! A pool, whose handlers do what the errands say.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgqrs::postgres::types::Type;
use pgqrs::postgres::{Client, NoTls};
use pgqrs::{
    Consumer, Context, Error, Events, Failure, Handled, Layer as _, Message, RetryPolicy,
    StopHandle, WorkerPool,
};

use super::book::Book;
use super::broken::Fault;
use super::produce::persistently;
use super::record::delivery;
use super::{A_MOMENT, Tested, complain, millis, variable};
use crate::chaos::errand::{Errand, What};
use crate::chaos::line::{End, Fate, Line};

const THREADS: usize = 3;
const PREFETCH: usize = 20;

/// Nobody is given up here who does not ask for it: attempts are charged by the dozen.
const ATTEMPTS: u32 = 1_000_000;

/// What an end of standard input gives to those at work.
const GRACE: Duration = Duration::from_secs(20);

/// For whoever looks into a run that went wrong.
struct Complain;

impl Events for Complain {
    fn reconnecting(&self, doing: &str, error: &Error, _: Duration) {
        complain(doing, error);
    }
}

struct Worker {
    consumer: Consumer<Tested>,
    book: Book,
    work: Duration,
    /// The statement that leaves an effect.
    effect: String,
    /// The statement that limits how long its transaction may stand still.
    at_most: String,
    /// Whether it is left in a transaction of its own.
    apart: bool,
    /// Connections for that, which nobody uses just now.
    idle: Mutex<Vec<Client>>,
}

pub(crate) fn run(store: &Tested, book: &Book, name: &str, queue: &str, stop: &StopHandle) {
    let make = || Consumer::builder(store.clone(), queue).name(name).build();
    let Some(consumer) = persistently(stop, make) else {
        return;
    };
    let schema: String = variable("PGQRS_SCHEMA").unwrap_or_else(|| "public".to_owned());
    let idle: String = variable("CHAOS_IDLE").expect("CHAOS_IDLE is not set");
    let worker = Worker {
        consumer,
        book: book.clone(),
        work: millis("CHAOS_WORK"),
        effect: format!("INSERT INTO \"{schema}\".effects (message) VALUES ($1)"),
        at_most: format!("SET LOCAL idle_in_transaction_session_timeout = '{idle}'"),
        apart: store.inner().has(Fault::EffectApart),
        idle: Mutex::default(),
    };
    let worker = Arc::new(worker);
    let start = || {
        let worker = Arc::clone(&worker);
        WorkerPool::builder(store.clone(), queue)
            .name(name)
            .threads(variable("CHAOS_THREADS").unwrap_or(THREADS))
            .prefetch(PREFETCH)
            .events(Complain)
            .retry(RetryPolicy::fixed(Duration::from_millis(10)).attempts(ATTEMPTS))
            .handle(move |message: Message, context: &Context| worker.handle(&message, context))
            .start()
    };
    let Some(pool) = persistently(stop, start) else {
        return;
    };
    stop.wait();
    match pool.shutdown(GRACE) {
        Ok(report) => assert_eq!(report.settled(), report.fetched, "{report}"),
        Err(error) => complain("shut down", &error),
    }
}

impl Worker {
    fn handle(&self, message: &Message, context: &Context) -> Handled {
        let errand: Errand = message.json()?;
        std::thread::sleep(self.work);
        match errand.what {
            What::Archive => Ok(()),
            What::Effect => self.leave_effect(context),
            What::Delete => {
                if !self.consumer.delete(context.receipt())? {
                    return Err("the lease is lost".into());
                }
                context.settled();
                Ok(())
            }
            What::Retry if message.attempt < 2 => Err("the first attempt fails".into()),
            What::GiveBack if message.read_ct < 2 => Err(Failure::give_back(Duration::ZERO)),
            What::Retry | What::GiveBack => Ok(()),
            What::Dead => Err(Failure::dead_letter("as it wishes")),
        }
    }

    /// Writes a row, and archives the message in the same transaction.
    fn leave_effect(&self, context: &Context) -> Handled {
        let idle = self.idle.lock().unwrap().pop();
        let mut client = match idle {
            Some(client) if !client.is_closed() => client,
            _ => Client::connect(&std::env::var("PGQRS_DSN")?, NoTls)?,
        };
        let receipt = context.receipt();
        if self.apart {
            client.query_typed(&self.effect, &[(&receipt.id(), Type::INT8)])?;
            std::thread::sleep(A_MOMENT);
        }
        let mut tx = client.transaction()?;
        // If this process is stopped in it, the server ends it.
        tx.batch_execute(&self.at_most)?;
        if !self.apart {
            tx.query_typed(&self.effect, &[(&receipt.id(), Type::INT8)])?;
        }
        if !self.consumer.archive_in(&mut tx, receipt)? {
            return Err("the lease is lost".into());
        }
        let committed = tx.commit();
        self.book.write([Line::Ended {
            delivery: delivery(&receipt),
            end: End::Archive,
            fate: match committed {
                Ok(()) => Fate::Yes,
                Err(_) => Fate::Unknown,
            },
        }]);
        committed?;
        self.idle.lock().unwrap().push(client);
        context.settled();
        Ok(())
    }
}
