//! Faults on demand.

use super::*;

/// All there are: each is what [`perform`] does with it.
const CALLS: [Call; Call::DeadLetter as usize + 1] = [
    Call::CreateQueue,
    Call::Queue,
    Call::Queues,
    Call::DeleteQueue,
    Call::Purge,
    Call::Counts,
    Call::RegisterWorker,
    Call::Enqueue,
    Call::Dequeue,
    Call::ExtendVisibility,
    Call::Archive,
    Call::Delete,
    Call::Release,
    Call::DeadLetter,
];

/// Makes the call on a store as [`scene`] leaves it.
fn perform(call: Call, store: &MockStore, consumer: &Consumer<MockStore>) -> Result<()> {
    let held = store.leased("tasks").remove(0);
    let queue_id = held.queue_id;
    match call {
        Call::CreateQueue => store.create_queue("new").map(drop),
        Call::Queue => store.queue("tasks").map(drop),
        Call::Queues => store.queues().map(drop),
        Call::DeleteQueue => store.delete_queue("empty", IfNotEmpty::Refuse),
        Call::Purge => store.purge("tasks", &[State::Ready]).map(drop),
        Call::Counts => store.counts("tasks").map(drop),
        Call::RegisterWorker => store.register_worker(queue_id, "one").map(drop),
        Call::Enqueue => store
            .enqueue(queue_id, vec![NewMessage::new("new")?], None)
            .map(drop),
        Call::Dequeue => consumer.dequeue().map(drop),
        Call::ExtendVisibility => consumer.extend_visibility(&held, 2 * HOUR).map(drop),
        Call::Archive => consumer.archive(&held).map(drop),
        Call::Delete => consumer.delete(&held).map(drop),
        Call::Release => consumer.release(&held, HOUR).map(drop),
        Call::DeadLetter => consumer.dead_letter(&held, "why").map(drop),
    }
}

/// One message leased and one ready, and an empty queue besides.
fn scene() -> (MockStore, Consumer<MockStore>) {
    let (store, producer, consumer) = tasks();
    producer.batch_enqueue(0..2).unwrap();
    store.create_queue("empty").unwrap();
    consumer.dequeue_many(1).unwrap();
    (store, consumer)
}

#[test]
fn a_fault_keeps_a_call_from_being_done_once() {
    for call in CALLS {
        let (store, consumer) = scene();
        let before = snapshot(&store);
        store.clone().fail_next(call, ErrorKind::Unexpected);
        let error = perform(call, &store, &consumer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected);
        assert!(error.to_string().contains(&format!("{call:?}")), "{error}");
        assert_eq!(snapshot(&store), before, "{call:?}");
        perform(call, &store, &consumer).unwrap();
        let reads = matches!(call, Call::Queue | Call::Queues | Call::Counts);
        assert_eq!(snapshot(&store) == before, reads, "{call:?}");
    }
}

#[test]
fn an_unknown_fate_is_a_call_that_was_done() {
    for call in CALLS {
        let (twin, its_consumer) = scene();
        perform(call, &twin, &its_consumer).unwrap();
        let (store, consumer) = scene();
        store.fail_next(call, ErrorKind::FateUnknown);
        let error = perform(call, &store, &consumer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FateUnknown);
        assert_eq!(snapshot(&store), snapshot(&twin), "{call:?}");
    }
}

#[test]
fn faults_are_used_up_in_order_and_by_their_own_calls() {
    let (store, consumer) = scene();
    store.fail_next(Call::Archive, ErrorKind::Unavailable);
    store.fail_next(Call::Archive, ErrorKind::Schema);
    store.fail_next(Call::Dequeue, ErrorKind::UnknownQueue);
    let id = store.leased("tasks")[0].id;
    assert!(consumer.extend_visibility(id, HOUR).unwrap());
    let kinds = [0, 1].map(|_| consumer.archive(id).unwrap_err().kind());
    assert_eq!(kinds, [ErrorKind::Unavailable, ErrorKind::Schema]);
    assert!(consumer.archive(id).unwrap());
    assert_eq!(
        consumer.dequeue().unwrap_err().kind(),
        ErrorKind::UnknownQueue
    );
    assert_eq!(consumer.dequeue().unwrap().len(), 1);
}

#[test]
fn a_settlement_fails_by_any_of_its_outcomes() {
    let (store, producer, consumer) = tasks();
    producer.batch_enqueue(0..2).unwrap();
    let held = consumer.dequeue().unwrap();
    let settlements: Vec<_> = held
        .iter()
        .zip([Outcome::Archive, Outcome::Delete])
        .map(|(message, outcome)| Settlement {
            receipt: Receipt::from(message),
            outcome,
        })
        .collect();
    let settle = || store.settle(held[0].queue_id, &settlements);
    store.fail_next(Call::Delete, ErrorKind::Unavailable);
    assert_unavailable(settle(), "Delete");
    assert_eq!(store.leased("tasks"), held);
    assert_eq!(settle().unwrap(), [true, true]);

    // A retry is a release of the other kind.
    producer.enqueue("work").unwrap();
    let id = consumer.dequeue().unwrap()[0].id;
    store.fail_next(Call::Release, ErrorKind::Unavailable);
    assert_unavailable(consumer.retry(id, HOUR), "Release");
    assert!(consumer.retry(id, HOUR).unwrap());
}

#[test]
fn calls_in_a_transaction_fail_as_the_same_calls() {
    let (store, consumer) = scene();
    let producer = Producer::new(store.clone(), "tasks").unwrap();
    let id = store.leased("tasks")[0].id;
    let mut tx = store.begin();
    store.fail_next(Call::Enqueue, ErrorKind::Unavailable);
    assert_unavailable(producer.enqueue_in(&mut tx, "lost"), "Enqueue");
    store.fail_next(Call::Archive, ErrorKind::Unavailable);
    assert_unavailable(consumer.archive_in(&mut tx, id), "Archive");
    assert!(consumer.archive_in(&mut tx, id).unwrap());
    tx.commit();
    assert_eq!(store.ready("tasks").len(), 1);
    assert_eq!(ids(&store.archived("tasks")), [id]);
}

#[test]
fn waiting_consumers_pass_faults_on_and_go_on() {
    let (store, producer, _) = tasks();
    let consumer = Consumer::builder(store.clone(), "tasks")
        .poll_interval(Duration::from_millis(1))
        .build()
        .unwrap();
    producer.batch_enqueue(0..2).unwrap();
    store.fail_next(Call::Dequeue, ErrorKind::Unavailable);
    assert_unavailable(consumer.poll(1, HOUR), "Dequeue");
    assert_eq!(consumer.poll(1, HOUR).unwrap().len(), 1);
    store.fail_next(Call::Dequeue, ErrorKind::Unavailable);
    let mut messages = consumer.iter();
    assert_unavailable(messages.next().unwrap(), "Dequeue");
    assert_eq!(messages.next().unwrap().unwrap().payload, 1);
}

#[test]
fn a_fault_of_either_half_fails_archive_and_dequeue() {
    for call in [Call::Archive, Call::Dequeue] {
        let (store, consumer) = scene();
        let held = store.leased("tasks").remove(0);
        let before = store.counts("tasks").unwrap();
        store.fail_next(call, ErrorKind::Unavailable);
        let error = consumer.archive_and_dequeue([&held], 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(store.counts("tasks").unwrap(), before);
        // Its answer is lost: both were done.
        store.fail_next(call, ErrorKind::FateUnknown);
        let error = consumer.archive_and_dequeue([&held], 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FateUnknown, "{error}");
        assert_eq!(store.counts("tasks").unwrap().archived, before.archived + 1);
    }
}
