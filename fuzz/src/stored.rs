//! Payloads and times as a database has them, whoever wrote them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use pgqrs::time::OffsetDateTime;
use pgqrs::{ErrorKind, Message, NewMessage, fuzzing};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::planted;

/// Any bytes are a payload or a reason why they are none. A payload keeps every rule but that of
/// `\u0000`, means the same to who reads it as a type of its own, and can be sent on.
pub fn stored(data: &[u8]) {
    let (micros, _) = data.split_first_chunk().unwrap_or((&[0; 8], &[]));
    check_dates(i64::from_le_bytes(*micros));

    let payload = fuzzing::payload(data);
    // What SQLite's store calls.
    let in_file = serde_json::from_slice::<Value>(data);
    assert_eq!(payload.as_ref().ok(), in_file.as_ref().ok());
    let Ok(mut payload) = payload else {
        return;
    };
    assert!(depth(&payload) <= 127);
    let sent_on = NewMessage::from(payload.clone()).encode(usize::MAX);
    assert_eq!(sent_on.is_err(), has_nul(&payload));
    if let Ok(text) = sent_on {
        let again = fuzzing::payload(text.as_bytes()).expect("what is taken can be read");
        assert_eq!(again, payload);
        assert_eq!(again.to_string(), text); // 0.0 == -0.0
    }

    if planted()
        && let Some(items) = payload.as_array_mut()
    {
        items.truncate(2);
    }
    let message = Message {
        id: 7,
        queue_id: 1,
        payload,
        enqueued_at: OffsetDateTime::UNIX_EPOCH,
        vt: OffsetDateTime::UNIX_EPOCH,
        read_ct: 1,
        attempt: 1,
        lapsed: false,
        worker: Some(1),
    };
    read_as::<i64>(&message, data);
    read_as::<u8>(&message, data);
    read_as::<f64>(&message, data);
    read_as::<bool>(&message, data);
    read_as::<char>(&message, data);
    read_as::<String>(&message, data);
    read_as::<Option<u64>>(&message, data);
    read_as::<Vec<Value>>(&message, data);
    read_as::<(i32, String)>(&message, data);
    read_as::<BTreeMap<String, Value>>(&message, data);
    read_as::<BTreeMap<i64, Value>>(&message, data);
    assert_eq!(message.json::<Value>().unwrap(), message.payload);
}

/// The type's own reader, given the text, makes the same of it.
fn read_as<T: DeserializeOwned + PartialEq + Debug>(message: &Message, data: &[u8]) {
    let (ours, direct) = (message.json::<T>(), serde_json::from_slice::<T>(data));
    match (ours, direct) {
        (Ok(ours), Ok(direct)) => assert_eq!(ours, direct),
        (Err(error), Err(_)) => {
            assert_eq!(error.kind(), ErrorKind::Payload);
            let start = format!(
                "the payload of message 7 is not a {}: ",
                std::any::type_name::<T>()
            );
            assert!(error.to_string().starts_with(&start), "{error}");
        }
        // A number as a field's name may have an escape in it for us, as it has none any more by then.
        (Ok(_), Err(_)) if data.contains(&b'\\') => {}
        (ours, direct) => panic!("{ours:?} is {direct:?}"),
    }
}

/// Every number is a date, and later ones are not before earlier ones: infinity too.
fn check_dates(micros: i64) {
    let (dates, next) = (
        fuzzing::dates(micros),
        fuzzing::dates(micros.saturating_add(1)),
    );
    assert!(dates[0] >= dates[1]); // 2000 and 1970
    assert!(next[0] >= dates[0] && next[1] >= dates[1]);
}

/// How deep arrays and objects nest: 0 for what is neither.
pub(crate) fn depth(value: &Value) -> usize {
    let (mut level, mut depth) = (vec![value], 0);
    loop {
        level = level.into_iter().flat_map(children).collect();
        match level.is_empty() {
            // An empty array is a level without children.
            true => return depth,
            false => depth += 1,
        }
    }
}

/// Those of a value's array or object; the empty one has `null`, to be a level.
fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) if items.is_empty() => vec![&Value::Null],
        Value::Object(fields) if fields.is_empty() => vec![&Value::Null],
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

/// Whether U+0000 is in a string or in a field's name.
pub(crate) fn has_nul(value: &Value) -> bool {
    let mut values = vec![value];
    while let Some(value) = values.pop() {
        let names = value
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.keys());
        if names
            .map(String::as_str)
            .chain(value.as_str())
            .any(|text| text.contains('\0'))
        {
            return true;
        }
        values.extend(children(value));
    }
    false
}
