//! Payloads that somebody wrote by hand, past the library, and that nobody can read.

use std::time::Duration;

use pgqrs::{Consumer, Producer, Store};
use rusqlite::{Connection, ToSql};
use serde_json::{Value, json};

use crate::file::InFile;
use pgqrs_test_support::{MINUTE, wait_until};
use pgqrs_tests::sleeper::Sleeper;

/// Puts a body in as it is.
fn put(db: &Connection, payload: &dyn ToSql) -> rusqlite::Result<()> {
    let tx = db.unchecked_transaction()?;
    tx.execute("UPDATE pgqrs_store SET last_message = last_message + 1", [])?;
    tx.execute(
        "INSERT INTO pgqrs_messages (id, queue_id, enqueued_at, payload)
         SELECT last_message, 1, 0, ?1 FROM pgqrs_store",
        [payload],
    )?;
    tx.execute(
        "INSERT INTO pgqrs_live (queue_id, id, vt) SELECT 1, last_message, 0 FROM pgqrs_store",
        [],
    )?;
    tx.commit()
}

/// With what is said of each.
fn unreadable() -> Vec<(String, &'static str)> {
    vec![
        ("not json".to_owned(), "expected"),
        (String::new(), "EOF"),
        ("1e999".to_owned(), "out of range"),
        ("[".repeat(200) + &"]".repeat(200), "recursion limit"),
        ("{\"a\": 1} trailing".to_owned(), "trailing"),
        (r#""\ud800""#.to_owned(), "hex escape"),
        ("\"a\0b\"".to_owned(), "control character"),
    ]
}

fn reasons(db: &Connection) -> Vec<String> {
    let mut all = db
        .prepare("SELECT error FROM pgqrs_dead ORDER BY id")
        .unwrap();
    let rows = all.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn what_cannot_be_read_is_given_up_and_its_neighbours_are_not() {
    let file = InFile::with_tasks();
    let db = file.foreign();
    let producer = Producer::new(&file.store, "tasks").unwrap();
    let mut good: Vec<Value> = Vec::new();
    for (number, (text, _)) in unreadable().iter().enumerate() {
        put(&db, text).unwrap();
        producer.enqueue(&number).unwrap();
        good.push(json!(number));
    }
    let consumer = Consumer::new(&file.store, "tasks").unwrap();
    let messages = consumer.dequeue().unwrap();
    let found: Vec<Value> = messages.iter().map(|m| m.payload.clone()).collect();
    assert_eq!(found, good);
    let reasons = reasons(&db);
    assert_eq!(reasons.len(), unreadable().len());
    for (reason, (text, why)) in reasons.iter().zip(unreadable()) {
        assert!(
            reason.starts_with("the payload cannot be read: ") && reason.contains(why),
            "{text:?}: {reason}"
        );
    }
}

#[test]
fn text_that_is_no_utf8_is_given_up() {
    let file = InFile::with_tasks();
    let db = file.foreign();
    put(&db, &"placeholder").unwrap();
    let cast = "UPDATE pgqrs_messages SET payload = CAST(x'22ff22' AS TEXT)";
    db.execute(cast, []).unwrap();
    let consumer = Consumer::new(&file.store, "tasks").unwrap();
    assert!(consumer.dequeue().unwrap().is_empty());
    assert_eq!(file.store.counts("tasks").unwrap().dead, 1);
}

#[test]
fn the_schema_refuses_what_is_no_text() {
    let file = InFile::with_tasks();
    let db = file.foreign();
    let blob: Vec<u8> = b"{}".to_vec();
    let nothing: Option<String> = None;
    for (payload, why) in [
        (&blob as &dyn ToSql, "BLOB"),
        (&nothing as &dyn ToSql, "NOT NULL"),
    ] {
        let error = put(&db, payload).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    assert_eq!(file.store.counts("tasks").unwrap().total(), 0);
}

/// As many as fill whole batches, ahead of a good one: they are not taken for an empty queue.
#[test]
fn many_that_cannot_be_read_hide_nothing() {
    let file = InFile::with_tasks();
    let db = file.foreign();
    for _ in 0..30 {
        put(&db, &"not json").unwrap();
    }
    let producer = Producer::new(&file.store, "tasks").unwrap();
    let first = producer.enqueue("first").unwrap();
    let consumer = Consumer::builder(&file.store, "tasks").lock_time(MINUTE);
    let consumer = consumer.build().unwrap();
    let messages = consumer.dequeue_many(10).unwrap();
    assert_eq!(messages.len(), 1);
    put(&db, &"not json").unwrap();
    producer.enqueue("second").unwrap();
    let (archived, more) = consumer.archive_and_dequeue([&messages[0]], 1).unwrap();
    assert_eq!((archived, more.len()), (vec![true], 1));
    assert_eq!(messages[0].id, first.id);

    for _ in 0..30 {
        put(&db, &"not json").unwrap();
    }
    producer.enqueue("third").unwrap();
    let sleeper = Sleeper::with(&file.store, |pool| pool.threads(1).prefetch(0));
    assert_eq!(sleeper.next(), json!("third"));
    wait_until("all to be given up", MINUTE, || {
        file.store.counts("tasks").unwrap().dead == 61
    });
    assert!(consumer.poll(1, Duration::ZERO).unwrap().is_empty());
}
