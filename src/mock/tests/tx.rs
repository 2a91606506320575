//! Transactions, where they are not as on PostgreSQL.

use super::*;
use crate::store::Transactional;

#[test]
fn a_dropped_transaction_is_rolled_back() {
    let (store, producer, consumer) = tasks();
    producer.enqueue("old").unwrap();
    let held = consumer.dequeue().unwrap();
    let before = snapshot(&store);
    let mut tx = store.begin();
    assert!(consumer.delete_in(&mut tx, &held[0]).unwrap());
    producer.enqueue_in(&mut tx, "new").unwrap();
    drop(tx);
    assert_eq!(snapshot(&store), before);
    assert!(consumer.archive(&held[0]).unwrap());
}

#[test]
fn a_transaction_belongs_to_its_store() {
    let (store, producer, consumer) = tasks();
    producer.enqueue("work").unwrap();
    let held = consumer.dequeue().unwrap();
    let (other, ..) = tasks();
    let mut strange = other.begin();
    let refused = producer.enqueue_in(&mut strange, "work").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let refused = consumer.archive_in(&mut strange, &held[0]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    strange.commit();
    assert_eq!(
        (store.leased("tasks"), store.ready("tasks")),
        (held, vec![])
    );
    assert_eq!(other.counts("tasks").unwrap(), Counts::default());
    // One begun on a clone is the store's own.
    let mut own = store.clone().begin();
    producer.enqueue_in(&mut own, "work").unwrap();
}

/// Where PostgreSQL would wait for the transaction, this store refuses.
#[test]
fn a_queue_that_a_transaction_uses_is_neither_purged_nor_deleted() {
    let (store, producer, consumer) = tasks();
    producer.enqueue("work").unwrap();
    let held = consumer.dequeue().unwrap();
    let refused = || {
        let before = snapshot(&store);
        assert_unavailable(store.purge("tasks", &State::ALL), "tasks");
        assert_unavailable(store.delete_queue("tasks", IfNotEmpty::Delete), "tasks");
        assert_unavailable(store.delete_queue("tasks", IfNotEmpty::Refuse), "tasks");
        assert_eq!(snapshot(&store), before);
    };
    let mut tx = store.begin();
    consumer.archive_in(&mut tx, &held[0]).unwrap();
    refused();
    tx.rollback();
    let mut tx = store.begin();
    producer.enqueue_in(&mut tx, "new").unwrap();
    refused();
    tx.commit();
    assert_eq!(store.purge("tasks", &State::ALL).unwrap(), 2);
    store.delete_queue("tasks", IfNotEmpty::Refuse).unwrap();
}

#[test]
fn a_message_that_a_transaction_settled_is_locked() {
    let (store, producer, consumer) = tasks();
    producer.batch_enqueue(0..2).unwrap();
    let held = consumer.dequeue().unwrap();
    let mut tx = store.begin();
    assert!(consumer.archive_in(&mut tx, &held[0]).unwrap());
    let locked = format!("message {}", held[0].id);
    assert_unavailable(consumer.archive(&held[0]), &locked);
    assert_unavailable(consumer.delete_many([&held[1], &held[0]]), &locked);
    assert_unavailable(consumer.archive_in(&mut store.begin(), &held[0]), &locked);
    assert!(consumer.archive(&held[1]).unwrap());
    tx.commit();
    assert!(!consumer.archive(&held[0]).unwrap());
    assert_eq!(store.archived("tasks"), held);
}

/// A refused call did nothing, also not the part of it that could have been done.
#[test]
fn a_refused_settlement_in_a_transaction_does_nothing() {
    let (store, producer, consumer) = tasks();
    producer.batch_enqueue(0..2).unwrap();
    let held = consumer.dequeue().unwrap();
    let (mut first, mut second) = (store.begin(), store.begin());
    assert!(consumer.archive_in(&mut first, &held[1]).unwrap());
    let both: Vec<_> = held
        .iter()
        .map(|message| Settlement {
            receipt: Receipt::from(message),
            outcome: Outcome::Delete,
        })
        .collect();
    let refused = store.settle_in(&mut second, held[0].queue_id, &both);
    assert_unavailable(refused, "locked");
    second.commit();
    first.commit();
    assert_eq!(ids(&store.leased("tasks")), [held[0].id]);
    assert_eq!(ids(&store.archived("tasks")), [held[1].id]);
}

#[test]
fn a_key_of_an_open_transaction_is_locked() {
    let store = MockStore::new();
    store.create_queue("tasks").unwrap();
    let producer = Producer::new(store.clone(), "tasks").unwrap();
    let mut tx = store.begin();
    producer.enqueue_once_in(&mut tx, "new", &1).unwrap();
    producer.enqueue_once("known", &1).unwrap();
    producer.enqueue_once_in(&mut tx, "known", &1).unwrap(); // a repeat locks as well
    let mut other = store.begin();
    for key in ["new", "known"] {
        let refused = [
            producer.enqueue_once(key, &2),
            producer.enqueue_once_in(&mut other, key, &2),
        ];
        for refused in refused {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains(key), "{error}");
        }
    }
    producer.enqueue_once_in(&mut other, "another", &2).unwrap();
    tx.rollback();
    for key in ["new", "known"] {
        producer.enqueue_once(key, &2).unwrap();
    }
    other.commit();
    assert_eq!(store.ready("tasks").len(), 3);
}
