//! The way from the fetch thread to the handlers, `src/pool/jobs.rs` itself, in every order in
//! which its threads can meet.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::model::Builder;
use loom::sync::{Condvar, Mutex};
use loom::thread;

use crate::deeper;
use crate::jobs::{self, JobReceiver};
use crate::sync::{Slip, push_later, push_now, set_slip};

/// How often a thread is interrupted that could have gone on, beside all the times when it has
/// to wait.
const PREEMPTIONS: usize = 2;

/// How many threads are waiting for each other.
struct Meeting {
    begun: Mutex<usize>,
    changed: Condvar,
}

impl Meeting {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Mutex::new(0),
            changed: Condvar::new(),
        })
    }

    fn begin(&self) {
        *self.begun.lock().unwrap() += 1;
        self.changed.notify_all();
    }

    fn wait(&self, all: usize) {
        let mut begun = self.begun.lock().unwrap();
        while *begun < all {
            begun = self.changed.wait(begun).unwrap();
        }
    }
}

/// Messages come in these batches, one for each handler, and no handler is through with its one
/// until all have begun. So if one message is left while a handler sleeps, nothing goes on.
fn all_begin(batches: &[&[u32]]) {
    let all: usize = batches.iter().map(|batch| batch.len()).sum();
    let (sender, receiver) = jobs::channel(all);
    // Where a lost wake-up is found, nothing of loom's may be touched any more.
    let sender = ManuallyDrop::new(sender);
    let meeting = Meeting::new();
    let handler = |jobs: JobReceiver<u32>| {
        let meeting = Arc::clone(&meeting);
        thread::spawn(move || {
            while jobs.recv().is_some() {
                meeting.begin();
                meeting.wait(all);
            }
        })
    };
    let handlers: Vec<_> = (0..all).map(|_| handler(receiver.clone())).collect();
    for batch in batches {
        push_later();
        sender.send_all(batch.iter().copied());
        push_now();
    }
    meeting.wait(all);
    drop(ManuallyDrop::into_inner(sender));
    for handler in handlers {
        handler.join().unwrap();
    }
}

/// A stop, at any moment: every handler ends, and each message is with one handler, or taken
/// back by who sent it.
fn each_is_somewhere(messages: &[u32], handlers: usize) {
    let (sender, receiver) = jobs::channel(messages.len());
    let handled = Arc::new(AtomicUsize::new(0));
    let handler = |jobs: JobReceiver<u32>| {
        let handled = Arc::clone(&handled);
        thread::spawn(move || {
            while jobs.recv().is_some() {
                handled.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let handlers: Vec<_> = (0..handlers).map(|_| handler(receiver.clone())).collect();
    sender.send_all(messages.iter().copied());
    drop(sender);
    let mut back = 0;
    while receiver.try_recv().is_some() {
        back += 1;
    }
    for handler in handlers {
        handler.join().unwrap();
    }
    assert_eq!(
        handled.load(Ordering::SeqCst) + back,
        messages.len(),
        "the sum"
    );
}

/// Goes through every order; `Err` with what went wrong in one.
fn in_every_order(
    slip: Option<Slip>,
    work: impl Fn() + Send + Sync + 'static,
) -> Result<usize, String> {
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&orders);
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS + deeper());
    set_slip(slip);
    let done = catch_unwind(AssertUnwindSafe(|| {
        builder.check(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            work();
        });
    }));
    set_slip(None);
    match done {
        Ok(()) => Ok(orders.load(Ordering::SeqCst)),
        Err(panic) => Err(match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
        }),
    }
}

#[test]
fn no_message_is_left_while_a_handler_sleeps() {
    const BATCHES: [&[&[u32]]; 2] = [&[&[1, 2]], &[&[1], &[2]]];
    for batches in BATCHES {
        let orders = in_every_order(None, move || all_begin(batches)).unwrap();
        println!("{batches:?}: {orders} orders");
    }
}

#[test]
fn a_stop_ends_every_handler_and_loses_nothing() {
    const MESSAGES: [&[u32]; 2] = [&[1], &[1, 2]];
    for messages in MESSAGES {
        let orders = in_every_order(None, move || each_is_somewhere(messages, 2)).unwrap();
        println!("a stop with {messages:?}: {orders} orders");
    }
}

#[test]
fn finds_a_wake_up_that_is_lost() {
    for slip in [
        Slip::NotThrownOn,
        Slip::NobodyWoken,
        Slip::ThrownBeforeThePush,
    ] {
        let found = in_every_order(Some(slip), || all_begin(&[&[1, 2]])).unwrap_err();
        println!("{slip:?}: {found}");
        assert!(found.contains("deadlock"), "{slip:?}: {found}");
    }
}

#[test]
fn finds_an_end_that_wakes_one_thread_only() {
    let work = || each_is_somewhere(&[1], 2);
    let found = in_every_order(Some(Slip::EndWakesOne), work).unwrap_err();
    assert!(found.contains("deadlock"), "{found}");
}
