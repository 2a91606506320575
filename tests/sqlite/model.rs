//! The store in memory for tests and the one in SQLite answer the same.

use std::time::{SystemTime, UNIX_EPOCH};

use pgqrs::span_micros;
use rusqlite::Connection;

use crate::audit::value;
use crate::file::InFile;
use pgqrs_test_support::{MINUTE, wait_until};
use pgqrs_tests::model::{Contents, end_in_the_same_state, state};

fn contents(db: &Connection, queue: &str) -> Contents {
    // The views tell the time in whole milliseconds, what became ready in this one is not yet
    // ready to them.
    let latest = span_micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
    wait_until("the millisecond to be over", MINUTE, || {
        value::<i64>(db, "SELECT now FROM pgqrs_now") > latest
    });
    let sql = "
        SELECT CAST(payload AS INTEGER), state, read_ct, attempt FROM pgqrs_queue_contents WHERE queue = ?1
        UNION ALL
        SELECT CAST(payload AS INTEGER), 'archived', read_ct, attempt FROM pgqrs_archive WHERE queue = ?1
        ORDER BY 1";
    let mut all = db.prepare(sql).unwrap();
    let rows = all.query_map([queue], |row| {
        let payload = u64::try_from(row.get::<_, i64>(0)?).unwrap();
        Ok((
            payload,
            state(&row.get::<_, String>(1)?),
            row.get(2)?,
            row.get(3)?,
        ))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn both_stores_end_in_the_same_state() {
    let file = InFile::with_tasks();
    let db = file.foreign();
    let bodies = "SELECT count(*) FROM pgqrs_messages m JOIN pgqrs_queues q ON q.id = m.queue_id
                  WHERE q.name = ?1";
    end_in_the_same_state(
        &file,
        |queue| contents(&db, queue),
        |queue| db.query_row(bodies, [queue], |row| row.get(0)).unwrap(),
    );
}
