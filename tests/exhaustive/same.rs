//! `SqliteStore` answers as `MockStore` does, to every call in every state.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pgqrs::{IfNotEmpty, MockStore, SqliteStore, Store, span_micros};
use rusqlite::Connection;

use crate::calls::{Side, Step};
use crate::deeper;
use crate::explore::{Broken, World, explore};
use crate::lease::{Bounds, Key, Known, Leases};

const SAME: &str = "both stores answer the same";

/// Moves every moment into the past, as if time had passed.
const ADVANCE: [&str; 4] = [
    "UPDATE pgqrs_live SET vt = vt - ?1",
    "UPDATE pgqrs_scheduled SET vt = vt - ?1",
    "UPDATE pgqrs_messages SET enqueued_at = enqueued_at - ?1",
    "UPDATE pgqrs_queues SET front_vt = front_vt - ?1 WHERE front_vt < 9223372036854775807",
];

/// A file, and how many queues were in it.
struct File {
    store: SqliteStore,
    db: Connection,
    queues: Cell<usize>,
}

/// Both stores at once.
struct Both<'a> {
    mock: Leases<MockStore>,
    real: Side<SqliteStore>,
    file: &'a File,
}

impl<'a> Both<'a> {
    fn new(file: &'a File, bounds: Bounds) -> Self {
        let number = file.queues.replace(file.queues.get() + 1);
        Self {
            mock: Leases::new(|_| MockStore::new(), None, bounds),
            real: Side::new(
                file.store.clone(),
                &format!("queue{number}"),
                bounds.workers,
            ),
            file,
        }
    }

    fn advance(&self, by: Duration) {
        if by >= Duration::from_secs(1) {
            for sql in ADVANCE {
                self.file.db.execute(sql, [span_micros(by)]).unwrap();
            }
        }
    }
}

impl World for Both<'_> {
    type Step = Step;
    type Key = Key;
    type Known = BTreeMap<i64, Known>;

    fn steps(&self) -> Vec<Step> {
        self.mock.steps()
    }

    fn take(&mut self, step: Step) -> Result<(), Broken> {
        let passes = self.mock.passes(step);
        let mut expected = self.mock.step(step)?;
        let mut answer = self.real.call(step);
        for answer in [&mut expected, &mut answer] {
            answer.given.sort_by_key(|given| given.message);
        }
        self.advance(passes);
        let queue = &self.real.queue;
        let counts = self.real.store.counts(queue).unwrap();
        let wanted = self.mock.side.store.counts("tasks").unwrap();
        if (&answer, counts) == (&expected, wanted) {
            return Ok(());
        }
        let text = format!("{answer:?}, {counts:?} and not {expected:?}, {wanted:?}");
        Err(Broken { rule: SAME, text })
    }

    fn key(&self) -> Key {
        self.mock.key()
    }

    fn known(&self) -> BTreeMap<i64, Known> {
        self.mock.known()
    }

    fn repeat(&mut self, steps: &[Step], known: BTreeMap<i64, Known>) {
        for step in steps {
            let passes = self.mock.passes(*step);
            self.mock.repeat(&[*step], known.clone());
            self.real.call(*step);
            self.advance(passes);
        }
        self.mock.repeat(&[], known);
    }

    fn finish(self) -> Result<(), Broken> {
        Ok(())
    }
}

/// What is left would be moved in time with the next one.
impl Drop for Both<'_> {
    fn drop(&mut self) {
        let queue = &self.real.queue;
        self.file
            .store
            .delete_queue(queue, IfNotEmpty::Delete)
            .unwrap();
    }
}

#[test]
fn sqlite_answers_the_same_in_every_state() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.db");
    let builder = SqliteStore::builder(&path).durability(pgqrs::Durability::Normal);
    let file = File {
        store: builder.build().unwrap(),
        db: Connection::open(&path).unwrap(),
        queues: Cell::new(0),
    };
    file.db.busy_timeout(Duration::from_secs(60)).unwrap();
    file.db.execute_batch("PRAGMA synchronous = OFF").unwrap();
    let bounds = Bounds {
        messages: 1,
        workers: 2,
        deliveries: 2 + deeper(),
        // Its file cannot be made to forget.
        crashes: false,
        fine: true,
        // Its clock does not stand still, and what is due is ordered by it.
        tick: Duration::from_millis(1),
    };
    let began = Instant::now();
    let extent = explore(|| Both::new(&file, bounds)).unwrap_or_else(|found| panic!("{found:?}"));
    println!("both: {extent:?} of {bounds:?}, in {:?}", began.elapsed());
}
