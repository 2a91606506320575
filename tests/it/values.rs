//! Payloads that are hard on a database.

use pgqrs::{Consumer, ErrorKind, Producer, Store};
use serde_json::{Value, json};

use crate::pg::Pg;

#[test]
fn a_payload_of_one_mebibyte() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    // Random text, which no compression makes small.
    let text: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(1024 * 1024 - 2)
        .collect();
    producer.enqueue(&text).unwrap();
    let messages = Consumer::new(&pg.store, "tasks")
        .unwrap()
        .dequeue()
        .unwrap();
    assert_eq!(messages[0].payload, json!(text));
    let error = producer.enqueue(&format!("{text}x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Payload);
    assert!(error.to_string().contains("1048577 bytes"), "{error}");
}

#[test]
fn u0000_is_refused_with_the_rule_by_us_and_by_the_server() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let error = producer.enqueue("a\0b").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Payload);
    assert!(error.to_string().contains(r"\u0000"), "{error}");
    // The rule is jsonb's: people would not get at it in psql.
    let refused = pg.client().batch_execute(r#"SELECT '"a\u0000b"'::jsonb"#);
    assert_eq!(refused.unwrap_err().code().unwrap().code(), "22P05");
    assert_eq!(pg.store.counts("tasks").unwrap().total(), 0);
}

#[test]
fn unicode_comes_back_as_it_was() {
    let pg = Pg::with_tasks();
    let payload =
        json!({"grüße": "😀 \u{202e}ab\u{fffd}\u{1}\\u0000 \"'\n", "漢": ["", "\u{10ffff}"]});
    Producer::new(&pg.store, "tasks")
        .unwrap()
        .enqueue(&payload)
        .unwrap();
    let messages = Consumer::new(&pg.store, "tasks")
        .unwrap()
        .dequeue()
        .unwrap();
    assert_eq!(messages[0].payload, payload);
}

#[test]
fn what_no_client_can_read_goes_to_the_dead_letters_and_its_batch_goes_on() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    producer.enqueue("before").unwrap();
    pg.client()
        .batch_execute("SELECT pgqrs_enqueue('tasks', '1e999')")
        .unwrap();
    producer.enqueue("after").unwrap();
    let consumer = Consumer::new(&pg.store, "tasks").unwrap();
    let payloads: Vec<Value> = consumer
        .dequeue()
        .unwrap()
        .into_iter()
        .map(|m| m.payload)
        .collect();
    assert_eq!(payloads, ["before", "after"]);
    assert_eq!(pg.store.counts("tasks").unwrap().dead, 1);
    let error: String = pg.value("SELECT error FROM pgqrs_dead_letters");
    assert!(error.starts_with("the payload cannot be read: "), "{error}");
}
