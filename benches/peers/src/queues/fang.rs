//! fang: its blocking queue, and what its workers do with each task: fetch it, run it, remove it
//! (its default for finished tasks). One at a time: it has no batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ::fang::{
    FangError, Queue as Tasks, Queueable, Runnable, SleepParams, Worker, run_migrations_postgres,
    typetag,
};
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::{Connection, PgConnection};
use postgres::{Client, NoTls};
use serde::{Deserialize, Serialize};

use super::{Queue, json_text};
use crate::Result;
use crate::drive::{self, Done, Drain, Enqueue};
use crate::load::Load;
use crate::moments::Moments;
use crate::server::Database;

/// The payload. Its JSON gets the name of the type as well: fang finds the handler by it.
#[derive(Serialize, Deserialize)]
struct Job {
    p: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<usize>,
}

#[typetag::serde]
impl Runnable for Job {
    fn run(&self, _: &dyn Queueable) -> std::result::Result<(), FangError> {
        Ok(())
    }
}

pub(super) struct Fang {
    url: String,
}

impl Fang {
    pub(super) fn install(db: &Database) -> Result<Self> {
        run_migrations_postgres(&mut PgConnection::establish(&db.url)?)?;
        Ok(Self {
            url: db.url.clone(),
        })
    }

    /// The pool asks no connection whether it lives: that would be a round trip per call.
    fn tasks(&self, connections: usize) -> Result<Tasks> {
        let pool = Pool::builder()
            .max_size(u32::try_from(connections)?)
            .test_on_check_out(false)
            .build(ConnectionManager::<PgConnection>::new(&self.url))?;
        Ok(Tasks::builder().connection_pool(pool).build())
    }
}

fn job(payload: &serde_json::Value) -> Job {
    Job {
        p: payload["p"].as_str().unwrap_or_default().to_owned(),
        n: payload["n"]
            .as_u64()
            .and_then(|number| usize::try_from(number).ok()),
    }
}

impl Queue for Fang {
    fn tables(&self) -> &'static str {
        "fang_tasks"
    }

    fn waiting(&self) -> &'static str {
        "SELECT count(*) FROM fang_tasks"
    }

    fn done(&self) -> Option<&'static str> {
        None
    }

    /// By plain SQL, in the form that fang itself would write: one at a time would take
    /// longer than the drain.
    fn prefill(&mut self, messages: usize, load: &Load) -> Result<()> {
        let mut client = Client::connect(&self.url, NoTls)?;
        let insert = client.prepare(
            "INSERT INTO fang_tasks (metadata, created_at)
             SELECT payload || '{\"type\": \"Job\"}', clock_timestamp()
             FROM unnest($1::jsonb[]) AS payload",
        )?;
        for batch in Load::batches(messages, 1_000) {
            client.execute(&insert, &[&json_text::all(&load.texts[batch])])?;
        }
        Ok(())
    }

    fn can_enqueue(&self, batch: usize) -> bool {
        batch == 1
    }

    fn enqueue(&mut self, enqueue: &Enqueue<'_>) -> Result<Done> {
        let tasks = self.tasks(1)?;
        drive::batches(enqueue, |one| {
            tasks.insert_task(&job(&enqueue.load.values[one.start]))?;
            Ok(())
        })
    }

    fn can_drain(&self, batch: usize) -> bool {
        batch == 1
    }

    fn drain(&mut self, drain: &Drain) -> Result<Done> {
        let tasks = self.tasks(drain.consumers + 1)?;
        drive::threads(
            drain,
            |_| Ok(Worker::<Tasks>::builder().queue(tasks.clone()).build()),
            |worker| {
                let Some(task) = worker
                    .queue
                    .fetch_and_touch_task(worker.task_type.clone())?
                else {
                    return Ok(0);
                };
                worker.run(&task).map_err(|error| error.description)?;
                Ok(1)
            },
        )
    }

    /// The loop of its worker, with its default sleep (5 s, then longer). Not its pool: that
    /// cannot be stopped.
    fn latency(&mut self, moments: &Arc<Moments>) -> Result<bool> {
        let tasks = self.tasks(2)?;
        let worker = Worker::<Tasks>::builder().queue(tasks.clone()).build();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| -> Result<()> {
                let mut sleep = SleepParams::default();
                while !moments.all_begun() && !stop.load(Ordering::Relaxed) {
                    match worker
                        .queue
                        .fetch_and_touch_task(worker.task_type.clone())?
                    {
                        Some(task) => {
                            sleep.maybe_reset_sleep_period();
                            moments.begins(&task.metadata);
                            worker.run(&task).map_err(|error| error.description)?;
                        }
                        None => {
                            sleep.maybe_increase_sleep_period();
                            thread::sleep(sleep.sleep_period);
                        }
                    }
                }
                Ok(())
            });
            let sent = moments.send(|_, payload| {
                tasks.insert_task(&job(payload))?;
                Ok(())
            });
            stop.store(true, Ordering::Relaxed);
            waiting.join().map_err(|_| "the worker panicked")??;
            sent
        })?;
        Ok(true)
    }
}
