//! Queues come and go.

use super::scene::*;
use crate::Harness;
use pgqrs::{
    Consumer, Counts, ErrorKind, IfNotEmpty, Outcome, Producer, Receipt, Settlement, Store,
};

/// A new store has no queue.
pub fn a_new_store_is_empty(h: &impl Harness) {
    assert_eq!(h.store().queues().unwrap(), []);
}

/// A created queue is there, under its name, and empty.
pub fn a_created_queue_can_be_looked_up(h: &impl Harness) {
    let store = h.store();
    let queue = store.create_queue("tasks").unwrap();
    assert_eq!(queue.name, "tasks");
    assert_eq!(store.queue("tasks").unwrap(), queue);
    assert_eq!(h.store().queue("tasks").unwrap(), queue);
    assert_eq!(store.counts("tasks").unwrap(), NONE);
    let producer = Producer::new(store.clone(), "tasks").unwrap();
    let consumer = Consumer::new(store, "tasks").unwrap();
    assert_eq!((producer.queue(), consumer.queue()), (&queue, &queue));
}

/// Creating a queue again returns the one that is there, messages and all.
pub fn creating_a_queue_again_returns_the_same(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(3);
    let again = h.store().create_queue("tasks").unwrap();
    assert_eq!(again, *tasks.producer.queue());
    assert_eq!(tasks.counts(), Counts { ready: 3, ..NONE });
    assert_eq!(tasks.store.queues().unwrap(), [again]);
}

/// Queues are listed by name, byte for byte.
pub fn queues_are_listed_by_name(h: &impl Harness) {
    let store = h.store();
    let mut names = [
        "b", "a", "ab", "B", "a.b", "a-b", "a_b", "1", "a1", "_", "Z",
    ];
    for name in names {
        store.create_queue(name).unwrap();
    }
    names.sort_unstable();
    let listed = store.queues().unwrap();
    let listed: Vec<_> = listed.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(listed, names);
}

/// Every name that keeps the rule is a name of its own.
pub fn every_allowed_name_is_a_queue_of_its_own(h: &impl Harness) {
    let store = h.store();
    let long = "x".repeat(63);
    let all = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-.0123456789_abcdefghijklmnopqrstuvwx";
    assert_eq!(all.len(), 63);
    let names = [
        "tasks", "Tasks", "TASKS", ".", "-", "_", "0", "select", "--", &long, all,
    ];
    for name in names {
        assert_eq!(store.create_queue(name).unwrap().name, name);
        Producer::new(store.clone(), name)
            .unwrap()
            .enqueue(name)
            .unwrap();
    }
    assert_eq!(store.queues().unwrap().len(), names.len());
    for name in names {
        let consumer = Consumer::new(store.clone(), name).unwrap();
        assert_eq!(only(consumer.dequeue().unwrap()).payload, name);
    }
}

/// What happens in one queue does not show in another.
pub fn queues_are_apart(h: &impl Harness) {
    let (one, two) = (queue(h, "one"), queue(h, "two"));
    one.put(3);
    one.producer.enqueue_delayed("later", HOUR).unwrap();
    assert_eq!(two.counts(), NONE);
    assert_eq!(two.drain(), []);
    let sent = ids(&two.put(2));
    let consumer = one.consumer();
    let held = consumer.dequeue_many(2).unwrap();
    assert!(consumer.archive(&held[0]).unwrap());
    assert!(consumer.dead_letter(&held[1], "why").unwrap());
    assert_eq!(two.counts(), Counts { ready: 2, ..NONE });
    h.advance(HOUR);
    assert_eq!(ids(&two.drain()), sent);
    let counts = Counts {
        ready: 2,
        archived: 1,
        dead: 1,
        ..NONE
    };
    assert_eq!(one.counts(), counts);
}

/// An empty queue can be deleted; then it is gone.
pub fn an_empty_queue_is_deleted(h: &impl Harness) {
    let tasks = tasks(h);
    let other = tasks.store.create_queue("other").unwrap();
    tasks
        .store
        .delete_queue("tasks", IfNotEmpty::Refuse)
        .unwrap();
    assert_eq!(tasks.store.queues().unwrap(), [other]);
    let gone = tasks.store.queue("tasks");
    assert_error(gone, ErrorKind::UnknownQueue, "tasks");
    let again = tasks.store.delete_queue("tasks", IfNotEmpty::Refuse);
    assert_error(again, ErrorKind::UnknownQueue, "tasks");
}

/// A queue whose messages were all deleted is empty.
pub fn a_queue_without_messages_left_is_deleted(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    consumer.delete_many(&consumer.dequeue().unwrap()).unwrap();
    tasks
        .store
        .delete_queue("tasks", IfNotEmpty::Refuse)
        .unwrap();
}

/// Unless told to, a queue is not deleted while it has a message in any state.
pub fn a_queue_with_messages_is_not_deleted(h: &impl Harness) {
    type Bring<S> = fn(&Tasks<S>, &Consumer<S>);
    fn refused<H: Harness>(h: &H, name: &str, bring: Bring<H::Store>) {
        let tasks = queue(h, name);
        bring(&tasks, &tasks.consumer());
        let before = tasks.counts();
        assert_eq!(before.total(), 1, "{name}");
        let refused = tasks.store.delete_queue(name, IfNotEmpty::Refuse);
        assert_error(refused, ErrorKind::QueueNotEmpty, name);
        assert_eq!(tasks.counts(), before);
    }
    refused(h, "ready", |tasks, _| drop(tasks.put(1)));
    refused(h, "scheduled", |tasks, _| {
        tasks.producer.enqueue_delayed("later", HOUR).unwrap();
    });
    refused(h, "leased", |tasks, consumer| {
        tasks.put(1);
        tasks.lease_one(consumer);
    });
    refused(h, "archived", |tasks, consumer| {
        tasks.put(1);
        consumer.archive(&tasks.lease_one(consumer)).unwrap();
    });
    refused(h, "dead", |tasks, consumer| {
        tasks.put(1);
        consumer
            .dead_letter(&tasks.lease_one(consumer), "why")
            .unwrap();
    });
}

/// Told to, it is deleted with messages in every state; other queues are none the worse.
pub fn a_queue_is_deleted_with_its_messages(h: &impl Harness) {
    let (doomed, other) = (queue(h, "doomed"), queue(h, "other"));
    for tasks in [&doomed, &other] {
        one_in_each_state(tasks);
    }
    let before = other.counts();
    doomed
        .store
        .delete_queue("doomed", IfNotEmpty::Delete)
        .unwrap();
    assert_error(
        doomed.store.counts("doomed"),
        ErrorKind::UnknownQueue,
        "doomed",
    );
    assert_eq!(other.counts(), before);
    assert_eq!(before.total(), 5);
}

/// Producers and consumers of a deleted queue are told, and deliveries own nothing more.
pub fn a_deleted_queue_is_unknown_to_those_who_used_it(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(2);
    let consumer = tasks.consumer();
    let message = tasks.lease_one(&consumer);
    let queue = tasks.producer.queue().clone();
    h.store().delete_queue("tasks", IfNotEmpty::Delete).unwrap();

    let (unknown, id) = (ErrorKind::UnknownQueue, &queue.id.to_string());
    assert_error(tasks.producer.enqueue("work"), unknown, id);
    assert_error(tasks.producer.batch_enqueue([1, 2]), unknown, id);
    assert_error(tasks.producer.enqueue_delayed("work", HOUR), unknown, id);
    assert_error(consumer.dequeue(), unknown, id);
    assert_error(consumer.poll(1, HOUR), unknown, id);
    assert_error(tasks.store.register_worker(queue.id, "late"), unknown, id);
    assert!(!consumer.archive(&message).unwrap());
    assert!(!consumer.delete(&message).unwrap());
    assert!(!consumer.extend_visibility(&message, HOUR).unwrap());
    let settlement = Settlement {
        receipt: Receipt::from(&message),
        outcome: Outcome::DeadLetter("late".to_owned()),
    };
    let settled = tasks.store.settle(queue.id, &[settlement]);
    assert_eq!(settled.unwrap(), [false]);
}

/// Created anew under its old name, a queue is another one, and empty.
pub fn a_recreated_queue_is_another_one(h: &impl Harness) {
    let old = tasks(h);
    one_in_each_state(&old);
    let consumer = old.consumer();
    let message = old.lease_one(&consumer);
    old.store.delete_queue("tasks", IfNotEmpty::Delete).unwrap();

    let new = tasks(h);
    let (old_id, new_id) = (old.producer.queue().id, new.producer.queue().id);
    assert!(new_id > old_id);
    assert_eq!(new.counts(), NONE);
    assert_eq!(new.drain(), []);
    let sent = new.put(1);
    assert!(sent[0].id > message.id);
    let late = old.producer.enqueue("work");
    assert_error(late, ErrorKind::UnknownQueue, &old_id.to_string());
    let late = consumer.dequeue();
    assert_error(late, ErrorKind::UnknownQueue, &old_id.to_string());
    assert!(!new.consumer().archive(&message).unwrap());
    assert_eq!(ids(&new.drain()), ids(&sent));
}

/// Installing what is installed already changes nothing, however often and from however many
/// threads and handles at once.
pub fn installing_again_changes_nothing(h: &impl Harness) {
    let tasks = tasks(h);
    one_in_each_state(&tasks);
    let before = tasks.counts();
    assert_eq!(before.total(), 5);
    tasks.store.install().unwrap();
    tasks.store.install().unwrap();
    assert_eq!(tasks.counts(), before);

    let stores = [h.store(), h.store(), tasks.store.clone()];
    on_threads(6, |number| stores[number % 3].install().unwrap());
    assert_eq!(tasks.counts(), before);
    let queues = [tasks.producer.queue().clone()];
    for store in &stores {
        assert_eq!(store.queues().unwrap(), queues);
    }
    let (ready, sent) = (tasks.drain(), ids(&tasks.put(2)));
    assert_eq!(ready.len(), 1);
    assert_eq!(ids(&tasks.drain()), sent);
}
