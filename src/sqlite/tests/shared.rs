//! Calls that share a transaction, and what one of them does to the others.

use std::fs;
use std::thread;
use std::time::Instant;

use super::*;
use crate::producer::Producer;

const CALLS: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);

/// What each call answered, in order; or how its thread panicked.
type Answers = Vec<thread::Result<Result<Vec<Message>>>>;

/// Has calls made by a thread each, in this order. The first has a transaction of its own, and
/// all the others stand in the line when the second one begins.
fn together(store: &SqliteStore, call: impl Fn(usize) -> Result<Vec<Message>> + Sync) -> Answers {
    thread::scope(|scope| {
        let mut threads = Vec::new();
        store.inner.line.with_writer(|_| {
            for number in 0..CALLS {
                let call = &call;
                threads.push(scope.spawn(move || call(number)));
                let began = Instant::now();
                while store.inner.line.behind() != Some(number) {
                    assert!(began.elapsed() < MINUTE, "call {number} is not in the line");
                    thread::yield_now();
                }
            }
        });
        threads.into_iter().map(|thread| thread.join()).collect()
    })
}

/// How many commits there are in the log: frames with the size that the database has then.
fn commits(file: &InFile) -> usize {
    const HEADER: usize = 32;
    const FRAME: usize = 24 + 4096;
    let log = fs::read(file.directory.path().join("queue.db-wal")).unwrap();
    let frames = log[HEADER..].chunks(FRAME);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

/// Checks that there is what was confirmed, and nothing else.
#[track_caller]
fn check(file: &InFile, answers: &Answers) -> usize {
    let confirmed = answers.iter().flatten().flatten().flatten();
    let mut confirmed: Vec<i64> = confirmed.map(|message| message.id).collect();
    confirmed.sort_unstable();
    let db = file.connect();
    let mut all = db.prepare("SELECT id FROM pgqrs_live ORDER BY id").unwrap();
    let ids = all.query_map([], |row| row.get(0)).unwrap();
    let ids: Vec<i64> = ids.map(std::result::Result::unwrap).collect();
    assert_eq!(ids, confirmed);
    let whole: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
    ids.len()
}

fn with_tasks() -> (InFile, Producer<SqliteStore>) {
    let file = InFile::new();
    file.store.create_queue("tasks").unwrap();
    let producer = Producer::new(file.store.clone(), "tasks").unwrap();
    (file, producer)
}

fn one(producer: &Producer<SqliteStore>) -> Result<Vec<Message>> {
    producer.batch_enqueue([1])
}

fn kind(answer: &thread::Result<Result<Vec<Message>>>) -> Option<ErrorKind> {
    let answer = answer.as_ref().expect("it did not panic");
    answer.as_ref().err().map(Error::kind)
}

#[test]
fn calls_that_come_together_share_a_commit() {
    let (file, producer) = with_tasks();
    let before = commits(&file);
    let answers = together(&file.store, |_| one(&producer));
    assert_eq!(check(&file, &answers), CALLS);
    assert_eq!(commits(&file) - before, 2, "the first, and all the others");
}

#[test]
fn a_call_that_breaks_a_rule_harms_no_other() {
    let (file, producer) = with_tasks();
    let before = commits(&file);
    let answers = together(&file.store, |number| match number {
        7 => {
            let message = NewMessage::new("x")?;
            file.store.enqueue(999, vec![message], None)
        }
        _ => one(&producer),
    });
    for (number, answer) in answers.iter().enumerate() {
        let expected = (number == 7).then_some(ErrorKind::UnknownQueue);
        assert_eq!(kind(answer), expected, "{number}");
    }
    assert_eq!(check(&file, &answers), CALLS - 1);
    assert_eq!(commits(&file) - before, 2);
}

#[test]
fn a_call_that_fails_in_the_middle_leaves_nothing_among_the_others() {
    let (file, producer) = with_tasks();
    let answers = together(&file.store, |number| match number {
        7 => file.store.write("fail", Flush::Yes, move |db| {
            let message = [NewMessage::from(serde_json::json!(1))];
            enqueue(db, &Batch::new(1, &message, None, &Settings::default())?)?;
            db.execute("INSERT INTO nowhere VALUES (1)", [])?;
            Ok(Vec::new())
        }),
        _ => one(&producer),
    });
    assert_eq!(kind(&answers[7]), Some(ErrorKind::Schema));
    assert_eq!(check(&file, &answers), CALLS - 1);
}

/// There is no room for one call's payloads, and there is for the others'.
#[test]
fn a_call_too_large_for_the_disk_is_alone_in_its_fault() {
    let (file, producer) = with_tasks();
    let allow = |pages: i64| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        let set = |db: &Connection| db.query_row(&sql, [], |row| row.get::<_, i64>(0));
        file.store.inner.line.with_writer(set).unwrap()
    };
    let small = allow(1); // it cannot be smaller than it is
    allow(small + 30);
    let answers = together(&file.store, |number| match number {
        7 => producer.batch_enqueue(["x".repeat(100_000), "x".repeat(200_000)]),
        _ => one(&producer),
    });
    for (number, answer) in answers.iter().enumerate() {
        match kind(answer) {
            None => assert_ne!(number, 7),
            kind => assert_eq!(kind, Some(ErrorKind::Unavailable), "{number}"),
        }
    }
    let large = answers[7].as_ref().unwrap().as_ref().unwrap_err();
    assert!(large.to_string().contains("full"), "{large}");
    assert!(check(&file, &answers) > 0);
    allow(1_000_000);
    producer.enqueue(&"x".repeat(100_000)).unwrap();
}

/// As SQLite does by itself after some failures.
#[test]
fn who_shares_a_transaction_that_is_undone_is_told_so() {
    let (file, producer) = with_tasks();
    let answers = together(&file.store, |number| match number {
        7 => file.store.write("fail", Flush::Yes, move |db| {
            db.execute_batch("ROLLBACK")?;
            Err(Error::new(ErrorKind::Unexpected, "undone").into())
        }),
        _ => one(&producer),
    });
    for (number, answer) in answers.iter().enumerate() {
        let expected = match number {
            1..7 => Some(ErrorKind::Unavailable),
            7 => Some(ErrorKind::Unexpected),
            _ => None,
        };
        assert_eq!(kind(answer), expected, "{number}");
    }
    assert_eq!(check(&file, &answers), CALLS - 7);
}

#[test]
fn a_panic_in_the_work_of_one_hangs_nobody() {
    let (file, producer) = with_tasks();
    let answers = together(&file.store, |number| match number {
        7 => file
            .store
            .write("panic", Flush::Yes, |_| panic!("on purpose")),
        _ => one(&producer),
    });
    // One of them did the work of all, and has panicked; the others are told.
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    for answer in answers.iter().flatten() {
        let kind = answer.as_ref().err().map(Error::kind);
        assert!(
            matches!(kind, None | Some(ErrorKind::FateUnknown)),
            "{kind:?}"
        );
    }
    check(&file, &answers);
    // Nothing is left open: others can write at once, and so can the store.
    let other = file.connect();
    other.busy_timeout(Duration::ZERO).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap();
    one(&producer).unwrap();
}

/// SQLite would wait as long again, after the store has.
#[test]
fn only_the_store_waits_for_its_turn_to_write() {
    let file = InFile::new();
    let timeout = |db: &Connection| db.query_row("PRAGMA busy_timeout", [], |row| row.get(0));
    let timeout: i64 = file.store.inner.line.with_writer(timeout).unwrap();
    assert_eq!(timeout, 0);
}
