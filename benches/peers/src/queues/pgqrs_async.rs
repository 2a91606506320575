//! The async library of the same name, of another author: pgqrs 0.15.3.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pgqrs_async::store::AnyStore;
use pgqrs_async::store::postgres::PostgresStore;
use pgqrs_async::{Config, Consumer, Producer};
use postgres::{Client, NoTls};
use sqlx_08::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::{Queue, json_text};
use crate::Result;
use crate::drive::{self, Done, Drain, Enqueue};
use crate::load::Load;
use crate::moments::Moments;
use crate::server::Database;

const QUEUE: &str = "peers";
/// Seconds.
const LOCK_TIME: u32 = 60;

pub(super) struct PgqrsAsync {
    runtime: Runtime,
    url: String,
    /// Workers have names of their own.
    names: AtomicUsize,
}

impl PgqrsAsync {
    pub(super) fn install(db: &Database) -> Result<Self> {
        let runtime = Runtime::new()?;
        let url = db.url.clone();
        runtime.block_on(async {
            let store = pgqrs_async::connect(&url).await?;
            pgqrs_async::admin(&store).install().await?;
            pgqrs_async::admin(&store).create_queue(QUEUE).await?;
            close(&store).await;
            Ok::<_, pgqrs_async::Error>(())
        })?;
        Ok(Self {
            runtime,
            url,
            names: AtomicUsize::new(0),
        })
    }

    /// A store on a pool of our own making: its own one asks a connection whether it lives
    /// before each use. And no limit to enqueues per second, which is 1,000 unless it is
    /// switched off.
    async fn store(&self, connections: usize) -> Result<AnyStore> {
        let connections = u32::try_from(connections)?;
        let mut config = Config::from_dsn(&self.url);
        config.validation_config.max_enqueue_per_second = None;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(connections)
            .test_before_acquire(false)
            .connect_with(PgConnectOptions::from_str(&self.url)?)
            .await?;
        Ok(AnyStore::Postgres(PostgresStore::new(pool, &config)))
    }

    fn name(&self) -> String {
        format!("peers-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    async fn consumer(&self, store: &AnyStore) -> Result<Consumer> {
        Ok(pgqrs_async::consumer(&self.name(), QUEUE)
            .create(store)
            .await?)
    }

    async fn producer(&self, store: &AnyStore) -> Result<Producer> {
        Ok(pgqrs_async::producer(&self.name(), QUEUE)
            .create(store)
            .await?)
    }
}

async fn close(store: &AnyStore) {
    let AnyStore::Postgres(store) = store;
    store.pool().close().await;
}

/// What all consumers of a drain know.
#[derive(Default)]
struct Shared {
    done: AtomicU64,
    stop: AtomicBool,
}

/// One consumer: as `drive::threads`, as a task.
async fn consume(
    consumer: Consumer,
    drain: Drain,
    began: Instant,
    shared: Arc<Shared>,
) -> Result<()> {
    while !shared.stop.load(Ordering::Relaxed) {
        let messages = consumer
            .dequeue_many_with_delay(drain.batch, LOCK_TIME)
            .await?;
        let mut count = 0;
        if !messages.is_empty() {
            let ids = messages.iter().map(|message| message.id).collect();
            let archived = consumer.archive_many(ids).await?;
            count = archived.into_iter().filter(|archived| *archived).count() as u64;
        }
        let all = shared.done.fetch_add(count, Ordering::Relaxed) + count;
        if all >= drain.messages as u64 || began.elapsed() >= drain.limit {
            shared.stop.store(true, Ordering::Relaxed);
        } else if count == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(())
}

impl Queue for PgqrsAsync {
    fn tables(&self) -> &'static str {
        // The second one refers to the first.
        "pgqrs_messages, pgqrs_workflow_runs, pgqrs_workflow_steps"
    }

    fn waiting(&self) -> &'static str {
        "SELECT count(*) FROM pgqrs_messages WHERE archived_at IS NULL"
    }

    fn done(&self) -> Option<&'static str> {
        Some("SELECT count(*) FROM pgqrs_messages WHERE archived_at IS NOT NULL")
    }

    /// By plain SQL, in the form that it would write itself: its own way reads every message
    /// back, which takes a multiple of the time at a million.
    fn prefill(&mut self, messages: usize, load: &Load) -> Result<()> {
        let mut client = Client::connect(&self.url, NoTls)?;
        let insert = client.prepare(
            "INSERT INTO pgqrs_messages (queue_id, payload, read_ct, enqueued_at, vt)
             SELECT (SELECT id FROM pgqrs_queues WHERE queue_name = 'peers'), payload, 0, now(), now()
             FROM unnest($1::jsonb[]) AS payload",
        )?;
        for batch in Load::batches(messages, 1_000) {
            client.execute(&insert, &[&json_text::all(&load.texts[batch])])?;
        }
        Ok(())
    }

    fn enqueue(&mut self, enqueue: &Enqueue<'_>) -> Result<Done> {
        let store = self.runtime.block_on(self.store(1))?;
        let producer = self.runtime.block_on(self.producer(&store))?;
        let done = drive::batches(enqueue, |batch| {
            let payloads = &enqueue.load.values[batch];
            self.runtime.block_on(async {
                match payloads {
                    [payload] if enqueue.batch == 1 => drop(producer.enqueue(payload).await?),
                    _ => drop(producer.batch_enqueue(payloads).await?),
                }
                Ok(())
            })
        });
        self.runtime.block_on(close(&store));
        done
    }

    /// With them its dequeue is planned another way, which was slower in most cells.
    fn wants_statistics(&self) -> bool {
        false
    }

    fn drain(&mut self, drain: &Drain) -> Result<Done> {
        self.runtime.block_on(async {
            let store = self.store(drain.consumers + 1).await?;
            let mut consumers = Vec::new();
            for _ in 0..drain.consumers {
                consumers.push(self.consumer(&store).await?);
            }
            let shared = Arc::new(Shared::default());
            let began = Instant::now();
            let mut tasks = JoinSet::new();
            for consumer in consumers {
                tasks.spawn(consume(consumer, *drain, began, Arc::clone(&shared)));
            }
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            let took = began.elapsed();
            let messages = shared.done.load(Ordering::Relaxed);
            close(&store).await;
            Ok(Done {
                messages,
                took,
                cut_off: messages < drain.messages as u64,
                in_the_end: messages,
            })
        })
    }

    /// Its polling loop, at its default interval of 250 ms.
    fn latency(&mut self, moments: &Arc<Moments>) -> Result<bool> {
        let store = self.runtime.block_on(self.store(4))?;
        let consumer = self.runtime.block_on(self.consumer(&store))?;
        let producer = self.runtime.block_on(self.producer(&store))?;
        let (begun, polled) = (Arc::clone(moments), store.clone());
        let waiting = self.runtime.spawn(async move {
            let handler = move |messages: Vec<pgqrs_async::QueueMessage>| {
                messages
                    .iter()
                    .for_each(|message| begun.begins(&message.payload));
                async { Ok(()) }
            };
            pgqrs_async::dequeue()
                .worker(&consumer)
                .batch(100)
                .handle_batch(handler)
                .poll(&polled)
                .await
        });
        let sent = moments.send(|_, payload| {
            self.runtime.block_on(producer.enqueue(payload))?;
            Ok(())
        });
        if waiting.is_finished() {
            self.runtime.block_on(waiting)??;
        } else {
            waiting.abort();
        }
        self.runtime.block_on(close(&store));
        sent?;
        Ok(true)
    }
}
