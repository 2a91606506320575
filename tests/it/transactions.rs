//! The queue's writes and the caller's own, in one transaction of the caller's.

use std::time::Duration;

use pgqrs::{Consumer, ErrorKind, IfNotEmpty, PgStore, Producer, Store};
use postgres::{Client, IsolationLevel};

use crate::pg::Pg;

const HOUR: Duration = Duration::from_secs(3600);

/// A queue with one message, a consumer, and a table of the caller's.
struct Scene {
    producer: Producer<PgStore>,
    consumer: Consumer<PgStore>,
    client: Client,
    pg: Pg,
}

impl Scene {
    fn new() -> Self {
        let pg = Pg::with_tasks();
        let mut client = pg.client();
        client
            .batch_execute("CREATE TABLE effects (id bigint)")
            .unwrap();
        let producer = Producer::new(pg.store.clone(), "tasks").unwrap();
        producer.enqueue("work").unwrap();
        let builder = Consumer::builder(pg.store.clone(), "tasks").lock_time(HOUR);
        Self {
            producer,
            consumer: builder.build().unwrap(),
            client,
            pg,
        }
    }

    /// Rows of the caller's, messages that are archived, messages that are ready.
    fn state(&self) -> (i64, u64, u64) {
        let counts = self.pg.store.counts("tasks").unwrap();
        (
            self.pg.value("SELECT count(*) FROM effects"),
            counts.archived,
            counts.ready,
        )
    }
}

#[test]
fn all_of_it_commits_together() {
    let mut scene = Scene::new();
    let message = scene.consumer.dequeue().unwrap().remove(0);
    let mut tx = scene.client.transaction().unwrap();
    tx.execute("INSERT INTO effects VALUES ($1)", &[&message.id])
        .unwrap();
    scene.producer.enqueue_in(&mut tx, "next").unwrap();
    scene
        .producer
        .batch_enqueue_in(&mut tx, ["a", "b"])
        .unwrap();
    assert!(scene.consumer.archive_in(&mut tx, &message).unwrap());
    tx.commit().unwrap();
    assert_eq!(scene.state(), (1, 1, 3));
}

#[test]
fn all_of_it_rolls_back_together() {
    let mut scene = Scene::new();
    let message = scene.consumer.dequeue().unwrap().remove(0);
    let mut tx = scene.client.transaction().unwrap();
    tx.execute("INSERT INTO effects VALUES ($1)", &[&message.id])
        .unwrap();
    scene.producer.enqueue_in(&mut tx, "next").unwrap();
    assert!(scene.consumer.delete_in(&mut tx, &message).unwrap());
    drop(tx);
    assert_eq!(scene.state(), (0, 0, 0));
    assert!(
        scene.consumer.archive(&message).unwrap(),
        "it is still held"
    );
}

#[test]
fn a_lost_lease_is_told_in_time_to_roll_back() {
    let mut scene = Scene::new();
    let message = scene.consumer.dequeue().unwrap().remove(0);
    scene.consumer.release(&message, Duration::ZERO).unwrap();
    let newer = scene.consumer.dequeue().unwrap().remove(0);
    let mut tx = scene.client.transaction().unwrap();
    tx.execute("INSERT INTO effects VALUES ($1)", &[&message.id])
        .unwrap();
    assert!(!scene.consumer.archive_in(&mut tx, &message).unwrap());
    tx.rollback().unwrap();
    assert_eq!(scene.state(), (0, 0, 0));
    assert!(scene.consumer.archive(&newer).unwrap());
}

#[test]
fn a_bare_client_gets_all_of_a_large_batch_or_nothing() {
    let mut scene = Scene::new();
    // The server refuses the last one, long after the first statement.
    scene
        .client
        .batch_execute("ALTER TABLE pgqrs_messages ADD CHECK (payload::text <> '\"bad\"')")
        .unwrap();
    let payloads = std::iter::repeat_n("good", 10_000).chain(["bad"]);
    let error = scene
        .producer
        .batch_enqueue_in(&mut scene.client, payloads)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected, "{error}");
    assert_eq!(scene.state(), (0, 0, 1));
}

#[test]
fn an_older_snapshot_cannot_put_a_message_into_a_deleted_queue() {
    let mut scene = Scene::new();
    let builder = scene.client.build_transaction();
    let mut tx = builder
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .unwrap();
    tx.query("SELECT FROM effects", &[]).unwrap(); // takes the snapshot
    scene
        .pg
        .store
        .delete_queue("tasks", IfNotEmpty::Delete)
        .unwrap();
    let error = scene.producer.enqueue_in(&mut tx, "lost").unwrap_err();
    assert!(error.is_transient(), "{error}");
    drop(tx);
    assert_eq!(
        scene.pg.value::<i64>("SELECT count(*) FROM pgqrs_messages"),
        0
    );
}

#[test]
fn the_store_is_read_committed_whatever_the_servers_default() {
    let pg = Pg::with_tasks();
    let dsn = pg.schema.dsn();
    let separator = if dsn.contains('?') { '&' } else { '?' };
    let serializable = "options=-c%20default_transaction_isolation%3Dserializable";
    let store = PgStore::builder(&format!("{dsn}{separator}{serializable}"))
        .schema(pg.schema.name())
        .build()
        .unwrap();
    Producer::new(&store, "tasks")
        .unwrap()
        .batch_enqueue(0..2_000)
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let consumer = Consumer::builder(&store, "tasks")
                    .batch(10)
                    .build()
                    .unwrap();
                while store.counts("tasks").unwrap().unfinished() > 0 {
                    let messages = consumer.dequeue().unwrap();
                    consumer.archive_many(&messages).unwrap();
                }
            });
        }
    });
    assert_eq!(store.counts("tasks").unwrap().archived, 2_000);
}
