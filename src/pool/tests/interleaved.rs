//! The threads of a pool in every order: its own functions, on one thread, which at each call
//! of the store may be interrupted by what the other threads do.
//!
//! What is done between two calls of the store is not taken apart, and who interrupts ends before
//! who was interrupted goes on (so not: one thread's call begins, another's begins, the first
//! one's ends). Within that, and within the steps of a scene, all orders are gone through.

mod spoilt;
mod ways;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crossbeam_channel::{Receiver as Results, bounded};

use self::spoilt::Spoilt;
use self::ways::Ways;
use super::*;
use crate::bell::Bells;
use crate::pool::backoff::Backoff;
use crate::pool::caution::Caution;
use crate::pool::fetch::Fetch;
use crate::pool::handler::Handler;
use crate::pool::held::Job;
use crate::pool::jobs::{self, JobReceiver};
use crate::pool::settle::{Finished, Settler};
use crate::pool::turns::{Source, Turns};
use crate::pool::{launch, renew, run};

const SUM: &str = "what was fetched is accounted for once";
const GIVEN_BACK: &str = "what no handler has begun is given back";
const AT_ONCE: &str = "no message is worked on twice at a time";
const CHARGED: &str = "an attempt is charged for each start and for nothing else";
const STOPPED: &str = "nothing is started after a stop";
const NOTHING_LEFT: &str = "no lease is left when the pool has ended";

/// What could be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// A stop drops the messages that wait for a handler.
    StopDropsTheQueued,
    /// What is released and comes again counts as the delivery before: so a settlement of unknown
    /// fate is repeated under the newer receipt.
    RepeatsUnderTheNewerReceipt,
    /// What lapses and comes again counts as new.
    StartsWhatItHolds,
    /// What is given back costs an attempt.
    ChargesWhatIsGivenBack,
    /// Handlers do not ask whether the pool stops.
    StartsAfterTheStop,
}

type Act = Box<dyn FnMut()>;

/// One thread's steps to come. The act is taken out while it is under way.
struct Actor {
    act: Option<Act>,
    steps: usize,
}

thread_local! {
    static WAYS: RefCell<Rc<Ways>> = RefCell::default();
    static ACTORS: RefCell<Vec<Actor>> = const { RefCell::new(Vec::new()) };
    static BROKEN: Cell<Option<&'static str>> = const { Cell::new(None) };
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
}

fn is(fault: Fault) -> bool {
    FAULT.get() == Some(fault)
}

fn check(holds: bool, rule: &'static str) {
    if !holds && BROKEN.get().is_none() {
        BROKEN.set(Some(rule));
    }
}

/// Any others may do any of their steps here.
fn others(may_go_on: bool) {
    loop {
        let can: Vec<usize> = ACTORS.with_borrow(|actors| {
            let can = |at: &usize| actors[*at].act.is_some() && actors[*at].steps > 0;
            (0..actors.len()).filter(can).collect()
        });
        let choices = can.len() + usize::from(may_go_on);
        if choices == 0 {
            return;
        }
        let ways = WAYS.with_borrow(Rc::clone);
        let Some(at) = can.get(ways.choose(choices)).copied() else {
            return;
        };
        let act = ACTORS.with_borrow_mut(|actors| {
            actors[at].steps -= 1;
            actors[at].act.take()
        });
        let mut act = act.unwrap();
        act();
        ACTORS.with_borrow_mut(|actors| actors[at].act = Some(act));
    }
}

/// Where a call of the store begins or ends.
#[derive(Debug)]
struct Seams;

impl Hooks for Seams {
    fn dequeued(&self, _: &[Message]) {
        others(true);
    }
    fn extending(&self) {
        others(true);
    }
    fn extended(&self) {
        others(true);
    }
    fn settling(&self) {
        others(true);
    }
    fn settled(&self) {
        others(true);
    }
}

/// How often each thread does something, and what happens.
#[derive(Clone, Copy, Debug, Default)]
struct Scene {
    messages: usize,
    fetches: usize,
    /// Of each of two handler threads.
    handled: [usize; 2],
    settled: usize,
    renewed: usize,
    /// How often all leases run out.
    lapses: usize,
    stops: usize,
    /// The call whose first answer is lost.
    lost_answer: Option<Call>,
}

/// The pool's parts, without its threads.
struct Parts {
    shared: Arc<Shared>,
    store: MockStore,
    queue_id: i64,
    fetch: Fetch,
    handler: Arc<Handler>,
    jobs: JobReceiver<Job>,
    results: Results<Finished>,
    /// How often the handler began with each message, and with which it is at work.
    starts: Arc<Mutex<BTreeMap<i64, (usize, usize)>>>,
}

fn parts(scene: Scene) -> Parts {
    let (store, producer) = tasks();
    producer.batch_enqueue(0..scene.messages).unwrap();
    if let Some(call) = scene.lost_answer {
        store.fail_next(call, ErrorKind::FateUnknown);
    }
    let starts: Arc<Mutex<BTreeMap<i64, (usize, usize)>>> = Arc::default();
    let started = Arc::clone(&starts);
    let spoilt = Spoilt(Hooked(store.clone(), Arc::new(Seams)));
    let pool = pool(spoilt).handle(move |message: Message, context: &Context<'_>| {
        check(!context.is_stopping(), STOPPED);
        let count = |at_work: fn(usize) -> usize, starts: usize| {
            let mut all = started.lock().unwrap();
            let all = all.entry(message.id).or_default();
            *all = (all.0 + starts, at_work(all.1));
            all.1
        };
        check(count(|at_work| at_work + 1, 1) == 1, AT_ONCE);
        others(true);
        count(|at_work| at_work - 1, 0);
        match context.attempt() {
            1 => Err("once more".into()),
            _ => Ok(()),
        }
    });
    let (setup, queues) = pool.register(false).unwrap();
    let bells = Bells::new();
    let shared = launch::share(&setup, bells.bell());
    let caution = Caution::new(2, 5, HOUR);
    let registered = queues.into_iter().next().unwrap();
    let queue_id = registered.queue.id;
    let (queue, worker) = (registered.queue, registered.worker);
    let source = Source::new(queue, worker, 1, caution, bells.bell());
    let (sender, jobs) = jobs::channel(shared.capacity());
    let (finished, results) = bounded(shared.most_held());
    let queued = match is(Fault::StopDropsTheQueued) {
        true => jobs::channel(1).1,
        false => jobs.clone(),
    };
    let fetch = Fetch {
        shared: Arc::clone(&shared),
        turns: Turns::new(vec![source]),
        bells,
        wakeups: None,
        jobs: sender,
        queued,
        finished,
        backoff: Backoff::new("dequeue"),
    };
    Parts {
        handler: setup.handler,
        shared,
        store,
        queue_id,
        fetch,
        jobs,
        results,
        starts,
    }
}

/// Settles what is there, as the settle thread does, without its pauses.
fn settle(shared: &Shared, queue_id: i64, results: &Results<Finished>) {
    let mut settler = Settler::new(shared);
    let mut batch: Vec<Finished> = results.try_iter().collect();
    let mut unknown = false;
    while !batch.is_empty() {
        let pause = settler.try_once(queue_id, &mut batch, &mut unknown);
        if pause.is_some() {
            others(true);
        }
    }
}

/// Goes one way to its end, and checks what came of it.
fn go(scene: Scene) {
    let Parts {
        shared,
        store,
        queue_id,
        fetch,
        handler,
        jobs,
        results,
        starts,
    } = parts(scene);
    let fetch = Rc::new(RefCell::new(Some(fetch)));
    let mut actors: Vec<Actor> = Vec::new();
    let mut actor = |steps: usize, act: Act| {
        let act = Some(act);
        actors.push(Actor { act, steps });
    };
    let fetching = Rc::clone(&fetch);
    actor(
        scene.fetches,
        Box::new(move || {
            let mut fetch = fetching.borrow_mut();
            let fetch = fetch.as_mut().unwrap();
            if !fetch.shared.is_stopping() {
                fetch.fetch(0, 10).unwrap();
            }
        }),
    );
    for handled in scene.handled {
        let (shared, handler) = (Arc::clone(&shared), Arc::clone(&handler));
        let (jobs, finished) = (
            jobs.clone(),
            fetch.borrow().as_ref().unwrap().finished.clone(),
        );
        actor(
            handled,
            Box::new(move || {
                let Handler::One(handler) = &*handler else {
                    panic!("it is one");
                };
                if let Some((held, message)) = jobs.try_recv() {
                    let outcome = match is(Fault::StartsAfterTheStop) {
                        true => {
                            let context = Context {
                                shared: &shared,
                                held: &held,
                            };
                            let _ = handler(message, &context);
                            shared.finished(1);
                            Finished::new(held, Outcome::Archive, None)
                        }
                        false => run::run_one(&shared, handler, (held, message)),
                    };
                    finished.send(outcome).unwrap();
                }
            }),
        );
    }
    let (settling, answers) = (Arc::clone(&shared), results.clone());
    actor(
        scene.settled,
        Box::new(move || settle(&settling, queue_id, &answers)),
    );
    let renewing = Arc::clone(&shared);
    actor(
        scene.renewed,
        Box::new(move || {
            renew::renew(&renewing).unwrap();
        }),
    );
    let (aging, clock) = (Arc::clone(&shared), store.clone());
    actor(
        scene.lapses,
        Box::new(move || {
            clock.advance(HOUR);
            aging.holding.age(HOUR);
        }),
    );
    let stopping = Arc::clone(&shared);
    actor(scene.stops, Box::new(move || stopping.stop.stop()));
    ACTORS.set(actors);

    others(false);
    // No handler is at work any more. The pool ends: what they have not taken goes back.
    ACTORS.set(Vec::new());
    shared.stop.stop();
    fetch.take().unwrap().end();
    settle(&shared, queue_id, &results);
    check(shared.holding.len() == 0, GIVEN_BACK);
    shared.abandon_the_rest();

    let report = shared.reporter.counters.read();
    check(report.fetched == report.settled(), SUM);
    check(store.leased("tasks").is_empty(), NOTHING_LEFT);
    let counts = store.counts("tasks").unwrap();
    check(counts.total() == scene.messages as u64, SUM);
    let all = [store.ready("tasks"), store.archived("tasks")].concat();
    for message in all {
        let (starts, _) = starts
            .lock()
            .unwrap()
            .get(&message.id)
            .copied()
            .unwrap_or_default();
        let charged = usize::try_from(message.attempt).unwrap();
        // A lease that runs out charges its attempt, begun or not.
        let more = scene.lapses * usize::from(charged > starts);
        check(charged <= starts + more && charged >= starts, CHARGED);
    }
}

/// Goes all ways; the rule that one of them breaks, or how many there are.
fn all_ways(scene: Scene, fault: Option<Fault>) -> std::result::Result<usize, &'static str> {
    WAYS.set(Rc::default());
    FAULT.set(fault);
    BROKEN.set(None);
    for count in 1.. {
        go(scene);
        let ways = WAYS.with_borrow(Rc::clone);
        if let Some(rule) = BROKEN.get() {
            println!(
                "{fault:?}: broken on way {count}: {rule}: {:?}",
                ways.choices.borrow()
            );
            return Err(rule);
        }
        if !ways.next() {
            println!("{scene:?}: {count} ways");
            return Ok(count);
        }
    }
    unreachable!("there is an end")
}

/// A stop at any moment.
const STOP: Scene = Scene {
    messages: 2,
    fetches: 2,
    handled: [1, 1],
    settled: 1,
    renewed: 0,
    lapses: 0,
    stops: 1,
    lost_answer: None,
};

/// A release whose answer is lost; by then the message may be there again.
const UNKNOWN: Scene = Scene {
    messages: 1,
    fetches: 2,
    handled: [1, 1],
    settled: 2,
    lost_answer: Some(Call::Release),
    stops: 0,
    ..STOP
};

/// A lease that runs out at any moment, and the pool gets it again.
const LAPSE: Scene = Scene {
    messages: 1,
    fetches: 2,
    handled: [1, 1],
    settled: 1,
    lapses: 1,
    stops: 0,
    ..STOP
};

/// The same, while leases are renewed.
const RENEWED: Scene = Scene {
    handled: [1, 0],
    renewed: 1,
    ..LAPSE
};

#[test]
fn a_stop_at_any_moment() {
    all_ways(STOP, None).unwrap();
}

#[test]
fn an_answer_that_is_lost() {
    all_ways(UNKNOWN, None).unwrap();
}

#[test]
fn a_lease_that_runs_out() {
    all_ways(LAPSE, None).unwrap();
}

#[test]
fn a_lease_that_runs_out_while_it_is_renewed() {
    all_ways(RENEWED, None).unwrap();
}

#[test]
fn finds_each_fault_by_its_rule() {
    for (scene, fault, rule) in [
        (STOP, Fault::StopDropsTheQueued, GIVEN_BACK),
        (UNKNOWN, Fault::RepeatsUnderTheNewerReceipt, CHARGED),
        (LAPSE, Fault::StartsWhatItHolds, AT_ONCE),
        (STOP, Fault::ChargesWhatIsGivenBack, CHARGED),
        (STOP, Fault::StartsAfterTheStop, STOPPED),
    ] {
        assert_eq!(all_ways(scene, Some(fault)), Err(rule), "{fault:?}");
    }
}
