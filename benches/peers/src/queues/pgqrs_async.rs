//! The async library of the same name, of another author: pgqrs 0.15.3.

use std::str::FromStr;
use std::sync::Arc;

use pgqrs_async::store::AnyStore;
use pgqrs_async::store::postgres::PostgresStore;
use postgres::{Client, NoTls};
use sqlx_08::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::runtime::Runtime;

use super::{Queue, json_text};
use crate::Result;
use crate::drive::{Done, Drain, Enqueue};
use crate::load::Load;
use crate::moments::Moments;
use crate::server::Database;
use crate::tasks;

pub(super) struct PgqrsAsync {
    runtime: Runtime,
    url: String,
}

impl PgqrsAsync {
    pub(super) fn install(db: &Database) -> Result<Self> {
        let runtime = Runtime::new()?;
        let url = db.url.clone();
        let queue = Self { runtime, url };
        queue.runtime.block_on(async {
            let (pool, store) = queue.store(1).await?;
            tasks::install(&store).await?;
            pool.close().await;
            Ok::<_, crate::Error>(())
        })?;
        Ok(queue)
    }

    /// A store on a pool of our own making: its own one asks a connection whether it lives
    /// before each use.
    async fn store(&self, connections: usize) -> Result<(PgPool, AnyStore)> {
        let connections = u32::try_from(connections)?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(connections)
            .test_before_acquire(false)
            .connect_with(PgConnectOptions::from_str(&self.url)?)
            .await?;
        let store = PostgresStore::new(pool.clone(), &tasks::config(&self.url));
        Ok((pool, AnyStore::Postgres(store)))
    }
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
        let (pool, store) = self.runtime.block_on(self.store(1))?;
        let done = tasks::enqueue(&self.runtime, &store, enqueue);
        self.runtime.block_on(pool.close());
        done
    }

    /// With them its dequeue is planned another way, which was slower in most cells.
    fn wants_statistics(&self) -> bool {
        false
    }

    fn drain(&mut self, drain: &Drain) -> Result<Done> {
        self.runtime.block_on(async {
            let (pool, store) = self.store(drain.consumers + 1).await?;
            let done = tasks::drain(&store, drain).await?;
            pool.close().await;
            Ok(done)
        })
    }

    /// Its polling loop, at its default interval of 250 ms.
    fn latency(&mut self, moments: &Arc<Moments>) -> Result<bool> {
        let (pool, store) = self.runtime.block_on(self.store(4))?;
        let consumer = self.runtime.block_on(tasks::consumer(&store))?;
        let producer = self.runtime.block_on(tasks::producer(&store))?;
        let begun = Arc::clone(moments);
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
                .poll(&store)
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
        self.runtime.block_on(pool.close());
        sent?;
        Ok(true)
    }
}
