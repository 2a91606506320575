//! Leases that are renewed, run out, and come again.

use std::sync::atomic::AtomicU64;
use std::thread;

use std::sync::atomic::AtomicBool;

use super::*;

/// Lets the first settlement's answer wait until the message was fetched once more, and the
/// pool has looked again after that.
#[derive(Debug)]
struct FetchedMeanwhile {
    fetched: AtomicBool,
    looked: Mutex<Sender<()>>,
    again: Mutex<Option<Receiver<()>>>,
}

impl Hooks for FetchedMeanwhile {
    fn dequeued(&self, messages: &[Message]) {
        if self.fetched.load(Ordering::SeqCst) {
            let _ = self.looked.lock().unwrap().send(());
        }
        if messages.iter().any(|message| message.read_ct == 2) {
            self.fetched.store(true, Ordering::SeqCst);
        }
    }
    fn settled(&self) {
        if let Some(again) = self.again.lock().unwrap().take() {
            again.recv_timeout(MINUTE).unwrap();
        }
    }
}

#[test]
fn a_message_that_is_fetched_again_before_its_release_is_noted_is_worked_on() {
    for lost_answer in [false, true] {
        let (store, producer) = tasks();
        producer.enqueue("once more").unwrap();
        let (looked, again) = channel();
        let hooks = FetchedMeanwhile {
            fetched: AtomicBool::new(false),
            looked: Mutex::new(looked),
            again: Mutex::new(Some(again)),
        };
        if lost_answer {
            store.fail_next(Call::Release, ErrorKind::FateUnknown);
        }
        let pool = pool(Hooked(store.clone(), Arc::new(hooks)));
        let (gate, at_gate) = gate();
        let pool = pool.handle(move |_: Message, context: &Context<'_>| {
            if context.attempt() == 1 {
                return Err("once more".into());
            }
            at_gate();
            Ok(())
        });
        let pool = pool.start().unwrap();
        wait(&pool, |seen| seen.retried + seen.fate_unknown == 1);
        // The delivery that is with the handler is still held, and so renewed.
        assert_eq!(pool.shared.holding.len(), 1);
        open(gate);
        wait(&pool, |seen| seen.finished == 1);
        let report = end(pool);
        assert_eq!((report.fetched, report.started, report.lost), (2, 2, 0));
        let retried = u64::from(!lost_answer);
        assert_eq!(
            (report.retried, report.fate_unknown),
            (retried, 1 - retried)
        );
        assert_eq!(store.archived("tasks")[0].attempt, 2);
    }
}

/// Lets the first settlement wait until the message's lease has run out and the pool has
/// taken the message back.
#[derive(Debug)]
struct LapsesMeanwhile {
    store: MockStore,
    fetched: AtomicBool,
    looked: Mutex<Sender<()>>,
    again: Mutex<Option<Receiver<()>>>,
}

impl Hooks for LapsesMeanwhile {
    fn dequeued(&self, messages: &[Message]) {
        if self.fetched.load(Ordering::SeqCst) {
            let _ = self.looked.lock().unwrap().send(());
        }
        if messages.iter().any(|message| message.lapsed) {
            self.fetched.store(true, Ordering::SeqCst);
        }
    }
    fn settling(&self) {
        if let Some(again) = self.again.lock().unwrap().take() {
            self.store.advance(HOUR);
            again.recv_timeout(MINUTE).unwrap();
        }
    }
}

#[test]
fn what_is_done_is_settled_under_the_lease_that_holds_now() {
    let (store, producer) = tasks();
    producer.enqueue("work").unwrap();
    let (looked, again) = channel();
    let hooks = LapsesMeanwhile {
        store: store.clone(),
        fetched: AtomicBool::new(false),
        looked: Mutex::new(looked),
        again: Mutex::new(Some(again)),
    };
    let pool = pool(Hooked(store.clone(), Arc::new(hooks)));
    let pool = pool.handle(fine).start().unwrap();
    wait(&pool, |seen| seen.finished == 1);
    let report = end(pool);
    assert_eq!((report.fetched, report.started, report.lost), (2, 1, 1));
    assert_eq!(store.archived("tasks")[0].read_ct, 2);
}

/// Moves the clock on after each renewal, by half of what was renewed, and has somebody else
/// look for messages.
#[derive(Debug)]
struct HalfATime {
    store: MockStore,
    renewals: AtomicU64,
    /// What the other got; `None` once it has ended.
    stolen: Mutex<Option<Vec<Message>>>,
}

const SHORT: Duration = Duration::from_millis(300);

impl Hooks for HalfATime {
    fn extended(&self) {
        if let Some(stolen) = &mut *self.stolen.lock().unwrap() {
            self.store.advance(SHORT / 2);
            stolen.extend(consumer(&self.store).dequeue().unwrap());
            self.renewals.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn renewed_leases_never_run_out() {
    let (store, producer) = tasks();
    producer.batch_enqueue(0..20).unwrap();
    let hooks = Arc::new(HalfATime {
        store: store.clone(),
        renewals: AtomicU64::new(0),
        stolen: Mutex::new(Some(Vec::new())),
    });
    let (gate, at_gate) = gate();
    // It cannot fetch more, so it cannot take a lease back that ran out.
    let pool = pool(Hooked(store.clone(), Arc::clone(&hooks)))
        .lock_time(SHORT)
        .threads(2)
        .prefetch(18);
    let pool = pool.handle(move |_: Message, _: &Context<'_>| {
        at_gate();
        Ok(())
    });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.renewed >= 20 * 12);
    assert!(
        hooks.renewals.load(Ordering::SeqCst) >= 12,
        "six lock times"
    );
    assert_eq!(hooks.stolen.lock().unwrap().take(), Some(vec![]));
    open(gate);
    wait(&pool, |seen| seen.finished == 20);
    let report = end(pool);
    assert_eq!((report.started, report.lost), (20, 0));
    assert!(
        store
            .archived("tasks")
            .iter()
            .all(|message| message.attempt == 1)
    );
}

#[derive(Debug)]
struct Blocked(Mutex<Option<Receiver<()>>>);

impl Hooks for Blocked {
    fn settled(&self) {
        if let Some(gate) = self.0.lock().unwrap().take() {
            let _ = gate.recv_timeout(MINUTE);
        }
    }
}

#[test]
fn what_is_not_settled_yet_is_bounded_too() {
    let (store, producer) = tasks();
    producer.batch_enqueue(0..3_000).unwrap();
    let (gate, opened) = channel();
    let blocked = Arc::new(Blocked(Mutex::new(Some(opened))));
    let pool = pool(Hooked(store.clone(), blocked)).prefetch(10);
    let pool = pool.handle(fine).start().unwrap();
    let most = 2 + 10 + SETTLE_BATCH;
    wait(&pool, |seen| seen.started >= most as u64);
    assert_eq!(pool.shared.holding.len(), most);
    assert_eq!(pool.counters().read().fetched, most as u64);
    open(gate);
    wait(&pool, |seen| seen.finished == 3_000);
    end(pool);
}

#[test]
fn a_message_whose_lease_may_be_over_is_not_started() {
    let (store, producer) = tasks();
    // Nobody can renew, so when the first is done the second is not safe any more.
    for _ in 0..10_000 {
        store.fail_next(Call::ExtendVisibility, ErrorKind::Unavailable);
    }
    producer.batch_enqueue(0..2).unwrap();
    let pool = pool(store.clone()).lock_time(SHORT).threads(1).prefetch(1);
    let pool = pool.handle(|number: u32, context: &Context<'_>| {
        if number == 0 {
            let left = context.deadline().saturating_duration_since(Instant::now());
            thread::sleep(left);
        } else {
            assert!(context.deadline() > Instant::now());
        }
        Ok(())
    });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.finished == 2);
    let report = end(pool);
    assert_eq!(report.started, 2);
    assert!(report.given_back >= 1, "{report}");
    let second = store.archived("tasks").remove(1);
    assert!(second.read_ct >= 2 && second.attempt == 1, "{second:?}");
}

/// How many messages came at a time.
#[derive(Debug, Default)]
struct Sizes(Mutex<Vec<usize>>);

impl Hooks for Sizes {
    fn dequeued(&self, messages: &[Message]) {
        self.0.lock().unwrap().push(messages.len());
    }
}

#[test]
fn a_pool_does_not_ask_for_every_single_message() {
    let (store, producer) = tasks();
    producer.batch_enqueue(0..500).unwrap();
    let sizes = Arc::new(Sizes::default());
    let pool = pool(Hooked(store, Arc::clone(&sizes))).prefetch(40);
    let report = run(pool.handle(fine)).unwrap();
    assert_eq!(report.finished, 500);
    let sizes = sizes.0.lock().unwrap();
    let full: Vec<&usize> = sizes.iter().filter(|size| **size > 0).collect();
    let (last, others) = full.split_last().unwrap();
    assert!(
        **last <= 42 && others.iter().all(|size| **size >= 20),
        "{full:?}"
    );
}
