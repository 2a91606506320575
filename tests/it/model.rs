//! The in-memory store and PostgreSQL answer the same.

use crate::pg::Pg;
use pgqrs_tests::model::{Contents, end_in_the_same_state, state};

fn contents(pg: &Pg, queue: &str) -> Contents {
    let rows = pg
        .client()
        .query(
            "SELECT payload::text::bigint, state, read_ct, attempt FROM pgqrs_queue_contents WHERE queue = $1
             UNION ALL
             SELECT payload::text::bigint, 'archived', read_ct, attempt FROM pgqrs_archive WHERE queue = $1
             ORDER BY 1",
            &[&queue],
        )
        .unwrap();
    rows.iter()
        .map(|row| {
            let payload = u64::try_from(row.get::<_, i64>(0)).unwrap();
            (payload, state(row.get(1)), row.get(2), row.get(3))
        })
        .collect()
}

#[test]
fn both_stores_end_in_the_same_state() {
    let pg = Pg::new();
    end_in_the_same_state(
        &pg,
        |queue| contents(&pg, queue),
        |queue| {
            pg.value(&format!(
                "SELECT count(*) FROM pgqrs_messages m JOIN pgqrs_queues q ON q.id = m.queue_id
                 WHERE q.name = '{queue}'"
            ))
        },
    );
}
