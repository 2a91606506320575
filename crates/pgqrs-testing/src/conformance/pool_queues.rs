//! One pool on several queues.

use super::pool_scene::*;
use super::scene::*;
use crate::Harness;
use pgqrs::{Context, Counts, ErrorKind, Message, WorkerPool};

/// Each queue is worked off, and each message knows which was its own.
pub fn a_pool_works_off_each_of_its_queues(h: &impl Harness) {
    let names = ["a", "b", "c"];
    let queues = names.map(|name| queue(h, name));
    for (queue, count) in queues.iter().zip([30, 1, 7]) {
        for _ in 0..count {
            queue.producer.enqueue(&queue.name).unwrap();
        }
    }
    let pool = queues[0].pool().queue("b", 1).queue("c", 5);
    let pool = pool.handle(|name: String, context: &Context| {
        assert_eq!(context.queue().name, name);
        Ok(())
    });
    let report = run(pool).unwrap();
    assert_eq!(report.finished, 38);
    for (queue, archived) in queues.iter().zip([30, 1, 7]) {
        assert_eq!(queue.counts(), Counts { archived, ..NONE });
    }
}

/// While all have messages, each gets about its share: the light one is not starved, and not
/// preferred.
pub fn queues_share_a_pool_by_their_weights(h: &impl Harness) {
    let (heavy, light) = (queue(h, "heavy"), queue(h, "light"));
    for (first, second) in [(&heavy, "light"), (&light, "heavy")] {
        heavy.put(200);
        light.put(200);
        let (seen, order) = notes();
        let weight = |name: &str| if name == "heavy" { 9 } else { 1 };
        let pool = first.pool().weight(weight(&first.name));
        let pool = pool.queue(second, weight(second)).threads(1).prefetch(8);
        let pool = pool.handle(move |_: Message, context: &Context| {
            seen.note(context.queue().name == "light");
            Ok(())
        });
        // All of them: it must not run out of the heavy ones before the light ones are counted.
        assert_eq!(run(pool).unwrap().finished, 400);
        let order = order.all();
        let lights = order[..200].iter().filter(|light| **light).count();
        assert!((10..=40).contains(&lights), "{lights} of 200");
    }
}

/// A queue that is empty leaves its share to the others.
pub fn an_empty_queue_leaves_its_share_to_the_others(h: &impl Harness) {
    let (light, heavy) = (queue(h, "light"), queue(h, "heavy"));
    light.put(100);
    let pool = light.pool().queue("heavy", 1_000).threads(2);
    let pool = pool.handle(fine).start().unwrap();
    wait(&pool, |seen| seen.finished == 100);
    heavy.put(10);
    wait(&pool, |seen| seen.finished == 110);
}

/// Where one of several queues does not exist, nothing starts.
pub fn all_queues_of_a_pool_must_exist(h: &impl Harness) {
    let tasks = tasks(h);
    tasks.put(1);
    let pool = tasks.pool().queue("nowhere", 1).handle(fine);
    assert_error(pool.start(), ErrorKind::UnknownQueue, "nowhere");
    let pool = WorkerPool::builder(h.store(), "nowhere").handle(fine);
    assert_error(run(pool), ErrorKind::UnknownQueue, "nowhere");
    assert_eq!(tasks.counts(), Counts { ready: 1, ..NONE });
}
