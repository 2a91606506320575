//! The process that the tests of the SQLite store start, and kill: it tells on standard output
//! what was confirmed to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgqrs::{Consumer, Message, Producer, Result, SqliteStore, Store};

const HOUR: Duration = Duration::from_secs(3_600);

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let path = PathBuf::from(args.next().expect("a path"));
    let words: Vec<String> = args.map(|word| word.into_string().unwrap()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["work", rounds] => work(&path, Some(rounds.parse().unwrap())),
        ["work"] => work(&path, None),
        ["make", first] => make(&path, first.parse().unwrap()),
        ["hog", threads] => hog(&path, threads.parse().unwrap()),
        ["enqueue", text] => {
            let message = Producer::new(SqliteStore::open(&path)?, "tasks")?.enqueue(text)?;
            say("enqueued", &[message.id]);
            Ok(())
        }
        ["lease", millis] => lease(&path, Duration::from_millis(millis.parse().unwrap())),
        _ => panic!("what is {words:?}?"),
    }
}

fn say(what: &str, ids: &[i64]) {
    if !ids.is_empty() {
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        println!("{what} {}", ids.join(" "));
    }
}

/// Those that the answers say yes to.
fn owned(ids: &[i64], answers: &[bool]) -> Vec<i64> {
    let both = ids.iter().zip(answers);
    both.filter(|(_, owned)| **owned)
        .map(|(id, _)| *id)
        .collect()
}

/// Does a bit of everything, and says it, without end or for so many rounds.
fn work(path: &Path, rounds: Option<usize>) -> Result<()> {
    let store = SqliteStore::builder(path).lock_time(HOUR).build()?;
    let producer = Producer::new(&store, "tasks")?;
    // Short, so that what a dead one held comes back while others work.
    let builder = Consumer::builder(&store, "tasks").lock_time(Duration::from_secs(2));
    let consumer = builder.build()?;
    let mut held: Vec<Message> = Vec::new();
    for round in 0.. {
        if rounds.is_some_and(|rounds| round >= rounds) {
            break;
        }
        let count = fastrand::usize(1..12);
        let new: Vec<Message> = match fastrand::u8(0..4) {
            0 => vec![producer.enqueue(&round)?],
            1 => producer.batch_enqueue_delayed(0..count, Duration::from_millis(5))?,
            _ => producer.batch_enqueue(0..count)?,
        };
        say("enqueued", &ids(&new));
        if held.is_empty() {
            held = consumer.dequeue_many(count)?;
        }
        let held_ids = ids(&held);
        let mut next = Vec::new();
        match fastrand::u8(0..10) {
            0 => {
                let answers = consumer.dead_letter_many(&held, "no good")?;
                say("dead", &owned(&held_ids, &answers));
            }
            1 => {
                say("deleting", &held_ids);
                let answers = consumer.delete_many(&held)?;
                say("deleted", &owned(&held_ids, &answers));
            }
            2 => drop(consumer.release_many(&held, Duration::ZERO)?),
            3 => drop(consumer.retry_many(&held, Duration::from_millis(20))?),
            4 => {
                for message in &held {
                    if consumer.archive(message)? {
                        say("archived", &[message.id]);
                    }
                }
            }
            5 | 6 => {
                let answers = consumer.archive_many(&held)?;
                say("archived", &owned(&held_ids, &answers));
            }
            _ => {
                let (answers, more) = consumer.archive_and_dequeue(&held, count)?;
                say("archived", &owned(&held_ids, &answers));
                next = more;
            }
        }
        held = next;
    }
    Ok(())
}

fn ids(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.id).collect()
}

/// Makes one new file after another in a directory, and puts a message in each.
fn make(directory: &Path, first: u64) -> Result<()> {
    for number in first.. {
        println!("making {number}");
        let store = SqliteStore::open(directory.join(format!("{number}.db")))?;
        println!("opened {number}");
        store.create_queue("tasks")?;
        println!("created {number}");
        Producer::new(store, "tasks")?.enqueue(&number)?;
        println!("made {number}");
    }
    Ok(())
}

/// Writes without a pause.
fn hog(path: &Path, threads: usize) -> Result<()> {
    let store = SqliteStore::builder(path).busy_timeout(HOUR).build()?;
    let producer = Producer::new(store, "hog")?;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    producer.batch_enqueue(0..20).unwrap();
                    println!("wrote");
                }
            });
        }
    });
    Ok(())
}

/// Leases one message, and does nothing with it.
fn lease(path: &Path, lock_time: Duration) -> Result<()> {
    let store = SqliteStore::open(path)?;
    let consumer = Consumer::builder(store, "tasks");
    let held = consumer.lock_time(lock_time).build()?.dequeue_many(1)?;
    say("leased", &ids(&held));
    loop {
        std::thread::park(); // until it is killed
    }
}
