//! Nobody is notified when nobody waits, and nobody waits where nothing would be heard.

use std::time::Duration;

use pgqrs::{Context, PgStore, Producer, Store, WorkerPool, WorkerPoolBuilder};
use postgres::Client;
use serde_json::Value;

use crate::ear::{Ear, wait_until_nobody_waits, waiting};
use crate::pg::Pg;
use crate::proxy::DeafProxy;
use crate::reconnect::named_store;
use pgqrs_test_support::{MINUTE, wait_until};
use pgqrs_tests::sleeper::Sleeper;
use pgqrs_tests::told::{Event, Told};

/// Enqueues a hundred messages, and returns what a session heard that listens.
fn heard_of_a_hundred(pg: &Pg, ear: &mut Ear) -> usize {
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    for number in 0..100 {
        producer.enqueue(&number).unwrap();
    }
    ear.heard().len()
}

#[test]
fn nobody_is_notified_before_a_pool_waits_nor_after_it() {
    let pg = Pg::with_tasks();
    let (mut ear, mut client) = (Ear::new(&pg), pg.client());
    assert_eq!(heard_of_a_hundred(&pg, &mut ear), 0);

    let sleeper = Sleeper::on(&pg.store);
    assert_eq!(waiting(&mut client).len(), 1);
    assert!(heard_of_a_hundred(&pg, &mut ear) > 0);

    let report = sleeper.pool.shutdown(MINUTE).unwrap();
    assert_eq!(report.fetched, report.settled());
    wait_until_nobody_waits(&mut client);
    ear.heard(); // of what the pool gave back
    assert_eq!(heard_of_a_hundred(&pg, &mut ear), 0);
}

/// A pool that finds something whenever it looks does not wait.
#[test]
fn nobody_is_notified_while_the_pool_is_busy() {
    let pg = Pg::with_tasks();
    let (mut ear, mut client) = (Ear::new(&pg), pg.client());
    let (go_on, gate) = crossbeam_channel::unbounded::<()>();
    let sleeper = Sleeper::with(&pg.store, |pool| {
        pool.threads(1)
            .prefetch(0)
            .handle(move |_: Value, _: &Context| {
                gate.recv()?;
                Ok(())
            })
    });
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    producer.batch_enqueue(0..10).unwrap();
    assert_eq!(ear.heard(), ["ready"]);
    for _ in 0..5 {
        go_on.send(()).unwrap();
    }
    // The sixth is at work.
    let counters = sleeper.pool.counters();
    assert!(counters.wait(MINUTE, |seen| seen.started == 6));
    wait_until_nobody_waits(&mut client);
    assert_eq!(heard_of_a_hundred(&pg, &mut ear), 0);
    for _ in 5..110 {
        go_on.send(()).unwrap();
    }
    assert!(counters.wait(MINUTE, |seen| seen.finished == 110));
    // And waits again once it has nothing to do.
    sleeper.told.armed();
    producer.enqueue("wakes").unwrap();
    assert_eq!(ear.heard(), ["ready"]);
    go_on.send(()).unwrap();
    assert!(counters.wait(MINUTE, |seen| seen.finished == 111));
}

/// Nor one that has no room, because its handlers take their time.
#[test]
fn nobody_is_notified_while_the_pool_is_full() {
    let pg = Pg::with_tasks();
    pg.store.create_queue("others").unwrap();
    let (mut ear, mut client) = (Ear::new(&pg), pg.client());
    let (go_on, gate) = crossbeam_channel::unbounded::<()>();
    let sleeper = Sleeper::with(&pg.store, |pool| {
        pool.queue("others", 1)
            .threads(1)
            .prefetch(0)
            .handle(move |_: Value, _: &Context| {
                let _ = gate.recv();
                Ok(())
            })
    });
    Producer::new(&pg.store, "others")
        .unwrap()
        .enqueue("long")
        .unwrap();
    wait_until_nobody_waits(&mut client);
    assert_eq!(heard_of_a_hundred(&pg, &mut ear), 0);
    // It finds them by itself once it has room.
    drop(go_on);
    let counters = sleeper.pool.counters();
    assert!(counters.wait(MINUTE, |seen| seen.finished == 101));
    sleeper.told.armed();
    assert_eq!(waiting(&mut client).len(), 1);
}

/// What the sessions of this name did last.
fn statements(client: &mut Client, name: &str) -> Vec<String> {
    let sql = "SELECT query FROM pg_stat_activity WHERE application_name = $1";
    let rows = client.query(sql, &[&name]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Checks that a pool works, and never waits on a session of its own.
fn only_polls(
    store: &PgStore,
    name: &str,
    client: &mut Client,
    set: impl FnOnce(WorkerPoolBuilder) -> WorkerPoolBuilder,
) {
    let told = Told::default();
    let pool = WorkerPool::builder(store.clone(), "tasks")
        .poll_interval(Duration::from_millis(10))
        .events(told.clone())
        .handle(|_: Value, _: &Context| Ok(()));
    let pool = set(pool).start().unwrap();
    let producer = Producer::new(store, "tasks").unwrap();
    for count in 1..=3 {
        let moment = told.now();
        told.since(moment, &Event::Asleep(false));
        producer.enqueue(&count).unwrap();
        let counters = pool.counters();
        assert!(counters.wait(MINUTE, |seen| seen.finished == count));
        assert!(waiting(client).is_empty());
    }
    let said = statements(client, name).join("\n");
    assert!(
        !said.contains("LISTEN") && !said.contains("pgqrs_wait"),
        "{said}"
    );
    assert_eq!(told.asleep(true), 0);
    pool.shutdown(MINUTE).unwrap();
}

#[test]
fn a_pool_that_is_to_poll_has_no_session_that_listens() {
    let (pg, mut client) = named_store("pgqrs_poll_only");
    only_polls(
        &pg.store,
        "pgqrs_poll_only",
        &mut client,
        WorkerPoolBuilder::poll_only,
    );
}

#[test]
fn where_nothing_stays_on_a_session_nobody_listens() {
    let (pg, mut client) = named_store("pgqrs_unprepared");
    let store = pg.another(|builder| builder.prepared_statements(false));
    only_polls(&store, "pgqrs_unprepared", &mut client, |pool| pool);
}

/// Else the lock of one who waits in vain would have everybody notify, and behind a pooler
/// it would stay on a session that others get.
#[test]
fn a_pool_whose_notifications_do_not_arrive_polls_and_says_nowhere_that_it_waits() {
    let pg = Pg::with_tasks();
    let proxy = DeafProxy::start(pg.schema.dsn());
    let store = PgStore::builder(&proxy.dsn())
        .schema(pg.schema.name())
        .build()
        .unwrap();
    let told = Told::default();
    let pool = WorkerPool::builder(store, "tasks")
        .poll_interval(Duration::from_millis(10))
        .events(told.clone())
        .handle(|_: Value, _: &Context| Ok(()))
        .start()
        .unwrap();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let (mut ear, mut client) = (Ear::new(&pg), pg.client());
    let counters = pool.counters();
    producer.enqueue("while it is greeted").unwrap();
    assert!(counters.wait(MINUTE, |seen| seen.finished == 1));

    wait_until("the greeting to get lost", MINUTE, || proxy.kept() > 0);
    // Its session ends when it has given up, whatever it did before.
    wait_until("the deaf session to end", MINUTE, || {
        assert!(waiting(&mut client).is_empty());
        proxy.ended() > 0
    });
    producer.enqueue("when it has given up").unwrap();
    assert!(counters.wait(MINUTE, |seen| seen.finished == 2));
    assert_eq!(told.asleep(true), 0);
    assert!(ear.heard().is_empty());
    pool.shutdown(MINUTE).unwrap();
}

/// Who goes on listening without reading holds up what the whole server keeps for its
/// listeners.
#[test]
fn who_waits_no_more_does_not_listen() {
    let pg = Pg::with_tasks();
    let mut client = pg.client();
    let mut listens_and_waits = |sql: &str| -> (bool, bool) {
        client.batch_execute(sql).unwrap();
        let sql =
            "SELECT EXISTS (SELECT FROM pg_listening_channels() c WHERE c = pgqrs_channel(1))";
        let listens = client.query_one(sql, &[]).unwrap().get(0);
        (listens, !waiting(&mut client).is_empty())
    };
    assert_eq!(listens_and_waits("SELECT pgqrs_wait(1)"), (true, true));
    let no_more = "SELECT pgqrs_wait_no_more(1)";
    assert_eq!(listens_and_waits(no_more), (false, false));
}
