//! The calls of the protocol, made on a real store by real producers and consumers, and the
//! answers in terms that hold for every store.

use std::time::Duration;

use pgqrs::{Consumer, Message, Producer, Receipt, Store};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// How long leases are.
pub(crate) const LOCK_TIME: Duration = HOUR.saturating_mul(2);

/// What can happen. Receipts are named by their position among all that were ever handed out:
/// whoever crashed, was paused or is just slow may come back with any of them at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Enqueue,
    EnqueueDelayed,
    Dequeue {
        worker: usize,
        limit: usize,
    },
    /// The server crashes before the lease is on its disk, and nobody but the worker knows of it.
    DequeueLost {
        worker: usize,
    },
    Archive(usize),
    Delete(usize),
    Release {
        receipt: usize,
        hours: u32,
        charged: bool,
    },
    DeadLetter(usize),
    Extend {
        receipt: usize,
        hours: u32,
    },
    /// All receipts in one call, each twice.
    ArchiveAll,
    ArchiveAndDequeue {
        receipt: usize,
        worker: usize,
    },
    /// By a bare id: whichever delivery of the message this worker holds.
    ArchiveById {
        worker: usize,
        message: usize,
    },
    /// Time passes until a minute before the next lease ends or message is due ...
    JustBefore,
    /// ... or until then.
    JustAfter,
}

/// A delivery, by positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) message: usize,
    pub(crate) worker: usize,
    pub(crate) read_ct: i32,
    pub(crate) attempt: i32,
    pub(crate) lapsed: bool,
}

/// What a call answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) owned: Vec<bool>,
    pub(crate) given: Vec<Given>,
}

/// A queue on a store, two workers, and what they were ever given.
pub(crate) struct Side<S: Store> {
    pub(crate) store: S,
    pub(crate) queue: String,
    producer: Producer<S>,
    workers: Vec<Consumer<S>>,
    /// The ids, in order.
    pub(crate) messages: Vec<i64>,
    pub(crate) receipts: Vec<Message>,
}

impl<S: Store + Clone> Side<S> {
    pub(crate) fn new(store: S, queue: &str, workers: usize) -> Self {
        store.create_queue(queue).unwrap();
        let worker = || {
            let worker = Consumer::builder(store.clone(), queue).lock_time(LOCK_TIME);
            worker.build().unwrap()
        };
        Self {
            producer: Producer::new(store.clone(), queue).unwrap(),
            workers: (0..workers).map(|_| worker()).collect(),
            queue: queue.to_owned(),
            messages: Vec::new(),
            receipts: Vec::new(),
            store,
        }
    }

    /// A worker's id.
    pub(crate) fn worker(&self, at: usize) -> i64 {
        self.workers[at].worker()
    }

    /// Makes a call; passing time is the caller's business.
    pub(crate) fn call(&mut self, step: Step) -> Answer {
        let owned = |owned: bool| Answer {
            owned: vec![owned],
            given: Vec::new(),
        };
        let receipt = |at: usize| Receipt::from(&self.receipts[at]);
        // Whose consumer carries a receipt does not matter: it names its worker.
        let any = &self.workers[0];
        match step {
            Step::Enqueue => {
                self.messages
                    .push(self.producer.enqueue("work").unwrap().id);
                Answer::default()
            }
            Step::EnqueueDelayed => {
                let message = self.producer.enqueue_delayed("work", HOUR).unwrap();
                self.messages.push(message.id);
                Answer::default()
            }
            Step::Dequeue { worker, limit } => {
                let messages = self.workers[worker].dequeue_many(limit).unwrap();
                self.given(Vec::new(), messages)
            }
            Step::Archive(at) => owned(any.archive(receipt(at)).unwrap()),
            Step::Delete(at) => owned(any.delete(receipt(at)).unwrap()),
            Step::Release {
                receipt: at,
                hours,
                charged,
            } => owned(match charged {
                true => any.retry(receipt(at), HOUR * hours).unwrap(),
                false => any.release(receipt(at), HOUR * hours).unwrap(),
            }),
            Step::DeadLetter(at) => owned(any.dead_letter(receipt(at), "why").unwrap()),
            Step::Extend { receipt: at, hours } => {
                owned(any.extend_visibility(receipt(at), HOUR * hours).unwrap())
            }
            Step::ArchiveAll => Answer {
                owned: any
                    .archive_many(self.receipts.iter().chain(&self.receipts))
                    .unwrap(),
                given: Vec::new(),
            },
            Step::ArchiveAndDequeue {
                receipt: at,
                worker,
            } => {
                let worker = &self.workers[worker];
                let (owned, messages) = worker.archive_and_dequeue([receipt(at)], 1).unwrap();
                self.given(owned, messages)
            }
            Step::ArchiveById { worker, message } => owned(
                self.workers[worker]
                    .archive(self.messages[message])
                    .unwrap(),
            ),
            Step::DequeueLost { .. } | Step::JustBefore | Step::JustAfter => Answer::default(),
        }
    }

    fn given(&mut self, owned: Vec<bool>, messages: Vec<Message>) -> Answer {
        let given = messages.iter().map(|message| self.name(message)).collect();
        self.receipts.extend(messages);
        Answer { owned, given }
    }

    pub(crate) fn name(&self, message: &Message) -> Given {
        let worker = |worker: &Consumer<S>| Some(worker.worker()) == message.worker;
        Given {
            message: self
                .messages
                .iter()
                .position(|id| *id == message.id)
                .unwrap(),
            worker: self.workers.iter().position(worker).unwrap(),
            read_ct: message.read_ct,
            attempt: message.attempt,
            lapsed: message.lapsed,
        }
    }
}
