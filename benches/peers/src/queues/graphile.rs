//! `graphile_worker`: its own worker, with what its documentation and its benchmark switch on for
//! throughput: a local queue that fetches many jobs at once, and batched completion.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, Worker, WorkerContext,
    WorkerOptions, WorkerUtils,
};
use postgres::{Client, NoTls};
use serde::{Deserialize, Serialize};
use sqlx_09::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::runtime::Runtime;

use super::{Queue, json_text};
use crate::Result;
use crate::drive::{self, Done, Drain, Enqueue};
use crate::load::Load;
use crate::moments::Moments;
use crate::server::Database;

const SCHEMA: &str = "graphile_worker";
/// Jobs at once, per consumer, where jobs are fetched in batches. The best of 10, 50 and 250.
const CONCURRENCY: usize = 50;
/// The same where they are fetched one by one. Each fetch waits for a turn, and a turn is an
/// interval of polling: so short an interval, and so many at once, that nobody waits.
const CONCURRENCY_ONE_BY_ONE: usize = 16;
const TURNS: Duration = Duration::from_millis(1);
/// What its benchmark takes, for polling and for completing in batches.
const OFTEN: Duration = Duration::from_millis(5);
const WAITING: &str = "SELECT count(*) FROM graphile_worker._private_jobs";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    p: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<usize>,
}

/// What handlers reach.
#[derive(Clone, Debug)]
struct Seen {
    handled: Arc<AtomicU64>,
    moments: Option<Arc<Moments>>,
}

impl TaskHandler for Job {
    const IDENTIFIER: &'static str = "peers";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(seen) = context.get_ext::<Seen>() {
            if let (Some(moments), Some(number)) = (&seen.moments, self.n) {
                moments.begins_number(number);
            }
            seen.handled.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<(), String>(())
    }
}

pub(super) struct Graphile {
    runtime: Runtime,
    url: String,
}

impl Graphile {
    pub(super) fn install(db: &Database) -> Result<Self> {
        let queue = Self {
            runtime: Runtime::new()?,
            url: db.url.clone(),
        };
        queue.runtime.block_on(async {
            let pool = queue.pool(2).await?;
            // Also makes the task known that the prefill refers to.
            let seen = Seen {
                handled: Arc::default(),
                moments: None,
            };
            drop(queue.options(&pool, &seen).init().await?);
            pool.close().await;
            Ok::<_, crate::Error>(())
        })?;
        Ok(queue)
    }

    /// A pool that asks no connection whether it lives before each use.
    async fn pool(&self, connections: u32) -> Result<PgPool> {
        Ok(PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(connections)
            .test_before_acquire(false)
            .connect_with(PgConnectOptions::from_str(&self.url)?)
            .await?)
    }

    fn options(&self, pool: &PgPool, seen: &Seen) -> WorkerOptions {
        WorkerOptions::default()
            .pg_pool(pool.clone())
            .schema(SCHEMA)
            .listen_os_shutdown_signals(false)
            .add_extension(seen.clone())
            .define_job::<Job>()
    }

    /// Starts it, and returns what ends it.
    fn start(&self, worker: &Arc<Worker>) -> tokio::task::JoinHandle<Result<()>> {
        let worker = Arc::clone(worker);
        self.runtime.spawn(async move { Ok(worker.run().await?) })
    }
}

impl Queue for Graphile {
    fn tables(&self) -> &'static str {
        "graphile_worker._private_jobs, graphile_worker._private_job_retirements"
    }

    fn waiting(&self) -> &'static str {
        WAITING
    }

    fn done(&self) -> Option<&'static str> {
        None
    }

    /// By plain SQL, in the form that it would write itself.
    fn prefill(&mut self, messages: usize, load: &Load) -> Result<()> {
        let mut client = Client::connect(&self.url, NoTls)?;
        let insert = client.prepare(
            "INSERT INTO graphile_worker._private_jobs (task_id, payload)
             SELECT (SELECT id FROM graphile_worker._private_tasks WHERE identifier = 'peers'), payload::json
             FROM unnest($1::jsonb[]) AS payload",
        )?;
        for batch in Load::batches(messages, 1_000) {
            client.execute(&insert, &[&json_text::all(&load.texts[batch])])?;
        }
        Ok(())
    }

    fn enqueue(&mut self, enqueue: &Enqueue<'_>) -> Result<Done> {
        let pool = self.runtime.block_on(self.pool(1))?;
        let utils = WorkerUtils::new(pool.clone(), SCHEMA);
        let jobs: Vec<Job> = enqueue
            .load
            .values
            .iter()
            .map(|payload| serde_json::from_value(payload.clone()))
            .collect::<std::result::Result<_, _>>()?;
        let spec = JobSpec::default();
        let done = drive::batches(enqueue, |batch| {
            self.runtime.block_on(async {
                match &jobs[batch] {
                    [job] if enqueue.batch == 1 => {
                        drop(utils.add_job(job.clone(), spec.clone()).await?)
                    }
                    jobs => {
                        let jobs: Vec<(Job, &JobSpec)> =
                            jobs.iter().map(|job| (job.clone(), &spec)).collect();
                        utils.add_jobs::<Job>(&jobs).await?;
                    }
                }
                Ok(())
            })
        });
        self.runtime.block_on(pool.close());
        done
    }

    fn drain(&mut self, drain: &Drain) -> Result<Done> {
        let seen = Seen {
            handled: Arc::default(),
            moments: None,
        };
        let mut monitor = Client::connect(&self.url, NoTls)?;
        let count = monitor.prepare(WAITING)?;
        let pool = self.runtime.block_on(self.pool(20))?;
        let mut options = self
            .options(&pool, &seen)
            .poll_interval(OFTEN)
            .complete_job_batch_delay(OFTEN);
        // A local queue of one was slower than none.
        options = if drain.batch > 1 {
            let local = LocalQueueConfig::default()
                .with_size(drain.batch)
                .with_queue_count(drain.consumers);
            options
                .concurrency(drain.consumers * CONCURRENCY)
                .local_queue(local)
        } else {
            options
                .poll_interval(TURNS)
                .concurrency(drain.consumers * CONCURRENCY_ONE_BY_ONE)
        };
        let worker = Arc::new(self.runtime.block_on(options.init())?);

        let began = Instant::now();
        let running = self.start(&worker);
        // Done is what is gone from the table. That is asked when all have been handled, as
        // asking costs something.
        let handled = || seen.handled.load(Ordering::Relaxed);
        while handled() < drain.messages as u64
            && began.elapsed() < drain.limit
            && !running.is_finished()
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (took, left) = loop {
            let took = began.elapsed();
            let left: i64 = monitor.query_one(&count, &[])?.try_get(0)?;
            if left == 0 || took >= drain.limit || running.is_finished() {
                break (
                    if left == 0 { began.elapsed() } else { took },
                    u64::try_from(left)?,
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        worker.request_shutdown();
        self.runtime.block_on(running)??;
        drop(worker);
        self.runtime.block_on(pool.close());
        Ok(Done {
            messages: drain.messages as u64 - left,
            took,
            cut_off: left > 0,
            in_the_end: handled(),
        })
    }

    /// Without a local queue, which trades latency away; with LISTEN, its default.
    fn latency(&mut self, moments: &Arc<Moments>) -> Result<bool> {
        let seen = Seen {
            handled: Arc::default(),
            moments: Some(Arc::clone(moments)),
        };
        let pool = self.runtime.block_on(self.pool(8))?;
        let worker = Arc::new(
            self.runtime
                .block_on(self.options(&pool, &seen).concurrency(4).init())?,
        );
        let running = self.start(&worker);
        let utils = worker.create_utils();
        let sent = moments.send(|number, payload| {
            let job = Job {
                p: payload["p"].as_str().unwrap_or_default().to_owned(),
                n: Some(number),
            };
            self.runtime
                .block_on(utils.add_job(job, JobSpec::default()))?;
            Ok(())
        });
        worker.request_shutdown();
        self.runtime.block_on(running)??;
        drop(worker);
        self.runtime.block_on(pool.close());
        sent?;
        Ok(true)
    }
}
