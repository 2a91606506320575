//! Payloads on their way in: any [`Value`], and not only those that a text can have.

use pgqrs::{ErrorKind, NewMessage, fuzzing};
use serde_json::{Map, Number, Value};

use crate::planted;
use crate::stored::{depth, has_nul};

/// Deep enough to be refused in every way, and not so deep that dropping it takes the whole stack.
const DEEPEST: usize = 300;

/// A payload is taken if, and only if, the three rules allow it; then it has at most `limit` bytes,
/// and is read back as what it was, to the last bit.
pub fn encode(data: &[u8]) {
    let mut bytes = Bytes(data);
    let limit = match bytes.byte() {
        255 => usize::MAX,
        small => usize::from(small) * 16,
    };
    let value = bytes.value(0);
    let is_allowed = depth(&value) <= 127 && !has_nul(&value);
    let mut taken = NewMessage::from(value.clone()).encode(limit);
    if planted()
        && let Ok(text) = &mut taken
    {
        *text = text.replace("\\t", " ");
    }
    match taken {
        Ok(text) => {
            assert!(is_allowed);
            assert!(text.len() <= limit);
            assert!(!text.contains('\0'));
            let read = fuzzing::payload(text.as_bytes()).expect("what is taken can be read");
            assert_eq!(read, value);
            assert_eq!(read.to_string(), text); // 0.0 == -0.0
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Payload);
            assert!(!is_allowed || value.to_string().len() > limit, "{error}");
        }
    }
}

/// A value out of bytes, one after the other; zeros at the end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let (taken, rest) = self.0.split_at(N.min(self.0.len()));
        array[..taken.len()].copy_from_slice(taken);
        self.0 = rest;
        array
    }

    fn text(&mut self) -> String {
        let length = usize::from(self.byte()).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    fn value(&mut self, depth: usize) -> Value {
        if depth == DEEPEST || self.0.is_empty() {
            return Value::Null;
        }
        match self.byte() % 9 {
            0 => Value::Null,
            1 => Value::from(self.byte() & 1 == 0),
            2 => Value::from(i64::from_le_bytes(self.array())),
            3 => Value::from(u64::from_le_bytes(self.array())),
            // Null instead of what is no number.
            4 => Number::from_f64(f64::from_le_bytes(self.array())).into(),
            5 => Value::from(self.text()),
            6 => {
                let length = self.byte() % 16;
                (0..length).map(|_| self.value(depth + 1)).collect()
            }
            7 => {
                let length = self.byte() % 16;
                let fields = (0..length).map(|_| (self.text(), self.value(depth + 1)));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            // Depth for few bytes.
            _ => {
                let levels = usize::from(self.byte()).min(DEEPEST - depth);
                let inner = self.value(depth + levels);
                (0..levels).fold(inner, |inner, level| match level % 2 {
                    0 => Value::Array(vec![inner]),
                    _ => Value::Object(Map::from_iter([("in".to_owned(), inner)])),
                })
            }
        }
    }
}
