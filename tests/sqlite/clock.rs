//! The machine's clock is set back.

use pgqrs::{Consumer, Producer, Store};

use crate::file::InFile;

#[test]
fn what_is_ready_stays_so_when_the_clock_is_set_back() {
    let file = InFile::with_tasks();
    Producer::new(&file.store, "tasks")
        .unwrap()
        .batch_enqueue(0..3)
        .unwrap();
    let foreign = file.foreign();
    foreign
        .execute(
            "INSERT INTO pgqrs_enqueue (queue, payload) VALUES ('tasks', '3')",
            [],
        )
        .unwrap();
    // As it looks to a clock that is an hour behind the one of before.
    foreign
        .execute_batch(
            "UPDATE pgqrs_live SET vt = vt + 3600000000 WHERE vt > 0;
             UPDATE pgqrs_messages SET enqueued_at = enqueued_at + 3600000000",
        )
        .unwrap();
    assert_eq!(file.store.counts("tasks").unwrap().ready, 4);
    let got = Consumer::new(&file.store, "tasks")
        .unwrap()
        .dequeue()
        .unwrap();
    assert_eq!(got.len(), 4);
}
