//! Messages on their way into a store: the rules of payloads and keys.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::Message;
use crate::error::{Error, ErrorKind, Result};

/// How deep a payload's arrays and objects may nest: what `serde_json` reads back.
const MAX_DEPTH: usize = 127;

/// How many bytes a key has at most: names and numbers, with room for a hash or two. An index
/// holds them all.
const MAX_KEY: usize = 255;

/// A message on its way into a store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMessage {
    payload: Value,
    key: Option<String>,
}

impl NewMessage {
    /// Makes a message of anything that serializes to JSON.
    ///
    /// # Errors
    ///
    /// [`Payload`](ErrorKind::Payload) if it does not, for example a map whose keys are
    /// not strings.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use pgqrs::{ErrorKind, NewMessage};
    ///
    /// assert!(NewMessage::new(&("send_email", 7)).is_ok());
    /// let error = NewMessage::new(&HashMap::from([((1, 2), 3)])).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Payload);
    /// ```
    pub fn new<T: Serialize + ?Sized>(payload: &T) -> Result<Self> {
        match serde_json::to_value(payload) {
            Ok(payload) => Ok(Self { payload, key: None }),
            Err(error) => {
                let text = format!(
                    "a {} does not serialize to JSON: {error}",
                    std::any::type_name::<T>()
                );
                Err(Error::new(ErrorKind::Payload, text).because(error))
            }
        }
    }

    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &Value {
        &self.payload
    }

    /// Returns the payload, by value.
    #[must_use]
    pub fn into_payload(self) -> Value {
        self.payload
    }

    /// Gives the message a key, by which a queue tells that it has stored it already: an enqueue
    /// can then be repeated, and stores the message once.
    ///
    /// A key stands for one message of its queue, for [`key_retention`](crate::Settings::key_retention)
    /// after the enqueue that stored it (a day, by default; the setting of the store that did is
    /// what counts). Until then an enqueue with the same
    /// key stores nothing, whatever its payload is, and whatever has become of the message: it may
    /// be archived, deleted or purged by now. Its answer is that of the first one: the same id and
    /// `enqueued_at`; `vt` is later by the delay, and the payload the one given. After that time
    /// the key is free again, and when its queue is deleted. The same key twice in a batch is a
    /// repeat as well.
    ///
    /// Take what names the event: an order's number, a request's id; or, where there is nothing
    /// of the sort, a random one that is made before the first try.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the key is not of 1 to 255 bytes, or has the character
    /// `\u0000` in it (PostgreSQL's text has no place for it).
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::{MockStore, NewMessage, Store};
    /// let store = MockStore::new();
    /// let queue = store.create_queue("invoices")?;
    /// let invoice = || NewMessage::new("invoice 17")?.with_key("order 17");
    ///
    /// let first = store.enqueue(queue.id, vec![invoice()?], None)?;
    /// let again = store.enqueue(queue.id, vec![invoice()?], None)?;
    /// assert_eq!(again, first);
    /// assert_eq!(store.counts("invoices")?.ready, 1);
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn with_key(self, key: impl Into<String>) -> Result<Self> {
        let key = key.into();
        check_key(&key)?;
        Ok(Self {
            key: Some(key),
            ..self
        })
    }

    /// Returns the key, if there is one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The message as it stands in a store when it was put there, and nobody has had it.
    pub(crate) fn stored(
        self,
        queue_id: i64,
        id: i64,
        enqueued_at: OffsetDateTime,
        vt: OffsetDateTime,
    ) -> Message {
        Message {
            id,
            queue_id,
            payload: self.payload,
            enqueued_at,
            vt,
            read_ct: 0,
            attempt: 0,
            lapsed: false,
            worker: None,
        }
    }

    /// Returns the payload as JSON text, checked against the rules of every store: at most
    /// `limit` bytes of text, no `\u0000` in a string (PostgreSQL's text has no place for it), arrays
    /// and objects at most 127 deep (what `serde_json` reads back).
    ///
    /// # Errors
    ///
    /// [`Payload`](ErrorKind::Payload), naming the rule and what broke it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::NewMessage;
    /// assert_eq!(NewMessage::new(&[1, 2])?.encode(5)?, "[1,2]");
    /// assert!(NewMessage::new(&[1, 2])?.encode(4).is_err());
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn encode(&self, limit: usize) -> Result<String> {
        let refused = |text: String| Err(Error::new(ErrorKind::Payload, text));
        if deeper_than(&self.payload, MAX_DEPTH) {
            return refused(format!(
                "the payload nests deeper than the {MAX_DEPTH} arrays and objects allowed"
            ));
        }
        let text = self.payload.to_string();
        if text.len() > limit {
            return refused(format!(
                "the payload has {} bytes of JSON text, over the limit of {limit}",
                text.len()
            ));
        }
        // The search of the text is quick and says "maybe": a backslash may stand before it.
        if text.contains("\\u0000") && has_nul(&self.payload) {
            return refused(
                "the payload has the character \\u0000 in a string, which no text in PostgreSQL can have"
                    .to_owned(),
            );
        }
        Ok(text)
    }

    /// Returns the payloads of a batch as [`encode`](Self::encode) does each: what a
    /// [`Store`](crate::Store) does first with the messages it is given.
    ///
    /// # Errors
    ///
    /// [`Payload`](ErrorKind::Payload); in a batch of several, the text begins with the
    /// position of the bad one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pgqrs::NewMessage;
    /// # use serde_json::json;
    /// let batch = [NewMessage::from(json!(1)), NewMessage::from(json!("long"))];
    /// assert_eq!(NewMessage::encode_all(&batch, 6)?, ["1", "\"long\""]);
    /// let error = NewMessage::encode_all(&batch, 5).unwrap_err();
    /// assert!(error.to_string().starts_with("element 1 of the batch: "));
    /// # Ok::<(), pgqrs::Error>(())
    /// ```
    pub fn encode_all(batch: &[Self], limit: usize) -> Result<Vec<String>> {
        batch
            .iter()
            .enumerate()
            .map(|(position, message)| {
                let text = message.encode(limit);
                match batch.len() {
                    1 => text,
                    _ => text.map_err(|error| error.at(position)),
                }
            })
            .collect()
    }
}

impl From<Value> for NewMessage {
    fn from(payload: Value) -> Self {
        Self { payload, key: None }
    }
}

fn check_key(key: &str) -> Result<()> {
    // What is too long is not told in full.
    let shown: String = key.chars().take(40).collect();
    if !(1..=MAX_KEY).contains(&key.len()) {
        return Err(Error::invalid(format!(
            "the key {shown:?} has {} bytes, which is not in 1..={MAX_KEY}",
            key.len()
        )));
    }
    if key.contains('\0') {
        return Err(Error::invalid(format!(
            "the key {shown:?} has the character \\u0000, which no text in PostgreSQL can have"
        )));
    }
    Ok(())
}

fn deeper_than(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth == 0 || items.iter().any(|item| deeper_than(item, depth - 1)),
        Value::Object(fields) => {
            depth == 0 || fields.values().any(|field| deeper_than(field, depth - 1))
        }
        _ => false,
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, field)| name.contains('\0') || has_nul(field)),
        _ => false,
    }
}
