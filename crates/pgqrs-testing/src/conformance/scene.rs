//! What the cases are told with: a queue, those who work on it, and short questions.

use std::fmt::Debug;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::Harness;
use pgqrs::{
    Consumer, ConsumerBuilder, Counts, Dequeue, ErrorKind, Layer, Message, Producer, Receipt,
    Result, Store,
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// For `Counts { ready: 1, ..NONE }`.
pub(super) const NONE: Counts = Counts {
    ready: 0,
    leased: 0,
    scheduled: 0,
    archived: 0,
    dead: 0,
};

/// A queue and its producer.
pub(super) struct Tasks<S> {
    pub(super) store: S,
    pub(super) producer: Producer<S>,
    pub(super) name: String,
}

/// Creates the queue that most cases are about.
pub(super) fn tasks<H: Harness>(h: &H) -> Tasks<H::Store> {
    queue(h, "tasks")
}

pub(super) fn queue<H: Harness>(h: &H, name: &str) -> Tasks<H::Store> {
    let store = h.store();
    store.create_queue(name).unwrap();
    Tasks {
        producer: Producer::new(store.clone(), name).unwrap(),
        name: name.to_owned(),
        store,
    }
}

impl<S: Store + Clone> Tasks<S> {
    /// Enqueues the numbers 0 to `count` - 1.
    pub(super) fn put(&self, count: usize) -> Vec<Message> {
        self.producer.batch_enqueue(0..count).unwrap()
    }

    /// A consumer of its own, whose leases do not run out unless the clock is moved.
    pub(super) fn consumer(&self) -> Consumer<S> {
        self.builder().build().unwrap()
    }

    pub(super) fn builder(&self) -> ConsumerBuilder<S> {
        Consumer::builder(self.store.clone(), &self.name).lock_time(HOUR)
    }

    /// The only message that there is to have, leased to the consumer.
    #[track_caller]
    pub(super) fn lease_one(&self, consumer: &Consumer<S>) -> Message {
        only(consumer.dequeue_many(1).unwrap())
    }

    /// A message whose lease ran out, as its consumer still has it.
    #[track_caller]
    pub(super) fn expired(&self, h: &impl Harness, consumer: &Consumer<S>) -> Message {
        self.put(1);
        let message = self.lease_one(consumer);
        h.advance(HOUR);
        message
    }

    pub(super) fn counts(&self) -> Counts {
        self.store.counts(&self.name).unwrap()
    }

    /// What a new consumer gets, in the order in which it does, until nothing is ready. An
    /// empty answer alone does not say that: a store may look for what was committed late,
    /// behind the front, at its leisure.
    pub(super) fn drain(&self) -> Vec<Message> {
        let consumer = self.consumer();
        let mut all = drain(&consumer);
        while self.counts().ready > 0 {
            let more = consumer.poll(100, MINUTE).unwrap();
            assert!(!more.is_empty(), "ready, and not to be had for a minute");
            all.extend(more);
        }
        all
    }
}

/// Five messages, one in each state; the lease and the delay are an hour long.
pub(super) fn one_in_each_state<S: Store + Clone>(tasks: &Tasks<S>) {
    tasks.put(4);
    tasks.producer.enqueue_delayed("later", HOUR).unwrap();
    let consumer = tasks.consumer();
    let held = consumer.dequeue_many(3).unwrap();
    assert!(consumer.archive(&held[0]).unwrap());
    assert!(consumer.dead_letter(&held[1], "broken").unwrap());
}

/// All that a consumer can have until it finds nothing.
pub(super) fn drain<S: Store>(consumer: &Consumer<S>) -> Vec<Message> {
    let mut all = Vec::new();
    loop {
        let messages = consumer.dequeue().unwrap();
        if messages.is_empty() {
            return all;
        }
        all.extend(messages);
    }
}

#[track_caller]
pub(super) fn only(messages: Vec<Message>) -> Message {
    let [message] = <[Message; 1]>::try_from(messages).expect("one message");
    message
}

pub(super) fn ids(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.id).collect()
}

pub(super) fn payloads(messages: &[Message]) -> Vec<&Value> {
    messages.iter().map(|message| &message.payload).collect()
}

/// `read_ct` and attempt.
pub(super) fn reads(message: &Message) -> (i32, i32) {
    (message.read_ct, message.attempt)
}

/// Whether every number is higher than the one before.
pub(super) fn ascending(numbers: &[i64]) -> bool {
    numbers.is_sorted_by(|one, next| one < next)
}

/// Checks the error's kind, and that its text names what it is about.
#[track_caller]
pub(super) fn assert_error<T: Debug>(result: Result<T>, kind: ErrorKind, names: &str) {
    let error = result.expect_err("this should have been refused");
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    assert!(text.contains(names), "no {names:?} in the text: {text}");
}

/// Does the work on threads that start together, and returns what each answered.
pub(super) fn on_threads<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(count);
    let work = |number| {
        start.wait();
        work(number)
    };
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the thread's own panic stands above"))
            .collect()
    })
}

/// The poll interval of a consumer that is to be woken, if the store does that: then nothing
/// else ends its wait in time.
pub(super) fn until_woken(store: &impl Store) -> Duration {
    match store.wakes_consumers() {
        true => HOUR,
        false => Duration::from_millis(1),
    }
}

/// Waits until a consumer has looked in vain: from then on it waits.
#[track_caller]
pub(super) fn asleep(looks: &Receiver<usize>) {
    assert_eq!(looks.recv_timeout(MINUTE), Ok(0));
}

/// A handle that reports every dequeue, so that a case can know that a consumer waits.
#[derive(Debug)]
pub(super) struct Watched<S> {
    store: S,
    looks: Sender<usize>,
}

impl<S: Store> Watched<S> {
    /// Returns the handle, and where it tells after each dequeue how many messages that got.
    pub(super) fn new(store: S) -> (Self, Receiver<usize>) {
        let (looks, seen) = channel();
        (Self { store, looks }, seen)
    }
}

impl<S: Store> Layer for Watched<S> {
    type Inner = S;

    fn inner(&self) -> &S {
        &self.store
    }
    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        let messages = self.store.dequeue(dequeue);
        // Whoever stopped listening does not want to know.
        let _ = self.looks.send(messages.as_ref().map_or(0, Vec::len));
        messages
    }
    fn archive_and_dequeue(
        &self,
        receipts: &[Receipt],
        dequeue: &Dequeue,
    ) -> Result<(Vec<bool>, Vec<Message>)> {
        let answer = self.store.archive_and_dequeue(receipts, dequeue);
        let _ = self.looks.send(answer.as_ref().map_or(0, |(_, m)| m.len()));
        answer
    }
}
