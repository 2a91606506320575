//! The server's write-ahead log.

use postgres::Client;

/// How many bytes of write-ahead log the server has written.
pub fn wal_position(monitor: &mut Client) -> Result<i64, postgres::Error> {
    let sql = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
    monitor.query_one(sql, &[])?.try_get(0)
}
