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
fn u0000_is_refused_with_the_rule_by_us_and_in_psql() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let error = producer.enqueue("a\0b").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Payload);
    assert!(error.to_string().contains(r"\u0000"), "{error}");
    let sql = r#"SELECT pgqrs_enqueue('tasks', '"a\u0000b"')"#;
    let refused = pg.client().batch_execute(sql);
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
        .batch_execute("SELECT pgqrs_enqueue('tasks', '1e999'), pgqrs_enqueue_batch(1, ARRAY['1e200000']::json[])")
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
    assert_eq!(pg.store.counts("tasks").unwrap().dead, 2);
    // The view shows also what jsonb could not hold.
    let sql = "SELECT payload::text, error FROM pgqrs_dead_letters ORDER BY id DESC LIMIT 1";
    let row = pg.client().query_one(sql, &[]).unwrap();
    assert_eq!(row.get::<_, &str>(0), "1e200000");
    let error: String = row.get(1);
    assert!(error.starts_with("the payload cannot be read: "), "{error}");
}

#[test]
fn a_time_that_no_date_can_be_is_bounded() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    producer.batch_enqueue(0..3).unwrap();
    let ends = "UPDATE pgqrs_messages SET enqueued_at = CASE payload::text
                    WHEN '0' THEN '-infinity' WHEN '1' THEN 'infinity' ELSE '2001-02-03 UTC' END::timestamptz";
    pg.client().batch_execute(ends).unwrap();
    let consumer = Consumer::new(&pg.store, "tasks").unwrap();
    let messages = consumer.dequeue().unwrap();
    let years: Vec<i32> = messages.iter().map(|m| m.enqueued_at.year()).collect();
    assert_eq!(years, [-9999, 9999, 2001]);
}
