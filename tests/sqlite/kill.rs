//! Processes that are killed at any moment (SIGKILL), again and again.

use std::time::Duration;

use fastrand::Rng;
use pgqrs::{Consumer, Producer, SqliteStore, Store};

use crate::audit::{Said, integrity, states, value};
use crate::file::{InFile, foreign, worker};

const KILLS: usize = 25;

/// To make the same choices again: `PGQRS_TEST_SEED`.
fn random() -> Rng {
    let seed = std::env::var("PGQRS_TEST_SEED").map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|_| fastrand::u64(..));
    println!("PGQRS_TEST_SEED={seed}");
    Rng::with_seed(seed)
}

/// Lets the victim get anywhere between two lines: no waiting for anything.
fn a_moment(random: &mut Rng) {
    std::thread::sleep(Duration::from_micros(random.u64(0..8_000)));
}

#[test]
fn what_was_confirmed_to_killed_processes_is_there() {
    let mut random = random();
    let file = InFile::with_tasks();
    let start = || file.worker(&["work"]);
    let mut processes = [start(), start(), start()];
    let mut said = Said::default();
    for _ in 0..KILLS {
        let victim = &mut processes[random.usize(0..3)];
        for _ in 0..random.usize(1..40) {
            said.take(&victim.line().expect("it works until it is killed"));
        }
        a_moment(&mut random);
        victim.kill();
        while let Some(line) = victim.line() {
            said.take(&line);
        }
        *victim = start();
    }
    // Another goes on at once, beside those that work and after those that were killed.
    let producer = Producer::new(&file.store, "tasks").unwrap();
    let id = producer.enqueue("at once").unwrap().id;
    said.take(&format!("enqueued {id}"));
    for process in &mut processes {
        process.kill();
        while let Some(line) = process.line() {
            said.take(&line);
        }
    }
    assert!(said.count("archived") > 0 && said.count("deleted") > 0);
    said.check(&file.foreign());
    // And as the first to open it.
    let path = file.path();
    drop(producer);
    let _directory = file.close();
    let other = SqliteStore::open(&path).unwrap();
    let consumer = Consumer::new(&other, "tasks").unwrap();
    Producer::new(&other, "tasks").unwrap().enqueue(&1).unwrap();
    assert!(!consumer.dequeue().unwrap().is_empty());
}

#[test]
fn a_file_whose_maker_was_killed_opens() {
    let mut random = random();
    let directory = tempfile::tempdir().unwrap();
    let mut first = 0_u64;
    let mut made = Vec::new();
    for _ in 0..KILLS {
        let mut process = worker(directory.path(), &["make", &first.to_string()]);
        let mut lines: Vec<String> = Vec::new();
        for _ in 0..random.usize(1..10) {
            lines.push(process.line().unwrap());
        }
        a_moment(&mut random);
        process.kill();
        lines.extend(std::iter::from_fn(|| process.line()));
        for line in lines {
            let (what, number) = line.split_once(' ').unwrap();
            let number: u64 = number.parse().unwrap();
            first = first.max(number + 1);
            if what == "made" {
                made.push(number);
            }
        }
    }
    let mut seen = 0;
    for number in 0..first {
        let path = directory.path().join(format!("{number}.db"));
        let (existed, is_made) = (path.exists(), made.contains(&number));
        let store = SqliteStore::open(&path).unwrap();
        store.create_queue("tasks").unwrap();
        let count = store.counts("tasks").unwrap().total();
        // What was not confirmed may have been done.
        assert!(count == 1 || (count == 0 && !is_made), "{number}: {count}");
        Producer::new(&store, "tasks")
            .unwrap()
            .enqueue("one more")
            .unwrap();
        let db = foreign(&path);
        assert_eq!(integrity(&db), "ok");
        assert_eq!(states(&db).len() as u64, count + 1);
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'pgqrs_store'";
        assert_eq!(value::<i64>(&db, tables), 1);
        seen += usize::from(existed && !is_made);
    }
    println!("{first} files; {seen} were killed while they were made");
}
