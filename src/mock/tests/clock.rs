//! The clock that a test moves, and the other settings of the builder.

use time::macros::datetime;

use super::*;

#[test]
fn the_clock_stands_still_until_it_is_moved() {
    let (store, producer, _) = tasks();
    assert_eq!(store.now(), datetime!(2000-01-01 00:00 UTC));
    assert_eq!(store.queue("tasks").unwrap().created_at, store.now());
    assert_eq!(producer.enqueue(&1).unwrap().enqueued_at, store.now());
    store.clone().advance(Duration::from_micros(1));
    assert_eq!(store.now(), datetime!(2000-01-01 00:00:00.000001 UTC));
    assert_eq!(producer.enqueue(&1).unwrap().enqueued_at, store.now());
}

#[test]
fn a_lease_ends_to_the_microsecond() {
    let (store, producer, consumer) = tasks();
    producer.enqueue("work").unwrap();
    let held = consumer.dequeue().unwrap();
    assert_eq!(held[0].vt, store.now() + HOUR);
    store.advance(HOUR - Duration::from_micros(1));
    assert_eq!(consumer.dequeue().unwrap(), []);
    store.advance(Duration::from_micros(1));
    assert_eq!(consumer.dequeue().unwrap().len(), 1);
}

#[test]
fn the_clock_can_begin_anywhere() {
    let begin = |now| MockStore::builder().now(now).build().unwrap().now();
    assert_eq!(
        begin(datetime!(2030-06-01 12:00:00.123_456_789 +2)),
        datetime!(2030-06-01 10:00:00.123_456 UTC),
    );
    let ancient = datetime!(-4000-01-01 00:00 UTC);
    assert_eq!(begin(ancient), ancient);
}

#[test]
fn the_clock_stops_at_the_end_of_the_year_9999() {
    let (store, producer, consumer) = tasks();
    for _ in 0..9 {
        store.advance(Duration::MAX);
    }
    let end = datetime!(9999-12-31 23:59:59.999_999 UTC);
    assert_eq!(store.now(), end);
    let sent = producer.enqueue_delayed("work", HOUR).unwrap();
    assert_eq!((sent.enqueued_at, sent.vt), (end, end));
    // Nothing lies in the future any more: due at once, and leased for no time.
    for delivery in 1..=3 {
        let held = consumer.dequeue().unwrap();
        assert_eq!((held[0].vt, held[0].read_ct), (end, delivery));
        assert!(consumer.extend_visibility(&held[0], Duration::MAX).unwrap());
    }
}

#[test]
fn a_store_has_the_settings_of_its_builder() {
    let settings = Settings {
        batch: 2,
        payload_limit: 3,
        ..Settings::default()
    };
    let store = MockStore::builder()
        .settings(settings.clone())
        .build()
        .unwrap();
    assert_eq!(*store.settings(), settings);
    store.create_queue("tasks").unwrap();
    let producer = Producer::new(store.clone(), "tasks").unwrap();
    producer.batch_enqueue(["a", "b", "c"]).unwrap();
    assert!(producer.enqueue("ab").is_err());
    let consumer = Consumer::new(store, "tasks").unwrap();
    assert_eq!(consumer.dequeue().unwrap().len(), 2);

    let bad = Settings {
        batch: 0,
        ..settings
    };
    let error = MockStore::builder().settings(bad).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
