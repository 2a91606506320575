//! Payloads come out as they went in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::scene::*;
use crate::Harness;
use pgqrs::ErrorKind;

/// Sends the payloads, and checks what enqueue and dequeue answer with.
#[track_caller]
fn survive(h: &impl Harness, sent: Vec<Value>) {
    let tasks = tasks(h);
    let stored = tasks.producer.batch_enqueue(&sent).unwrap();
    let got = tasks.drain();
    assert_eq!(payloads(&stored), Vec::from_iter(&sent));
    assert_eq!(payloads(&got), Vec::from_iter(&sent));
}

/// A payload need not be an object, nor hold anything.
pub fn every_shape_of_payload_survives(h: &impl Harness) {
    survive(
        h,
        vec![
            json!(null),
            json!(true),
            json!(false),
            json!(0),
            json!(""),
            json!("text"),
            json!([]),
            json!({}),
            json!([null, [], {}, ""]),
            json!({"": {"": []}, "null": null}),
            json!({"deep": [{"er": [[[{"still": [1, "2", 3.5, null]}]]]}]}),
        ],
    );
}

/// Whole numbers keep every digit, up to the ends of their types.
pub fn whole_numbers_survive(h: &impl Harness) {
    survive(
        h,
        vec![
            json!(i64::MIN),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(-1),
            json!(9_007_199_254_740_993_u64), // has no float
            json!([0, 10, 100, 1_000_000, 1_000_000_000_000_000_000_u64]),
        ],
    );
}

/// A float comes back as the same number: to the last bit, and readable at all. A store may
/// write it in other digits, so it may come back as a whole number.
pub fn floats_survive_as_numbers(h: &impl Harness) {
    let tasks = tasks(h);
    let sent = [
        0.5,
        -2.25,
        0.1,
        std::f64::consts::PI,
        123_456_789.123_456_79,
        1e-7,
        1e3,
        1e16,
        1e300,
        5e-324,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
    ];
    tasks.producer.batch_enqueue(sent).unwrap();
    let got = tasks.drain();
    let got = got.iter().map(|message| message.payload.as_f64().unwrap());
    assert_eq!(Vec::from_iter(got), sent);
}

/// Text is any Unicode but U+0000, in keys as in values.
pub fn unicode_survives(h: &impl Harness) {
    let texts = [
        "Grüße, 世界, שלום, мир",
        "🦀👩‍👩‍👧‍👦",
        "e\u{301} is not \u{e9}",
        "\u{1}\u{8}\t\n\r\u{1f}\u{7f}\u{80}\u{9f}",
        "\u{200b}\u{2028}\u{2029}\u{feff}\u{fffd}\u{fffe}\u{ffff}",
        "\u{10000}\u{10ffff}",
        r#"quotes ' " ` and \ / backslashes"#,
        "%s $1 {} :name ? -- ; /* */",
        "  space around  ",
    ];
    let keys: Map<String, Value> = texts
        .map(|text| (text.to_owned(), json!(1)))
        .into_iter()
        .collect();
    survive(h, vec![json!(texts), Value::Object(keys)]);
}

/// Text that merely looks like an escaped U+0000 is text.
pub fn the_text_of_an_escaped_nul_survives(h: &impl Harness) {
    let texts = [r"\u0000", r"\\u0000", r"a\u0000b", r"u0000", r"\\\u0000"];
    survive(h, vec![json!(texts), json!({r"\u0000": r"\u0000"})]);
}

/// Arrays and objects may nest 127 deep.
pub fn payloads_nested_127_deep_survive(h: &impl Harness) {
    survive(h, vec![nested_arrays(127), nested_objects(127)]);
}

/// Deeper ones are refused: they could be stored, but not read.
pub fn payloads_nested_128_deep_are_refused(h: &impl Harness) {
    let tasks = tasks(h);
    for payload in [
        nested_arrays(128),
        nested_objects(128),
        nested_arrays(1_000),
    ] {
        let refused = tasks.producer.enqueue(&payload);
        assert_error(refused, ErrorKind::Payload, "127");
    }
    assert_eq!(tasks.counts(), NONE);
}

fn nested_arrays(depth: usize) -> Value {
    (1..depth).fold(json!([]), |inner, _| json!([0, inner]))
}

fn nested_objects(depth: usize) -> Value {
    (1..depth).fold(json!({}), |inner, _| json!({"a": inner}))
}

/// `json` gives the payload back as the type that went in.
pub fn typed_payloads_survive(h: &impl Harness) {
    let tasks = tasks(h);
    type Order = (String, Option<u32>, BTreeMap<String, Vec<i8>>);
    let pieces = BTreeMap::from([("a".to_owned(), vec![1, -2]), ("b".to_owned(), vec![])]);
    let order: Order = ("order".to_owned(), None, pieces);
    tasks.producer.enqueue(&order).unwrap();
    let got = tasks.lease_one(&tasks.consumer());
    assert_eq!(got.json::<Order>().unwrap(), order);
}

/// Asked for as another type, a payload is an error that names the message; the message
/// itself is none the worse.
pub fn a_payload_of_another_type_is_an_error(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let sent = tasks.producer.enqueue("text").unwrap();
    let got = tasks.lease_one(&consumer);
    let wrong = got.json::<u32>();
    assert_error(wrong, ErrorKind::Payload, &sent.id.to_string());
    assert!(consumer.archive(&got).unwrap());
}

/// The body never changes, however often the message is delivered.
pub fn the_body_stays_the_same_through_all_deliveries(h: &impl Harness) {
    let tasks = tasks(h);
    let consumer = tasks.consumer();
    let sent = tasks
        .producer
        .enqueue(&json!({"n": [1, 2.5, "three"]}))
        .unwrap();
    let first = tasks.lease_one(&consumer);
    assert!(consumer.release(&first, Duration::ZERO).unwrap());
    let second = tasks.lease_one(&consumer);
    assert!(consumer.retry(&second, HOUR).unwrap());
    h.advance(HOUR);
    let third = tasks.lease_one(&consumer);
    h.advance(HOUR);
    let fourth = tasks.lease_one(&consumer);
    for got in [first, second, third, fourth] {
        assert_eq!((got.id, &got.payload), (sent.id, &sent.payload));
    }
}
