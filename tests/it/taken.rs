//! Leases that are extended, and messages that are settled, at the very moment when somebody else
//! has them in hand.

use std::thread;
use std::time::{Duration, Instant};

use pgqrs::{Consumer, Message, PgStore, Producer, Store};
use pgqrs_testing::{End, Harness as _};
use postgres::Client;

use crate::pg::Pg;
use pgqrs_test_support::{MINUTE, wait_until};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long an extension waits at most: see schema.sql.
const PATIENCE: Duration = Duration::from_secs(10);

/// As a consumer of another process would, in a transaction that stays open.
const TAKE_OVER: &str = "SELECT FROM pgqrs_dequeue(1, 999, 10, '1 hour')";

/// So many that two of them can be far apart for the server: more than four places each.
const MESSAGES: usize = 10;

/// A queue with some messages, leased for an hour, and a session of somebody else's.
struct Scene {
    pg: Pg,
    consumer: Consumer<PgStore>,
    held: Vec<Message>,
    other: Client,
}

impl Scene {
    fn new() -> Self {
        let pg = Pg::with_tasks();
        let producer = Producer::new(&pg.store, "tasks").unwrap();
        producer.batch_enqueue(0..MESSAGES).unwrap();
        let builder = Consumer::builder(pg.store.clone(), "tasks").lock_time(HOUR);
        let consumer = builder.build().unwrap();
        let held = consumer.dequeue_many(MESSAGES).unwrap();
        let other = pg.client();
        Self {
            pg,
            consumer,
            held,
            other,
        }
    }

    /// Extends the leases by a day while somebody's transaction is open in which this was done;
    /// ends that once the call waits for it. None if the call did not wait for so long, as the
    /// machine is very slow.
    fn extend_meanwhile(&mut self, done: &str, end: End) -> Option<Vec<bool>> {
        let (consumer, held) = (&self.consumer, &self.held[..2]);
        let extend = || {
            let began = Instant::now();
            let answers = consumer.extend_visibility_many(held, DAY);
            (began.elapsed() < PATIENCE).then(|| answers.unwrap())
        };
        meanwhile((&self.pg, &mut self.other), done, end, "PgSleep", extend)
    }

    /// Archives these while somebody's transaction is open in which this was done.
    fn archive_meanwhile(&mut self, places: [usize; 2], done: &str) -> Vec<bool> {
        let consumer = &self.consumer;
        let held = places.map(|at| self.held[at].clone());
        let archive = || consumer.archive_many(&held).unwrap();
        meanwhile(
            (&self.pg, &mut self.other),
            done,
            End::Commit,
            "transactionid",
            archive,
        )
    }

    /// Which can be leased by now: all but those that were extended.
    fn not_extended(&self) -> Vec<usize> {
        let again = self.consumer.dequeue_many(MESSAGES).unwrap();
        let is_again = |at: &usize| again.iter().any(|one| one.id == self.held[*at].id);
        (0..MESSAGES).filter(is_again).collect()
    }

    /// Extends the lease of the first message by two hours, as somebody else would.
    fn extend(&self) -> String {
        let held = &self.held[0];
        format!(
            "SELECT pgqrs_extend_visibility(1, ARRAY[{}], ARRAY[{}], ARRAY[-1], '2 hours')",
            held.id,
            held.worker.unwrap()
        )
    }
}

/// Makes a call while a transaction is open in which this was `done`; ends that once the call
/// waits for it: in the server, for `event`.
fn meanwhile<T: Send>(
    (pg, other): (&Pg, &mut Client),
    done: &str,
    end: End,
    event: &str,
    call: impl FnOnce() -> T + Send,
) -> T {
    let mut tx = other.transaction().unwrap();
    tx.batch_execute(done).unwrap();
    thread::scope(|scope| {
        let called = scope.spawn(call);
        wait_until("a session that waits", MINUTE, || {
            assert!(!called.is_finished(), "it waited for nobody");
            pg.value(&format!(
                "SELECT count(*) > 0 FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event = '{event}'
                   AND query LIKE '%' || current_schema() || '%pgqrs\\_%'"
            ))
        });
        match end {
            End::Commit => tx.commit().unwrap(),
            End::Rollback => tx.rollback().unwrap(),
        }
        called.join().unwrap()
    })
}

/// Sets the scene anew until an extension was quick enough to show what it does.
fn shown(mut act: impl FnMut(&mut Scene) -> Option<Vec<bool>>) -> (Scene, Vec<bool>) {
    loop {
        let mut scene = Scene::new();
        if let Some(answers) = act(&mut scene) {
            return (scene, answers);
        }
    }
}

#[test]
fn a_lease_that_is_being_taken_over_is_not_extended() {
    let (_, answers) = shown(|scene| {
        scene.pg.advance(HOUR);
        scene.extend_meanwhile(TAKE_OVER, End::Commit)
    });
    assert_eq!(answers, [false, false]);
}

/// Taken by a session that fails after all.
#[test]
fn a_lease_that_was_almost_taken_over_is_extended() {
    let (scene, answers) = shown(|scene| {
        scene.pg.advance(HOUR);
        scene.extend_meanwhile(TAKE_OVER, End::Rollback)
    });
    assert_eq!(answers, [true, true]);
    scene.pg.advance(HOUR * 2);
    assert_eq!(scene.not_extended(), Vec::from_iter(2..MESSAGES));
}

/// The pool's renewal and the handler itself, say.
#[test]
fn of_two_extensions_at_once_the_longer_holds() {
    let (scene, answers) = shown(|scene| {
        let shorter = scene.extend();
        scene.extend_meanwhile(&shorter, End::Commit)
    });
    assert_eq!(answers, [true, true]);
    scene.pg.advance(HOUR * 3);
    assert_eq!(scene.not_extended(), Vec::from_iter(2..MESSAGES));
}

/// An abandoned transaction holds up nobody for ever: what is not taken over stays its owner's,
/// what may be is not answered for, and the others are extended.
#[test]
fn a_lock_that_stays_is_not_waited_for() {
    let mut scene = Scene::new();
    let lock = format!(
        "SELECT FROM pgqrs_live WHERE id = {} FOR NO KEY UPDATE",
        scene.held[0].id
    );
    let mut tx = scene.other.transaction().unwrap();
    tx.batch_execute(&lock).unwrap();
    let soon = Duration::from_secs(5);
    let extended = scene
        .consumer
        .extend_visibility_many(&scene.held[..2], soon);
    assert_eq!(extended.unwrap(), [true, true]);
    tx.rollback().unwrap();
    scene.pg.advance(HOUR); // the first one's, which was left as it is, is over
    let mut tx = scene.other.transaction().unwrap();
    tx.batch_execute(&lock).unwrap();
    let extended = scene
        .consumer
        .extend_visibility_many(&scene.held[..2], HOUR * 2);
    assert_eq!(extended.unwrap(), [false, true]);
    tx.rollback().unwrap();
    scene.pg.advance(HOUR + HOUR / 2);
    let others = (2..MESSAGES).collect::<Vec<_>>();
    assert_eq!(scene.not_extended(), [vec![0], others].concat());
}

/// With ids next to each other, and far apart.
const PAIRS: [[usize; 2]; 2] = [[0, 1], [0, MESSAGES - 1]];

#[test]
fn what_is_extended_meanwhile_is_archived_all_the_same() {
    for pair in PAIRS {
        let mut scene = Scene::new();
        let extend = scene.extend();
        assert_eq!(scene.archive_meanwhile(pair, &extend), [true, true]);
        assert_eq!(scene.pg.store.counts("tasks").unwrap().archived, 2);
    }
}

#[test]
fn what_is_taken_over_meanwhile_is_not_archived() {
    for pair in PAIRS {
        let mut scene = Scene::new();
        scene.pg.advance(HOUR);
        assert_eq!(scene.archive_meanwhile(pair, TAKE_OVER), [false, false]);
        assert_eq!(scene.pg.store.counts("tasks").unwrap().archived, 0);
    }
}
