//! What the load drivers have in common.

use postgres::Client;
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

/// How many bytes of write-ahead log the server has written.
pub fn wal_position(monitor: &mut Client) -> Result<i64, postgres::Error> {
    let sql = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
    monitor.query_one(sql, &[])?.try_get(0)
}
