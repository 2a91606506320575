//! What goes into the queues.

use serde_json::Value;

use crate::support::load::payloads;

/// As many different payloads as the largest batch has.
const DIFFERENT: usize = 1_000;

/// Payloads of one size: as values for the libraries that want to turn them into JSON
/// themselves, and as text for the statements by hand.
pub(crate) struct Load {
    pub(crate) values: Vec<Value>,
    pub(crate) texts: Vec<String>,
}

impl Load {
    pub(crate) fn new(bytes: usize) -> Self {
        let values = payloads(DIFFERENT, bytes);
        let texts = values.iter().map(Value::to_string).collect();
        Self { values, texts }
    }

    /// The batches that make up `messages`, as places in the two lists.
    pub(crate) fn batches(
        messages: usize,
        batch: usize,
    ) -> impl Iterator<Item = std::ops::Range<usize>> {
        let batch = batch.min(DIFFERENT);
        (0..messages).step_by(batch).map(move |sent| {
            let from = sent % DIFFERENT;
            let from = if from + batch > DIFFERENT { 0 } else { from };
            from..from + batch.min(messages - sent)
        })
    }
}
