//! A pool that has nothing to do writes nothing.

use std::time::Duration;

use pgqrs::{Consumer, Context, Producer, WorkerPool};
use serde_json::Value;

use crate::audit::value;
use crate::file::InFile;
use pgqrs_test_support::MINUTE;

const LOOKS: u64 = 300;

#[test]
fn an_idle_pool_writes_nothing() {
    let file = InFile::with_tasks();
    // Some that another holds, and one that waits: they are looked at, too.
    let producer = Producer::new(&file.store, "tasks").unwrap();
    producer.batch_enqueue(0..20).unwrap();
    producer.enqueue_delayed("later", MINUTE * 60).unwrap();
    let consumer = Consumer::builder(&file.store, "tasks").lock_time(MINUTE * 60);
    assert_eq!(consumer.build().unwrap().dequeue().unwrap().len(), 20);

    let pool = WorkerPool::builder(file.store.clone(), "tasks")
        .poll_interval(Duration::from_millis(1))
        .handle(|_: Value, _: &Context| Ok(()))
        .start()
        .unwrap();
    let sleeps = |more: u64| {
        let counters = pool.counters();
        let times = counters.read().asleep + more;
        assert!(counters.wait(MINUTE, |seen| seen.asleep >= times));
    };
    sleeps(10); // until all is as it will stay
    let db = file.foreign();
    let mut wal = file.path().into_os_string();
    wal.push("-wal");
    let log = || {
        let metadata = std::fs::metadata(&wal).unwrap();
        (metadata.len(), metadata.modified().unwrap())
    };
    let version = || value::<i64>(&db, "PRAGMA data_version");
    let before = (log(), version());
    sleeps(LOOKS);
    assert_eq!((log(), version()), before);
    producer.enqueue("work").unwrap();
    assert!(pool.counters().wait(MINUTE, |seen| seen.finished == 1));
    assert!(
        log() != before.0 && version() != before.1,
        "one would see it"
    );
    pool.shutdown(MINUTE).unwrap();
}
