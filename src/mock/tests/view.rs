//! What a test sees of the messages in each state.

use super::*;

#[test]
fn the_views_show_each_state() {
    let (store, producer, consumer) = tasks();
    producer.batch_enqueue(0..4).unwrap();
    producer.enqueue_delayed(&4, HOUR).unwrap();
    let held = consumer.dequeue_many(3).unwrap();
    consumer.archive(&held[0]).unwrap();
    consumer.dead_letter(&held[1], "broken\0").unwrap();

    assert_eq!(store.archived("tasks"), [held[0].clone()]);
    assert_eq!(
        store.dead("tasks"),
        [(held[1].clone(), "broken\u{fffd}".to_owned())]
    );
    assert_eq!(store.leased("tasks"), [held[2].clone()]);
    let ready = store.ready("tasks");
    assert_eq!((ready.len(), &ready[0].payload), (1, &3.into()));
    assert_eq!((ready[0].read_ct, ready[0].worker), (0, None));
    let scheduled = store.scheduled("tasks");
    assert_eq!((scheduled.len(), &scheduled[0].payload), (1, &4.into()));
    assert_eq!(scheduled[0].vt, store.now() + HOUR);
}

#[test]
fn the_views_follow_the_clock_and_are_sorted_by_id() {
    let (store, producer, consumer) = tasks();
    let later = producer.enqueue_delayed("later", 2 * HOUR).unwrap().id;
    let sooner = producer.enqueue_delayed("sooner", HOUR).unwrap().id;
    let leased = producer.enqueue("leased").unwrap().id;
    consumer.dequeue().unwrap();
    assert_eq!(ids(&store.scheduled("tasks")), [later, sooner]);
    store.advance(HOUR);
    assert_eq!(ids(&store.scheduled("tasks")), [later]);
    assert_eq!(ids(&store.ready("tasks")), [sooner, leased]);
    assert_eq!(store.leased("tasks"), []);
    store.advance(HOUR);
    assert_eq!(ids(&store.ready("tasks")), [later, sooner, leased]);
}

#[test]
fn what_is_done_keeps_its_counts() {
    let (store, producer, consumer) = tasks();
    producer.batch_enqueue(0..2).unwrap();
    consumer
        .release_many(&consumer.dequeue().unwrap(), Duration::ZERO)
        .unwrap();
    consumer
        .retry_many(&consumer.dequeue().unwrap(), Duration::ZERO)
        .unwrap();
    let held = consumer.dequeue().unwrap();
    consumer.archive(&held[0]).unwrap();
    consumer.dead_letter(&held[1], "why").unwrap();
    let (archived, dead) = (store.archived("tasks"), store.dead("tasks"));
    for message in [&archived[0], &dead[0].0] {
        assert_eq!((message.read_ct, message.attempt), (3, 2));
        assert_eq!(message.worker, Some(consumer.worker()));
        assert_eq!(message.vt, store.now() + HOUR);
    }
}

#[test]
fn the_views_of_an_unknown_queue_are_empty() {
    let store = MockStore::new();
    assert_eq!(store.ready("nowhere"), []);
    assert_eq!(store.leased("nowhere"), []);
    assert_eq!(store.scheduled("nowhere"), []);
    assert_eq!(store.archived("nowhere"), []);
    assert_eq!(store.dead("nowhere"), []);
}

#[test]
fn a_transaction_shows_in_the_views_when_it_is_committed() {
    let (store, producer, consumer) = tasks();
    producer.enqueue("old").unwrap();
    let held = consumer.dequeue().unwrap();
    let mut tx = store.begin();
    consumer.archive_in(&mut tx, &held[0]).unwrap();
    producer.enqueue_in(&mut tx, "new").unwrap();
    assert_eq!(
        (store.leased("tasks"), store.ready("tasks")),
        (held.clone(), vec![])
    );
    tx.commit();
    assert_eq!(
        (store.leased("tasks"), store.archived("tasks")),
        (vec![], held)
    );
    assert_eq!(store.ready("tasks")[0].payload, "new");
}
