//! The producer and the consumers of pgqrs 0.15.3, a task each, over any of its stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pgqrs_async::store::AnyStore;
use pgqrs_async::{Config, Consumer, Producer};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::Result;
use crate::drive::{self, Done, Drain, Enqueue};

pub(crate) const QUEUE: &str = "peers";
/// Seconds.
const LOCK_TIME: u32 = 60;

/// Its settings, without the limit to enqueues per second: 1,000 unless it is switched off.
pub(crate) fn config(dsn: &str) -> Config {
    let mut config = Config::from_dsn(dsn);
    config.validation_config.max_enqueue_per_second = None;
    config
}

pub(crate) async fn install(store: &AnyStore) -> Result<()> {
    pgqrs_async::admin(store).install().await?;
    pgqrs_async::admin(store).create_queue(QUEUE).await?;
    Ok(())
}

pub(crate) async fn consumer(store: &AnyStore) -> Result<Consumer> {
    Ok(pgqrs_async::consumer(&name(), QUEUE).create(store).await?)
}

pub(crate) async fn producer(store: &AnyStore) -> Result<Producer> {
    Ok(pgqrs_async::producer(&name(), QUEUE).create(store).await?)
}

/// Workers have names of their own.
fn name() -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    format!("peers-{}", NAMES.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn enqueue(runtime: &Runtime, store: &AnyStore, put: &Enqueue<'_>) -> Result<Done> {
    let producer = runtime.block_on(producer(store))?;
    drive::batches(put, |batch| {
        let payloads = &put.load.values[batch];
        runtime.block_on(async {
            match payloads {
                [payload] if put.batch == 1 => drop(producer.enqueue(payload).await?),
                _ => drop(producer.batch_enqueue(payloads).await?),
            }
            Ok(())
        })
    })
}

pub(crate) async fn drain(store: &AnyStore, drain: &Drain) -> Result<Done> {
    let mut consumers = Vec::new();
    for _ in 0..drain.consumers {
        consumers.push(consumer(store).await?);
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
    Ok(Done {
        messages,
        took,
        cut_off: messages < drain.messages as u64,
        in_the_end: messages,
    })
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
