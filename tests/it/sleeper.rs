//! A pool that sleeps until it is woken, and sessions that see whether anybody does.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use pgqrs::{Context, PgStore, WorkerPool, WorkerPoolBuilder};
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use serde_json::Value;

use crate::pg::Pg;
use crate::support::wait_until;
use crate::told::{MINUTE, Told};

/// No pool looks by itself within this.
const NEVER: Duration = Duration::from_secs(3_600);

/// A pool on the queue "tasks" that only a notification wakes.
pub(crate) struct Sleeper {
    pub(crate) pool: WorkerPool,
    pub(crate) told: Told,
    handled: Receiver<Value>,
}

impl Sleeper {
    /// Starts it, and waits until it sleeps.
    #[track_caller]
    pub(crate) fn on(store: &PgStore) -> Self {
        Self::with(store, |pool| pool)
    }

    #[track_caller]
    pub(crate) fn with(
        store: &PgStore,
        set: impl FnOnce(WorkerPoolBuilder) -> WorkerPoolBuilder,
    ) -> Self {
        let (sender, handled) = channel();
        let told = Told::default();
        let pool = WorkerPool::builder(store.clone(), "tasks")
            .threads(2)
            .poll_interval(NEVER)
            .lock_time(MINUTE)
            .events(told.clone())
            .handle(move |payload: Value, _: &Context| {
                sender.send(payload)?;
                Ok(())
            });
        let pool = set(pool).start().unwrap();
        told.armed();
        Self {
            pool,
            told,
            handled,
        }
    }

    /// Waits for the next message, and until the pool sleeps again.
    #[track_caller]
    pub(crate) fn next(&self) -> Value {
        match self.handled.recv_timeout(MINUTE) {
            Ok(payload) => {
                self.told.armed();
                payload
            }
            Err(RecvTimeoutError::Timeout) => panic!("nobody woke the pool"),
            Err(RecvTimeoutError::Disconnected) => panic!("the pool has ended"),
        }
    }

    /// Whether nothing was handled that was not asked for.
    pub(crate) fn is_idle(&self) -> bool {
        self.handled.try_recv().is_err()
    }
}

/// The sessions that say they wait for queue 1.
pub(crate) fn waiting(client: &mut Client) -> Vec<i32> {
    let sql = "SELECT pid FROM pg_locks
               WHERE locktype = 'advisory' AND objsubid = 1 AND granted
                 AND (classid::bigint << 32) | objid::bigint = pgqrs_wait_key(1)";
    let rows = client.query(sql, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Waits until nobody waits for queue 1.
#[track_caller]
pub(crate) fn wait_until_nobody_waits(client: &mut Client) {
    wait_until("the advisory lock to be given back", MINUTE, || {
        waiting(client).is_empty()
    });
}

/// A session that listens by hand to what is said of queue 1.
pub(crate) struct Ear {
    listening: Client,
    speaking: Client,
}

impl Ear {
    pub(crate) fn new(pg: &Pg) -> Self {
        let mut listening = pg.client();
        let sql = "DO $$ BEGIN EXECUTE 'LISTEN ' || pgqrs_channel(1); END $$; LISTEN the_end";
        listening.batch_execute(sql).unwrap();
        Self {
            listening,
            speaking: pg.client(),
        }
    }

    /// Takes what has come of all that was committed by now. Notifications arrive in the
    /// order of the commits, so one of our own tells when that is all.
    pub(crate) fn heard(&mut self) -> Vec<String> {
        // All ears of a test run hear it: the session's number tells ours.
        let sql = "SELECT pg_notify('the_end', pg_backend_pid()::text), pg_backend_pid()";
        let ours: i32 = self.speaking.query_one(sql, &[]).unwrap().get(1);
        let mut notifications = self.listening.notifications();
        let mut all = notifications.timeout_iter(MINUTE);
        let mut heard = Vec::new();
        loop {
            let next = all.next().unwrap().expect("our own notification is lost");
            if next.channel() != "the_end" {
                heard.push(next.payload().to_owned());
            } else if next.payload() == ours.to_string() {
                return heard;
            }
        }
    }
}
