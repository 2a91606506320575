//! What wakes a pool that looks by itself once an hour only.

use std::process::Command;
use std::time::Duration;

use pgqrs::{Consumer, Producer, SqliteStore, Store};
use serde_json::json;

use crate::alone;
use crate::file::InFile;
use pgqrs_test_support::{MINUTE, wait_until};
use pgqrs_tests::sleeper::Sleeper;

/// Long enough to be seen asleep before it is over, short enough to wait for.
const SOON: Duration = Duration::from_millis(1_500);

fn sleeping() -> (InFile, Sleeper) {
    let file = InFile::with_tasks();
    let sleeper = Sleeper::on(&file.store);
    (file, sleeper)
}

/// In a file and in memory, by a handle that the pool's was cloned from.
fn of_one_process() -> [(Option<InFile>, SqliteStore); 2] {
    let file = InFile::with_tasks();
    let memory = SqliteStore::in_memory().unwrap();
    memory.create_queue("tasks").unwrap();
    let store = file.store.clone();
    [(Some(file), store), (None, memory)]
}

#[test]
fn an_enqueue_of_the_same_store_wakes() {
    for (_file, store) in of_one_process() {
        let sleeper = Sleeper::on(&store);
        let producer = Producer::new(&store, "tasks").unwrap();
        for round in 0..3 {
            producer.enqueue(&round).unwrap();
            assert_eq!(sleeper.next(), json!(round));
        }
        producer
            .enqueue_delayed("due at once", Duration::ZERO)
            .unwrap();
        assert_eq!(sleeper.next(), json!("due at once"));
    }
}

#[test]
fn an_enqueue_of_another_store_wakes() {
    let (file, sleeper) = sleeping();
    let producer = Producer::new(file.another(), "tasks").unwrap();
    for round in 0..3 {
        producer.enqueue(&round).unwrap();
        assert_eq!(sleeper.next(), json!(round));
    }
}

#[test]
fn an_enqueue_of_another_process_wakes() {
    let (file, sleeper) = sleeping();
    for text in ["first", "second"] {
        let mut process = file.worker(&["enqueue", text]);
        assert_eq!(sleeper.next(), json!(text));
        assert!(process.wait().success());
    }
}

#[test]
fn a_row_that_sql_inserts_wakes() {
    let (file, sleeper) = sleeping();
    let db = file.foreign();
    let insert = "INSERT INTO pgqrs_enqueue (queue, payload) VALUES ('tasks', ?1)";
    for round in 0..3 {
        db.execute(insert, [format!("[{round}]")]).unwrap();
        assert_eq!(sleeper.next(), json!([round]));
    }
    let delayed = "INSERT INTO pgqrs_enqueue (queue, payload, delay) VALUES ('tasks', '7', ?1)";
    db.execute(delayed, ["+1 second"]).unwrap();
    assert_eq!(sleeper.next(), json!(7));
}

#[test]
fn a_delayed_message_wakes_when_it_comes_due() {
    for (_file, store) in of_one_process() {
        let producer = Producer::new(&store, "tasks").unwrap();
        producer.enqueue_delayed("from before", SOON).unwrap();
        let sleeper = Sleeper::on(&store);
        assert_eq!(sleeper.next(), json!("from before"));
        producer.enqueue_delayed("later", SOON * 2).unwrap();
        producer.enqueue_delayed("sooner", SOON).unwrap();
        assert_eq!(sleeper.next(), json!("sooner"));
        assert_eq!(sleeper.next(), json!("later"));
    }
}

#[test]
fn a_delayed_message_of_another_store_wakes_when_it_comes_due() {
    let (file, sleeper) = sleeping();
    let producer = Producer::new(file.another(), "tasks").unwrap();
    producer.enqueue_delayed("later", SOON).unwrap();
    assert_eq!(sleeper.next(), json!("later"));
}

#[test]
fn a_release_wakes() {
    for (file, store) in of_one_process() {
        let others = match &file {
            Some(file) => vec![store.clone(), file.another()],
            None => vec![store.clone()],
        };
        for other in others {
            for delay in [Duration::ZERO, SOON] {
                let producer = Producer::new(&other, "tasks").unwrap();
                producer.enqueue("back").unwrap();
                let consumer = Consumer::builder(&other, "tasks").lock_time(MINUTE * 60);
                let consumer = consumer.build().unwrap();
                let held = consumer.dequeue().unwrap();
                let sleeper = Sleeper::on(&store);
                assert_eq!(consumer.release_many(&held, delay).unwrap(), [true]);
                assert_eq!(sleeper.next(), json!("back"));
                sleeper.pool.shutdown(MINUTE).unwrap();
            }
        }
    }
}

/// Of a consumer that died before the pool slept, and of one that leased while it did.
#[test]
fn a_lease_that_runs_out_wakes() {
    let file = InFile::with_tasks();
    let producer = Producer::new(&file.store, "tasks").unwrap();
    producer.enqueue("left").unwrap();
    let millis = SOON.as_millis().to_string();
    let mut process = file.worker(&["lease", &millis]);
    assert!(process.line().unwrap().starts_with("leased"));
    process.kill();
    let sleeper = Sleeper::on(&file.store);
    assert_eq!(sleeper.next(), json!("left"));

    // No pool can take it before the other: both in one transaction of somebody else's.
    let db = file.foreign();
    db.execute_batch(
        "BEGIN IMMEDIATE;
         INSERT INTO pgqrs_enqueue (queue, payload) VALUES ('tasks', '\"taken\"');
         UPDATE pgqrs_live SET worker = 0, read_ct = 1, attempt = 1,
                               vt = (SELECT now FROM pgqrs_now) + 1500000
         WHERE read_ct = 0;
         UPDATE pgqrs_queues SET front_vt = min(front_vt, (SELECT min(vt) FROM pgqrs_live));
         COMMIT",
    )
    .unwrap();
    assert_eq!(sleeper.next(), json!("taken"));
}

#[test]
fn a_lease_in_memory_that_runs_out_wakes() {
    let store = SqliteStore::in_memory().unwrap();
    store.create_queue("tasks").unwrap();
    let producer = Producer::new(&store, "tasks").unwrap();
    producer.enqueue("left").unwrap();
    let consumer = Consumer::builder(&store, "tasks").lock_time(SOON);
    assert_eq!(consumer.build().unwrap().dequeue().unwrap().len(), 1);
    let sleeper = Sleeper::on(&store);
    assert_eq!(sleeper.next(), json!("left"));
}

#[test]
fn every_queue_of_a_pool_wakes_it() {
    let file = InFile::with_tasks();
    let names = ["mail", "tasks", "news"];
    for name in names {
        file.store.create_queue(name).unwrap();
    }
    let sleeper = Sleeper::with(&file.store, |pool| pool.queue("mail", 1).queue("news", 5));
    let other = file.another();
    for _ in 0..3 {
        for name in names {
            Producer::new(&other, name).unwrap().enqueue(name).unwrap();
            assert_eq!(sleeper.next(), json!(name));
        }
    }
}

/// Threads of this process, by name.
#[cfg(target_os = "linux")]
fn watching() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let comms = tasks.map(|task| task.unwrap().path().join("comm"));
    // A thread may end while it is looked at.
    let names = comms.filter_map(|comm| std::fs::read_to_string(comm).ok());
    names.filter(|name| name.trim() == "pgqrs-watch").count()
}

/// Counted in a process of its own: in this one other tests have threads.
#[cfg(target_os = "linux")]
#[test]
fn the_watching_thread_ends_with_the_store() {
    if alone::word().is_none() {
        let this = Command::new(std::env::current_exe().unwrap());
        return alone::run(this, "wake::the_watching_thread_ends_with_the_store", "go");
    }
    for (file, store) in of_one_process() {
        assert_eq!(watching(), 0, "nobody waits yet");
        let sleepers = [Sleeper::on(&store), Sleeper::on(&store)];
        // It gives itself its name, a moment after its beginning.
        wait_until("one thread for all that wait", MINUTE, || watching() > 0);
        assert_eq!(watching(), 1, "one for all that wait");
        for sleeper in sleepers {
            sleeper.pool.shutdown(MINUTE).unwrap();
        }
        assert_eq!(watching(), 1);
        drop(file);
        assert_eq!(watching(), 1, "a clone is the same store");
        drop(store);
        // The name goes when the system has cleared the thread away, a moment after its end.
        wait_until("the thread to be gone", MINUTE, || watching() == 0);
    }
}
