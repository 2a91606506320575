//! A payload's way as its users see it: a value of their type in, and the same out.

use std::collections::{BTreeMap, HashMap};

use arbitrary::{Arbitrary, Unstructured};
use pgqrs::time::OffsetDateTime;
use pgqrs::{ErrorKind, Message, NewMessage, fuzzing};
use serde::{Deserialize, Serialize};

use crate::planted;
use crate::stored::{depth, has_nul};

/// What is taken comes back the same.
pub fn typed(data: &[u8]) {
    let Ok(sent) = Order::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    let new = match NewMessage::new(&sent) {
        Ok(new) => new,
        Err(error) => {
            // JSON's numbers, as this library has them, end there.
            let wide = sent.all().any(|order| {
                i64::try_from(order.wide).is_err() && u64::try_from(order.wide).is_err()
            });
            assert!(wide, "{error}");
            assert_eq!(error.kind(), ErrorKind::Payload);
            return;
        }
    };
    let text = match new.encode(usize::MAX) {
        Ok(text) => text,
        Err(_) => {
            assert!(depth(new.payload()) > 127 || has_nul(new.payload()));
            return;
        }
    };
    let message = Message {
        id: 7,
        queue_id: 1,
        payload: fuzzing::payload(text.as_bytes()).expect("what is taken can be read"),
        enqueued_at: OffsetDateTime::UNIX_EPOCH,
        vt: OffsetDateTime::UNIX_EPOCH,
        read_ct: 1,
        attempt: 1,
        lapsed: false,
        worker: Some(1),
    };
    let mut received: Order = message.json().expect("it is an Order");
    if planted() {
        received.kinds.truncate(5);
    }
    assert_eq!(received, sent);
}

/// One field of every kind that serde knows.
#[derive(Arbitrary, Serialize, Deserialize, PartialEq, Debug)]
struct Order {
    unit: (),
    flag: bool,
    small: i8,
    signed: i64,
    unsigned: u64,
    wide: i128,
    #[arbitrary(with = finite)]
    real: f64,
    #[arbitrary(with = finite_single)]
    single: f32,
    letter: char,
    text: String,
    bytes: Vec<u8>,
    maybe: Option<u32>,
    pair: (i32, String),
    kinds: Vec<Kind>,
    by_name: HashMap<String, i16>,
    by_number: BTreeMap<i64, bool>,
    by_letter: BTreeMap<char, u8>,
    by_flag: BTreeMap<bool, u8>,
    by_kind: BTreeMap<Plain, u8>,
    result: Result<u8, String>,
    inner: Option<Box<Order>>,
}

impl Order {
    /// It, and those in it.
    fn all(&self) -> impl Iterator<Item = &Order> {
        std::iter::successors(Some(self), |order| order.inner.as_deref())
    }
}

#[derive(Arbitrary, Serialize, Deserialize, PartialEq, Debug)]
enum Kind {
    Unit,
    New(i64),
    Tuple(u8, String),
    Struct {
        maybe: Option<bool>,
        #[arbitrary(with = finite)]
        real: f64,
    },
    More(Box<Kind>),
}

#[derive(Arbitrary, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Plain {
    First,
    Second,
}

/// `serde_json` writes `null` for what is no number, and nothing can be done about it here: the
/// type is gone by then.
fn finite(bytes: &mut Unstructured<'_>) -> arbitrary::Result<f64> {
    let any = f64::arbitrary(bytes)?;
    Ok(if any.is_finite() { any } else { 0.5 })
}

fn finite_single(bytes: &mut Unstructured<'_>) -> arbitrary::Result<f32> {
    let any = f32::arbitrary(bytes)?;
    Ok(if any.is_finite() { any } else { 0.5 })
}
