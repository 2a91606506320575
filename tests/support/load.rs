//! What the load drivers put into their queues.

use serde_json::{Value, json};

/// `count` payloads of so many bytes as JSON text, `{"p":"…"}`: random letters and digits,
/// so that they do not compress.
pub fn payloads(count: usize, bytes: usize) -> Vec<Value> {
    let letters = bytes.saturating_sub(r#"{"p":""}"#.len());
    let mut random = fastrand::Rng::with_seed(1);
    let payload = |_| {
        let text: String = (0..letters).map(|_| random.alphanumeric()).collect();
        json!({ "p": text })
    };
    (0..count).map(payload).collect()
}
