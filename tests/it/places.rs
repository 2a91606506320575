//! Rows find what belongs to them by their place in sorted arrays of ids: with none left out,
//! with gaps, and far apart.

use pgqrs::Producer;
use postgres::Client;

use crate::pg::Pg;

/// Of so many messages every `step`-th takes part.
const STEPS: [i64; 4] = [1, 2, 3, 10];
const PARTS: i64 = 50;

/// A queue of which only every `step`-th message is left, each with counts of its own. Their ids.
fn every(step: i64) -> (Pg, Client, Vec<i64>) {
    let pg = Pg::with_tasks();
    Producer::new(&pg.store, "tasks")
        .unwrap()
        .batch_enqueue(0..PARTS * step)
        .unwrap();
    let mut client = pg.client();
    client
        .execute("DELETE FROM pgqrs_live WHERE id % $1 <> 0", &[&step])
        .unwrap();
    client
        .execute(
            "UPDATE pgqrs_live SET read_ct = id % 7, attempt = id % 5",
            &[],
        )
        .unwrap();
    let ids = "SELECT array_agg(id ORDER BY id) FROM pgqrs_live";
    let ids: Vec<i64> = client.query_one(ids, &[]).unwrap().get(0);
    assert_eq!(ids.len(), 50);
    (pg, client, ids)
}

#[test]
fn a_dequeue_gives_each_message_its_own_counts_and_body() {
    for step in STEPS {
        let (_pg, mut client, ids) = every(step);
        let rows = client
            .query(
                "SELECT id, read_ct, attempt, payload::text::bigint FROM pgqrs_dequeue(1, 7, 100, '1 hour')
                 ORDER BY id",
                &[],
            )
            .unwrap();
        let got: Vec<(i64, i32, i32, i64)> = rows
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
            .collect();
        let own = |id: &i64| {
            let count = |modulus: i64| i32::try_from(id % modulus).unwrap() + 1;
            (*id, count(7), count(5), id - 1)
        };
        assert_eq!(got, ids.iter().map(own).collect::<Vec<_>>(), "step {step}");
    }
}

#[test]
fn an_archive_takes_what_each_receipt_owns_and_no_neighbour() {
    for step in STEPS {
        let (_pg, mut client, ids) = every(step);
        // Two deliveries that are not these, and the last message is not named.
        client
            .execute(
                "UPDATE pgqrs_live SET worker = 7, vt = now() + interval '1 hour'",
                &[],
            )
            .unwrap();
        let named = &ids[..ids.len() - 1];
        let mut workers = vec![7_i64; named.len()];
        workers[10] = 8;
        let mut read_cts: Vec<i32> = named
            .iter()
            .map(|id| i32::try_from(id % 7).unwrap())
            .collect();
        read_cts[20] += 1;
        read_cts[30] = -1;
        let archive = "SELECT pgqrs_archive(1, $1, $2, $3)";
        let row = client
            .query_one(archive, &[&named, &workers, &read_cts])
            .unwrap();
        let mut changed: Vec<i64> = row.get(0);
        changed.sort_unstable();
        let left = [ids[10], ids[20], ids[49]];
        let taken: Vec<i64> = ids
            .iter()
            .copied()
            .filter(|id| !left.contains(id))
            .collect();
        assert_eq!(changed, taken, "step {step}");
        let live = "SELECT array_agg(id ORDER BY id) FROM pgqrs_live";
        let live: Vec<i64> = client.query_one(live, &[]).unwrap().get(0);
        assert_eq!(live, left, "step {step}");
    }
}
