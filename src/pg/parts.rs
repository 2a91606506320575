//! Large batches, cut into what one statement takes.

use super::pool::Run;
use super::row::{self, Stored};

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

/// Cuts payloads into what one statement takes each.
pub(super) fn statements(texts: &[String], most: Size) -> Vec<&[String]> {
    let mut parts = Vec::new();
    let mut rest = texts;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |text: &&String| {
            bytes += text.len();
            bytes <= most.bytes
        };
        let count = rest.iter().take(most.messages).take_while(fits).count();
        let (part, more) = rest.split_at(count.max(1));
        parts.push(part);
        rest = more;
    }
    parts
}

pub(super) fn enqueue_parts(
    db: &mut impl Run,
    queue_id: i64,
    parts: &[&[String]],
    delay: Option<i64>,
) -> Result<Stored, postgres::Error> {
    let mut stored = Stored::default();
    for part in parts {
        stored.append(row::enqueue(db, queue_id, part, delay)?);
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_by_count_and_by_bytes() {
        let sizes = |texts: Vec<String>| -> Vec<usize> {
            statements(&texts, STATEMENT)
                .iter()
                .map(|part| part.len())
                .collect()
        };
        assert_eq!(sizes(vec![]), [] as [usize; 0]);
        assert_eq!(sizes(vec!["1".to_owned(); 10_001]), [10_000, 1]);
        assert_eq!(sizes(vec!["x".repeat(STATEMENT.bytes / 2); 3]), [2, 1]);
        assert_eq!(sizes(vec!["x".repeat(STATEMENT.bytes + 1); 2]), [1, 1]);
    }
}
