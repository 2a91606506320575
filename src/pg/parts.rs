//! Large batches, cut into what one statement takes.

use super::pool::Run;
use super::row::{self, Stored};
use crate::message::NewMessage;

/// How much goes to the server in one statement.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Of payloads, as JSON text.
    pub(super) bytes: usize,
    pub(super) messages: usize,
}

/// A larger batch takes several statements, in one transaction: memory on both sides stays
/// bounded, and the protocol's limit of 1 GB is out of reach.
pub(super) const STATEMENT: Size = Size {
    bytes: 16 * 1024 * 1024,
    messages: 10_000,
};

/// What one statement takes.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    /// The payloads.
    pub(super) texts: &'a [String],
    /// The same messages, for their keys.
    pub(super) messages: &'a [NewMessage],
}

/// Where all parts of a batch go, and how.
#[derive(Clone, Copy)]
pub(super) struct To {
    pub(super) queue_id: i64,
    pub(super) delay: Option<i64>,
    /// For how long keys are remembered.
    pub(super) retention: i64,
}

/// Cuts a batch into what one statement takes each.
pub(super) fn statements<'a>(
    mut texts: &'a [String],
    mut messages: &'a [NewMessage],
    most: Size,
) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    while !texts.is_empty() {
        let mut bytes = 0;
        let fits = |text: &&String| {
            bytes += text.len();
            bytes <= most.bytes
        };
        let count = texts.iter().take(most.messages).take_while(fits).count();
        let (part, more) = texts.split_at(count.max(1));
        let (same, others) = messages.split_at(part.len());
        parts.push(Part {
            texts: part,
            messages: same,
        });
        (texts, messages) = (more, others);
    }
    parts
}

pub(super) fn enqueue_parts(
    db: &mut impl Run,
    to: To,
    parts: &[Part<'_>],
) -> Result<Stored, postgres::Error> {
    let mut stored = Stored::default();
    for part in parts {
        stored.append(row::enqueue(db, to, *part)?);
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_by_count_and_by_bytes() {
        let sizes = |texts: Vec<String>| -> Vec<usize> {
            let messages = vec![NewMessage::from(serde_json::json!(1)); texts.len()];
            statements(&texts, &messages, STATEMENT)
                .iter()
                .map(|part| part.texts.len())
                .collect()
        };
        assert_eq!(sizes(vec![]), [] as [usize; 0]);
        assert_eq!(sizes(vec!["1".to_owned(); 10_001]), [10_000, 1]);
        assert_eq!(sizes(vec!["x".repeat(STATEMENT.bytes / 2); 3]), [2, 1]);
        assert_eq!(sizes(vec!["x".repeat(STATEMENT.bytes + 1); 2]), [1, 1]);
    }

    #[test]
    fn each_part_has_its_own_keys() {
        let number = |n: usize| NewMessage::from(serde_json::json!(n));
        let messages: Vec<_> = (0..5)
            .map(|n| number(n).with_key(n.to_string()).unwrap())
            .collect();
        let texts = NewMessage::encode_all(&messages, 10).unwrap();
        let two = Size {
            bytes: 100,
            messages: 2,
        };
        let parts = statements(&texts, &messages, two);
        assert_eq!(parts.len(), 3);
        let all = parts.iter().flat_map(|part| part.messages);
        let keys: Vec<_> = all.filter_map(NewMessage::key).collect();
        assert_eq!(keys, texts);
        assert!(parts.iter().all(|p| p.texts.len() == p.messages.len()));
    }
}
