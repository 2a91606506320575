//! More threads than connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use pgqrs::{
    Consumer, Error, ErrorKind, Message, Outcome, PgStore, PgStoreBuilder, Producer, Receipt,
    Settlement, Store,
};

use crate::pg::Pg;
use pgqrs_test_support::{MINUTE, wait_until};

const THREADS: usize = 16;
const HOUR: Duration = Duration::from_secs(3600);
/// Too short for what is blocked, long enough for what is not.
const MOMENT: Duration = Duration::from_secs(2);
/// How many transactions have archived.
const TRANSACTIONS: &str = "SELECT count(DISTINCT xmin::text) FROM pgqrs_done";

/// A queue's messages, leased by a consumer whose store has few connections.
struct Few {
    pg: Pg,
    store: PgStore,
    consumer: Consumer<PgStore>,
    messages: Vec<Message>,
}

impl Few {
    fn new(messages: usize, set: impl FnOnce(PgStoreBuilder) -> PgStoreBuilder) -> Self {
        let pg = Pg::with_tasks();
        let store = pg.another(|builder| set(builder.lock_time(HOUR)));
        store.create_queue("other").unwrap();
        let producer = Producer::new(&store, "tasks").unwrap();
        producer.batch_enqueue(0..messages).unwrap();
        let consumer = Consumer::new(store.clone(), "tasks").unwrap();
        let messages = consumer.dequeue_many(messages).unwrap();
        Self {
            pg,
            store,
            consumer,
            messages,
        }
    }

    /// Has so many connections in use, which are all, until `meanwhile` is over.
    fn in_use(&self, connections: i64, meanwhile: impl FnOnce()) {
        let mut blocker = self.pg.client();
        let mut tx = blocker.transaction().unwrap();
        tx.batch_execute("LOCK TABLE pgqrs_messages").unwrap();
        let producer = Producer::new(&self.store, "other").unwrap();
        thread::scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| producer.enqueue("a").unwrap());
            }
            wait_until("all connections to be in use", MINUTE, || {
                let waiting: i64 = self.pg.value(
                    "SELECT count(*) FROM pg_locks
                     WHERE relation = 'pgqrs_messages'::regclass AND NOT granted",
                );
                waiting == connections
            });
            meanwhile();
            tx.rollback().unwrap();
        });
    }

    /// Archives each message on a thread of its own, which all begin before there is a
    /// connection. Does `meanwhile` when there is one.
    fn archive(&self, connections: i64, meanwhile: impl FnOnce()) -> Vec<Result<bool, Error>> {
        let begun = AtomicUsize::new(0);
        let archive = |message: &Message| {
            begun.fetch_add(1, Ordering::SeqCst);
            self.consumer.archive(message)
        };
        thread::scope(|scope| {
            let mut threads = Vec::new();
            self.in_use(connections, || {
                for message in &self.messages {
                    let archive = &archive;
                    threads.push(scope.spawn(move || archive(message)));
                }
                wait_until("all to have begun", MINUTE, || {
                    begun.load(Ordering::SeqCst) == self.messages.len()
                });
            });
            meanwhile();
            let answers = threads.into_iter().map(|thread| thread.join().unwrap());
            answers.collect()
        })
    }

    fn archived(&self) -> u64 {
        self.pg.store.counts("tasks").unwrap().archived
    }
}

/// What became of all but the first one, and of that.
fn apart(answers: Vec<Result<bool, Error>>) -> (Vec<bool>, Result<bool, Error>) {
    let mut answers = answers.into_iter();
    let first = answers.next().unwrap();
    (answers.map(Result::unwrap).collect(), first)
}

#[test]
fn settlements_that_wait_for_a_connection_are_sent_together() {
    // Not all need have come by the time that the connection is free: then, once more.
    wait_until("one transaction for many threads", MINUTE, || {
        let few = Few::new(THREADS, |builder| builder.pool_size(1));
        let answers = few.archive(1, || {});
        assert!(answers.into_iter().all(Result::unwrap));
        assert_eq!(few.archived(), THREADS as u64);
        few.pg.value::<i64>(TRANSACTIONS) == 1
    });
}

#[test]
fn a_locked_row_does_not_hold_up_the_others() {
    let few = Few::new(THREADS, |builder| builder.pool_size(2));
    let mut blocker = few.pg.client();
    let mut tx = blocker.transaction().unwrap();
    let lock = "SELECT FROM pgqrs_live WHERE id = $1 FOR UPDATE";
    tx.execute(lock, &[&few.messages[0].id]).unwrap();
    let answers = few.archive(2, || {
        wait_until("the others to be archived", MINUTE, || {
            few.archived() == THREADS as u64 - 1
        });
        tx.rollback().unwrap();
    });
    assert!(answers.into_iter().all(Result::unwrap));
}

#[test]
fn what_is_refused_is_refused_for_itself_alone() {
    let few = Few::new(THREADS, |builder| builder.pool_size(1));
    let refuse = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON pgqrs_done FOR EACH ROW WHEN (NEW.id = {})
             EXECUTE FUNCTION refuse()",
        few.messages[0].id
    );
    few.pg.client().batch_execute(&refuse).unwrap();
    let (others, refused) = apart(few.archive(1, || {}));
    assert_eq!(others, [true; THREADS - 1]);
    let error = refused.unwrap_err();
    assert!(error.to_string().contains("not this one"), "{error}");
    assert_eq!(few.archived(), THREADS as u64 - 1);
}

/// All whose call was on it are told so; nobody's is made again by itself, and can be.
#[test]
fn a_connection_that_dies_under_them_is_replaced() {
    let few = Few::new(THREADS, |builder| builder.pool_size(1));
    let end_once = format!(
        "CREATE SEQUENCE sent;
         CREATE FUNCTION end_once() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
             AS $$ BEGIN
                 IF nextval('sent') = 1 THEN
                     PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(60);
                 END IF;
                 RETURN NEW;
             END $$;
         CREATE TRIGGER end_once BEFORE INSERT ON pgqrs_done FOR EACH ROW WHEN (NEW.id = {})
             EXECUTE FUNCTION end_once()",
        few.messages[0].id
    );
    few.pg.client().batch_execute(&end_once).unwrap();
    let answers = few.archive(1, || {});
    let (mut done, mut unknown) = (0, 0);
    for (answer, message) in answers.into_iter().zip(&few.messages) {
        match answer {
            Ok(archived) => {
                assert!(archived);
                done += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::FateUnknown, "{error}");
                assert!(few.consumer.archive(message).unwrap());
                unknown += 1;
            }
        }
    }
    assert!(unknown > 0);
    assert_eq!(done + unknown, THREADS);
    assert_eq!(few.archived(), THREADS as u64);
    assert_eq!(few.pg.value::<i64>("SELECT last_value FROM sent"), 2);
}

#[test]
fn each_is_told_what_became_of_its_own() {
    const EACH: usize = 50;
    let Few {
        pg: _pg,
        store,
        consumer,
        messages,
    } = Few::new(THREADS * EACH, |builder| builder.pool_size(2));
    let outcomes = [
        Outcome::Archive,
        Outcome::Delete,
        Outcome::Release {
            delay: HOUR,
            charged: true,
        },
        Outcome::DeadLetter("why".to_owned()),
    ];
    let done: [AtomicUsize; 4] = Default::default();
    let settled: Vec<AtomicUsize> = messages.iter().map(|_| AtomicUsize::new(0)).collect();
    // Everybody settles its own and, in a race with it, its neighbour's; in batches of 1 to 7.
    let settle = |thread: usize| {
        let own = (0..2 * EACH).map(|at| (thread * EACH + at) % messages.len());
        let places: Vec<usize> = own.collect();
        for (turn, batch) in places.chunks(1 + thread % 7).enumerate() {
            let kind = (thread + turn) % outcomes.len();
            let settlements: Vec<Settlement> = batch
                .iter()
                .map(|place| settlement(&messages[*place], &outcomes[kind]))
                .collect();
            let answers = store.settle(consumer.queue().id, &settlements).unwrap();
            assert_eq!(answers.len(), batch.len());
            for (place, _) in batch.iter().zip(answers).filter(|(_, answer)| *answer) {
                settled[*place].fetch_add(1, Ordering::SeqCst);
                done[kind].fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let settle = &settle;
            scope.spawn(move || settle(thread));
        }
    });
    assert!(
        settled
            .iter()
            .all(|times| times.load(Ordering::SeqCst) == 1)
    );
    let [archived, deleted, scheduled, dead] = done.map(AtomicUsize::into_inner);
    let counts = store.counts("tasks").unwrap();
    let found = [
        counts.archived,
        counts.scheduled,
        counts.dead,
        counts.total(),
    ];
    let told = [archived, scheduled, dead, messages.len() - deleted];
    assert_eq!(found, told.map(|count| count as u64));
    assert_eq!(counts.ready + counts.leased, 0);
}

#[test]
fn who_waits_in_vain_is_told_so() {
    let few = Few::new(THREADS, |builder| {
        builder.pool_size(1).connection_timeout(MOMENT)
    });
    let in_vain = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        let text = error.to_string();
        assert!(text.contains("could not get a connection"), "{text}");
    };
    few.in_use(1, || {
        thread::scope(|scope| {
            scope.spawn(|| in_vain(few.store.queue("tasks").unwrap_err()));
            for message in &few.messages {
                let (few, in_vain) = (&few, &in_vain);
                scope.spawn(move || in_vain(few.consumer.archive(message).unwrap_err()));
            }
        });
    });
    assert_eq!(few.archived(), 0);
    let answers = few.consumer.archive_many(&few.messages).unwrap();
    assert_eq!(answers, [true; THREADS]);
}

fn settlement(message: &Message, outcome: &Outcome) -> Settlement {
    Settlement {
        receipt: Receipt::from(message),
        outcome: outcome.clone(),
    }
}
