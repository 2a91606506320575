//! Being woken: these pools would look again in an hour.

use super::*;

/// A pool that has found nothing, and sleeps.
fn sleeping(store: &MockStore) -> WorkerPool {
    let pool = pool(store.clone()).handle(fine).start().unwrap();
    wait(&pool, |seen| seen.asleep > 0);
    pool
}

#[test]
fn a_new_message_wakes() {
    let (store, producer) = tasks();
    let pool = sleeping(&store);
    for done in 1..=100 {
        producer.enqueue("work").unwrap();
        wait(&pool, |seen| seen.finished == done);
    }
    producer.batch_enqueue(0..1_000).unwrap();
    wait(&pool, |seen| seen.finished == 1_100);
}

#[test]
fn a_delayed_message_wakes_when_it_is_due() {
    let (store, producer) = tasks();
    let pool = sleeping(&store);
    producer.enqueue_delayed("later", HOUR).unwrap();
    store.advance(HOUR);
    wait(&pool, |seen| seen.finished == 1);
}

#[test]
fn a_lease_that_runs_out_wakes() {
    let (store, producer) = tasks();
    producer.enqueue("work").unwrap();
    assert_eq!(consumer(&store).dequeue().unwrap().len(), 1);
    let pool = sleeping(&store);
    store.advance(HOUR);
    wait(&pool, |seen| seen.finished == 1);
}

#[test]
fn a_commit_wakes() {
    let (store, producer) = tasks();
    let pool = sleeping(&store);
    let mut tx = store.begin();
    producer.enqueue_in(&mut tx, "work").unwrap();
    assert_eq!(pool.counters().read().fetched, 0);
    tx.commit();
    wait(&pool, |seen| seen.finished == 1);
}

#[test]
fn what_another_consumer_gives_back_wakes() {
    let (store, producer) = tasks();
    producer.batch_enqueue(0..2).unwrap();
    let other = consumer(&store);
    let held = other.dequeue().unwrap();
    let pool = sleeping(&store);
    assert!(other.release(&held[0], Duration::ZERO).unwrap());
    wait(&pool, |seen| seen.finished == 1);
    let mut tx = store.begin();
    assert!(other.archive_in(&mut tx, &held[1]).unwrap());
    tx.rollback();
    assert!(other.retry(&held[1], Duration::ZERO).unwrap());
    wait(&pool, |seen| seen.finished == 2);
}

#[test]
fn a_retry_of_its_own_wakes() {
    let (store, producer) = tasks();
    producer.batch_enqueue(0..10).unwrap();
    let pool = pool(store).handle(
        |_: Message, context: &Context<'_>| match context.attempt() {
            1..=4 => Err("once more".into()),
            _ => Ok(()),
        },
    );
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.finished == 10);
    assert_eq!(end(pool).retried, 40);
}

#[test]
fn two_pools_are_both_woken() {
    let (store, producer) = tasks();
    let (done, work) = channel();
    let pools = [(); 2].map(|()| {
        let done = done.clone();
        let pool = pool(store.clone()).handle(move |_: Message, _: &Context<'_>| {
            let _ = done.send(());
            Ok(())
        });
        pool.start().unwrap()
    });
    for pool in &pools {
        wait(pool, |seen| seen.asleep > 0);
    }
    let looked = pools.each_ref().map(|pool| pool.counters().read().asleep);
    producer.enqueue("work").unwrap();
    for (pool, before) in pools.iter().zip(looked) {
        wait(pool, |seen| seen.asleep > before);
    }
    // A pool that is stopped before it starts with the message would give it back.
    work.recv_timeout(MINUTE).unwrap();
    let reports = pools.map(end);
    assert_eq!(reports[0].finished + reports[1].finished, 1);
}

#[test]
fn room_wakes_a_pool_that_was_full() {
    let (store, producer) = tasks();
    for (threads, prefetch) in [(1, 0), (3, 0), (1, 1), (2, 5), (4, 100)] {
        producer.batch_enqueue(0..500).unwrap();
        let pool = pool(store.clone()).threads(threads).prefetch(prefetch);
        let pool = pool.handle(fine).start().unwrap();
        // If nobody rang for room, it would look once a second.
        wait(&pool, |seen| seen.finished >= 500);
    }
}

#[derive(Debug)]
struct NotAsked;

impl Hooks for NotAsked {
    fn asked_for_wakeups(&self) {
        panic!("a pool that is to poll asked to be woken");
    }
}

#[test]
fn a_pool_that_is_to_poll_does_not_ask_to_be_woken() {
    let (store, producer) = tasks();
    let (recorder, noted) = Recorder::new();
    let pool = pool(Hooked(store, Arc::new(NotAsked))).poll_only();
    let pool = pool
        .poll_interval(Duration::from_millis(5))
        .events(recorder);
    let pool = pool.handle(fine).start().unwrap();
    wait(&pool, |seen| seen.asleep > 0);
    producer.enqueue("work").unwrap();
    wait(&pool, |seen| seen.finished == 1);
    assert_eq!(noted.recv_timeout(MINUTE).unwrap(), "asleep, woken: false");
}

/// As the one of PostgreSQL: a connection for each who is woken.
#[derive(Debug)]
struct WakesPoolsOnly;

impl Hooks for WakesPoolsOnly {
    fn asked_for_wakeups(&self) {
        panic!("a consumer asked for what is dear");
    }
    fn wakes_consumers(&self) -> bool {
        false
    }
}

#[test]
fn a_bare_consumer_polls_where_being_woken_is_dear() {
    let (store, producer) = tasks();
    let hooked = Hooked(store, Arc::new(WakesPoolsOnly));
    let consumer = Consumer::builder(hooked, "tasks").poll_interval(Duration::from_millis(1));
    let consumer = consumer.build().unwrap();
    let looks = Duration::from_millis(5);
    assert_eq!(consumer.poll(1, looks).unwrap(), []);
    producer.enqueue("work").unwrap();
    assert_eq!(consumer.poll(1, HOUR).unwrap().len(), 1);
}

#[test]
fn a_pool_says_whether_it_will_be_woken() {
    let (store, _producer) = tasks();
    let (recorder, noted) = Recorder::new();
    let pool = pool(store).events(recorder).handle(fine).start().unwrap();
    assert_eq!(noted.recv_timeout(MINUTE).unwrap(), "asleep, woken: true");
    end(pool);
}
