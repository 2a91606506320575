//! The same sequence of calls on the in-memory store and on another one gives the same
//! answers, and leaves the same state.

use std::time::Duration;

use pgqrs::{Consumer, Counts, Message, MockStore, Producer, Receipt, State, Store};
use pgqrs_testing::Harness;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Spans are odd multiples of half an hour, and the clock moves by whole hours: what the
/// real clock adds meanwhile never decides anything.
const HALF_HOUR: Duration = Duration::from_secs(1800);

#[derive(Clone, Debug)]
enum Step {
    Enqueue(usize),
    EnqueueDelayed(usize, Span),
    /// With keys out of a few: repeats, and the same twice in one batch.
    EnqueueOnce(Vec<u8>),
    Dequeue {
        consumer: usize,
        limit: usize,
    },
    Advance(u32),
    /// What is done to deliveries, picked among all there ever were: also stale ones, also
    /// by the other consumer, also twice in one batch.
    Extend(Picks, Span),
    Archive(Picks),
    ArchiveAndDequeue(Picks, usize),
    Delete(Picks),
    Release(Picks, Span),
    Retry(Picks, Span),
    DeadLetter(Picks),
    /// A bare id, through a consumer that may not hold it.
    ArchiveById {
        consumer: usize,
        pick: prop::sample::Index,
    },
    Purge(State),
}

type Picks = Vec<prop::sample::Index>;

#[derive(Clone, Copy, Debug)]
enum Span {
    Zero,
    HalfHours(u32),
}

impl Span {
    fn length(self) -> Duration {
        match self {
            Span::Zero => Duration::ZERO,
            Span::HalfHours(odd) => HALF_HOUR * odd,
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let span = || {
        prop_oneof![
            Just(Span::Zero),
            prop::sample::select(vec![1u32, 3, 5]).prop_map(Span::HalfHours)
        ]
    };
    let picks = || prop::collection::vec(any::<prop::sample::Index>(), 1..5);
    prop_oneof![
        4 => (1usize..8).prop_map(Step::Enqueue),
        1 => (1usize..4, span()).prop_map(|(count, span)| Step::EnqueueDelayed(count, span)),
        2 => prop::collection::vec(0u8..8, 1..5).prop_map(Step::EnqueueOnce),
        6 => (0usize..2, 1usize..8).prop_map(|(consumer, limit)| Step::Dequeue { consumer, limit }),
        3 => (1u32..3).prop_map(Step::Advance),
        2 => (picks(), span()).prop_map(|(picks, span)| Step::Extend(picks, span)),
        2 => picks().prop_map(Step::Archive),
        2 => (picks(), 1usize..8)
            .prop_map(|(picks, limit)| Step::ArchiveAndDequeue(picks, limit)),
        1 => picks().prop_map(Step::Delete),
        2 => (picks(), span()).prop_map(|(picks, span)| Step::Release(picks, span)),
        1 => (picks(), span()).prop_map(|(picks, span)| Step::Retry(picks, span)),
        1 => picks().prop_map(Step::DeadLetter),
        1 => (0usize..2, any::<prop::sample::Index>())
            .prop_map(|(consumer, pick)| Step::ArchiveById { consumer, pick }),
        1 => prop::sample::select(State::ALL.to_vec()).prop_map(Step::Purge),
    ]
}

/// One store with a queue of its own, and what the steps need.
struct Side<S> {
    store: S,
    queue: String,
    producer: Producer<S>,
    consumers: Vec<Consumer<S>>,
    deliveries: Vec<Message>,
    /// The ids that enqueues with keys were answered with.
    once: Vec<i64>,
    enqueued: usize,
}

/// What a step answers, in terms that both stores share: payloads, not ids.
#[derive(Debug, PartialEq)]
enum Answer {
    Nothing,
    /// Which of those that were answered with before, or the next one.
    Once(Vec<usize>),
    Owned(Vec<bool>),
    Delivered(Vec<Fact>),
    Both(Vec<bool>, Vec<Fact>),
    Purged(u64),
}

/// A delivery's payload, `read_ct` and attempt.
type Fact = (u64, i32, i32);

impl<S: Store + Clone> Side<S> {
    fn new(store: S, queue: &str) -> Self {
        store.create_queue(queue).unwrap();
        let consumer = || {
            let builder = Consumer::builder(store.clone(), queue);
            builder.lock_time(HALF_HOUR * 3).build().unwrap()
        };
        Self {
            producer: Producer::new(store.clone(), queue).unwrap(),
            consumers: vec![consumer(), consumer()],
            queue: queue.to_owned(),
            deliveries: Vec::new(),
            once: Vec::new(),
            enqueued: 0,
            store,
        }
    }

    fn payloads(&mut self, count: usize) -> std::ops::Range<usize> {
        self.enqueued += count;
        self.enqueued - count..self.enqueued
    }

    fn place(&mut self, id: i64) -> usize {
        let known = self.once.iter().position(|known| *known == id);
        known.unwrap_or_else(|| {
            self.once.push(id);
            self.once.len() - 1
        })
    }

    fn picked(&self, picks: &Picks) -> Vec<Receipt> {
        let receipt = |pick: &prop::sample::Index| Receipt::from(pick.get(&self.deliveries));
        picks.iter().map(receipt).collect()
    }

    /// One receipt for each message: of two in one batch that are scheduled again, it is
    /// left open which comes first.
    fn picked_once(&self, picks: &Picks) -> Vec<Receipt> {
        let mut receipts = self.picked(picks);
        receipts.sort_by_key(|receipt| (receipt.id(), receipt.read_ct()));
        receipts.dedup_by_key(|receipt| receipt.id());
        receipts
    }

    /// Keeps deliveries, and tells what can be compared.
    fn delivered(&mut self, messages: Vec<Message>) -> Vec<Fact> {
        let fact = |m: &Message| (m.json().unwrap(), m.read_ct, m.attempt);
        let facts = messages.iter().map(fact).collect();
        self.deliveries.extend(messages);
        facts
    }

    fn make(&mut self, step: &Step) -> Answer {
        let any = self.consumers[0].clone();
        match step {
            Step::Enqueue(count) => {
                let payloads = self.payloads(*count);
                self.producer.batch_enqueue(payloads).unwrap();
                Answer::Nothing
            }
            Step::EnqueueDelayed(count, span) => {
                let payloads = self.payloads(*count);
                self.producer
                    .batch_enqueue_delayed(payloads, span.length())
                    .unwrap();
                Answer::Nothing
            }
            Step::EnqueueOnce(keys) => {
                let payloads = self.payloads(keys.len());
                let keyed = keys.iter().map(u8::to_string).zip(payloads);
                let messages = self.producer.batch_enqueue_once(keyed).unwrap();
                Answer::Once(messages.iter().map(|m| self.place(m.id)).collect())
            }
            Step::Dequeue { consumer, limit } => {
                let messages = self.consumers[*consumer].dequeue_many(*limit).unwrap();
                Answer::Delivered(self.delivered(messages))
            }
            Step::Advance(_) => Answer::Nothing,
            Step::Purge(state) => Answer::Purged(self.store.purge(&self.queue, &[*state]).unwrap()),
            _ if self.deliveries.is_empty() => Answer::Nothing,
            Step::ArchiveById { consumer, pick } => {
                let id = pick.get(&self.deliveries).id;
                Answer::Owned(vec![self.consumers[*consumer].archive(id).unwrap()])
            }
            Step::Extend(picks, span) => Answer::Owned(
                any.extend_visibility_many(self.picked(picks), span.length())
                    .unwrap(),
            ),
            Step::Archive(picks) => Answer::Owned(any.archive_many(self.picked(picks)).unwrap()),
            Step::ArchiveAndDequeue(picks, limit) => {
                let receipts = self.picked(picks);
                let (owned, messages) = any.archive_and_dequeue(receipts, *limit).unwrap();
                Answer::Both(owned, self.delivered(messages))
            }
            Step::Delete(picks) => Answer::Owned(any.delete_many(self.picked(picks)).unwrap()),
            Step::Release(picks, span) => Answer::Owned(
                any.release_many(self.picked_once(picks), span.length())
                    .unwrap(),
            ),
            Step::Retry(picks, span) => Answer::Owned(
                any.retry_many(self.picked_once(picks), span.length())
                    .unwrap(),
            ),
            Step::DeadLetter(picks) => {
                Answer::Owned(any.dead_letter_many(self.picked(picks), "why").unwrap())
            }
        }
    }

    fn counts(&self) -> Counts {
        self.store.counts(&self.queue).unwrap()
    }
}

/// Every message: payload, state, `read_ct`, attempt, in the order of payloads.
pub type Contents = Vec<(u64, State, i32, i32)>;

fn in_mock(side: &Side<MockStore>) -> Contents {
    let (store, queue) = (&side.store, &side.queue);
    let dead = store.dead(queue).into_iter().map(|(message, _)| message);
    let mut all: Contents = [
        (State::Ready, store.ready(queue)),
        (State::Leased, store.leased(queue)),
        (State::Scheduled, store.scheduled(queue)),
        (State::Archived, store.archived(queue)),
        (State::Dead, dead.collect()),
    ]
    .into_iter()
    .flat_map(|(state, messages)| messages.into_iter().map(move |message| (state, message)))
    .map(|(state, m)| (m.json().unwrap(), state, m.read_ct, m.attempt))
    .collect();
    all.sort_unstable();
    all
}

/// The state that a store's own means name so.
pub fn state(name: &str) -> State {
    let mut all = State::ALL.into_iter();
    all.find(|state| state.to_string() == name).unwrap()
}

/// Makes many sequences of calls on both stores, each on a queue of its own. `contents` reads
/// what is in a queue, and `bodies` how many payloads, past the library.
pub fn end_in_the_same_state<H: Harness>(
    real: &H,
    contents: impl Fn(&str) -> Contents,
    bodies: impl Fn(&str) -> i64,
) {
    let real_store = real.store();
    let case = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(step(), 1..60), |steps| {
            case.set(case.get() + 1);
            let queue = format!("case{}", case.get());
            let mock_store = MockStore::new();
            let mut mock = Side::new(mock_store.clone(), &queue);
            let mut side = Side::new(real_store.clone(), &queue);
            for step in &steps {
                prop_assert_eq!(mock.make(step), side.make(step), "{:?}", step);
                if let Step::Advance(hours) = step {
                    mock_store.advance(HALF_HOUR * 2 * *hours);
                    real.advance(HALF_HOUR * 2 * *hours);
                }
                // The real clock moves between two steps, and orders what they schedule.
                mock_store.advance(Duration::from_millis(1));
                prop_assert_eq!(mock.counts(), side.counts(), "after {:?}", step);
            }
            let all = in_mock(&mock);
            prop_assert_eq!(&all, &contents(&queue));
            prop_assert_eq!(all.len() as i64, bodies(&queue), "one body for each");
            Ok(())
        })
        .unwrap();
}
