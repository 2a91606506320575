//! The plans of an enqueue with keys: the ones we mean, whatever is in the table of keys by now.

use postgres::Client;
use serde_json::Value;

use crate::explained::{Explained, Plan, nodes, pages, thrown_away};
use crate::pg::Pg;

/// How many keys the table gets.
const MANY: i64 = 100_000;

/// 100 messages each; `{n}` is another number each time.
const CALLS: &[&str] = &[
    // new keys
    "SELECT * FROM pgqrs_enqueue_once(1, array_fill('1'::json, ARRAY[100]), {new}, '1 day')",
    "SELECT * FROM pgqrs_enqueue_once(1, array_fill('1'::json, ARRAY[100]), {new}, '1 day', '1 hour')",
    // repeats
    "SELECT * FROM pgqrs_enqueue_once(1, array_fill('1'::json, ARRAY[100]), {known}, '1 day')",
    "SELECT * FROM pgqrs_enqueue_once(1, array_fill('1'::json, ARRAY[100]), {free}, '1 day')",
    // half of them without
    "SELECT * FROM pgqrs_enqueue_once(1, array_fill('1'::json, ARRAY[100]), ({new})[51:] || array_fill(NULL::text, ARRAY[50]), '1 day')",
    "SELECT pgqrs_enqueue('tasks', '1', NULL, 'key {n}')",
];

fn calls(session: &mut Explained, round: i64, mut then: impl FnMut(&str, &[Plan])) {
    let keys = |what: &str, from: i64| {
        let to = from + 99;
        format!("ARRAY(SELECT '{what} ' || g FROM generate_series({from}, {to}) g)")
    };
    for (call, number) in CALLS.iter().zip(1..) {
        let n = round * 10_000 + number * 1_000;
        let text = call
            .replace("{new}", &keys("new", n))
            .replace("{known}", &keys("known", 7_777))
            .replace("{free}", &keys("free", n))
            .replace("{n}", &n.to_string());
        then(&text, &session.plans(&text));
    }
}

/// Half of the keys are free again.
fn fill(client: &mut Client) {
    client
        .batch_execute(&format!(
            "INSERT INTO pgqrs_keys (queue_id, key, id, enqueued_at, expires_at)
             SELECT 1, CASE g % 2 WHEN 0 THEN 'free ' ELSE 'known ' END || g / 2, g, now(),
                    CASE g % 2 WHEN 0 THEN now() - g * interval '1 ms' ELSE now() + g * interval '1 s' END
             FROM generate_series(1, {MANY}) g"
        ))
        .unwrap();
}

/// Whether a part of a plan reads a table.
fn reads_a_table(tree: &Value) -> bool {
    nodes(tree).iter().any(|(_, table, _)| !table.is_empty())
}

fn sorts(tree: &Value) -> bool {
    let children = tree["Plans"].as_array().into_iter().flatten();
    (tree["Node Type"] == "Sort" && reads_a_table(tree)) || children.into_iter().any(sorts)
}

/// What is sorted is the batch, and nothing that is read. The limits are for 100 messages, and the
/// 328 keys that are removed with them.
fn check(call: &str, plans: &[Plan]) {
    assert!(plans.len() >= 4, "little was reported of {call}");
    for Plan { query, tree } in plans {
        let nodes = nodes(tree);
        for (node, table, index) in &nodes {
            let wrong = matches!(
                node.as_str(),
                "Seq Scan" | "Bitmap Heap Scan" | "Hash Join" | "Merge Join" | "Gather"
            );
            assert!(
                !wrong,
                "{call}: {node} {table} {index}\n{query}\n{nodes:#?}"
            );
            assert!(
                index.is_empty() || index.starts_with("pgqrs_") && index.ends_with("key"),
                "{call}: {node} by {index}"
            );
        }
        assert!(!sorts(tree), "{call} sorts what it read:\n{query}");
        let (pages, thrown_away) = (pages(tree), thrown_away(tree));
        assert!(pages < 4_000, "{call} touched {pages} pages:\n{query}");
        assert!(
            thrown_away <= 400.0,
            "{call} read {thrown_away} rows for nothing:\n{query}"
        );
    }
}

fn queue_without_autovacuum() -> (Pg, Client) {
    let pg = Pg::with_tasks();
    let mut client = pg.client();
    for table in ["keys", "messages", "live", "scheduled", "queues"] {
        let sql = format!("ALTER TABLE pgqrs_{table} SET (autovacuum_enabled = off)");
        client.batch_execute(&sql).unwrap();
    }
    (pg, client)
}

/// More often than it takes the server to settle on a plan.
fn settle_on_plans(session: &mut Explained) {
    for round in 0..7 {
        calls(session, round, |_, _| {});
    }
}

#[test]
fn plans_made_on_no_keys_are_good_on_many() {
    let (pg, mut client) = queue_without_autovacuum();
    let mut session = Explained::new(&pg);
    settle_on_plans(&mut session);
    client.batch_execute("TRUNCATE pgqrs_keys").unwrap();
    fill(&mut client);
    calls(&mut session, 10, check);
    client.batch_execute("ANALYZE pgqrs_keys").unwrap();
    calls(&mut session, 11, check);
    calls(&mut Explained::new(&pg), 12, check);
}

#[test]
fn plans_made_on_keys_that_were_counted_as_none_are_good_on_many() {
    let (pg, mut client) = queue_without_autovacuum();
    let count =
        "VACUUM ANALYZE pgqrs_keys, pgqrs_messages, pgqrs_live, pgqrs_scheduled, pgqrs_queues";
    client.batch_execute(count).unwrap();
    let mut session = Explained::new(&pg);
    settle_on_plans(&mut session);
    // Not by TRUNCATE, after which the server would plan anew.
    client.batch_execute("DELETE FROM pgqrs_keys").unwrap();
    fill(&mut client);
    calls(&mut session, 10, check);
}

#[test]
fn plans_on_keys_that_were_never_counted_are_good() {
    let (pg, mut client) = queue_without_autovacuum();
    fill(&mut client);
    calls(&mut Explained::new(&pg), 10, check);
}

#[test]
fn plans_on_very_many_keys_are_good() {
    let (pg, mut client) = queue_without_autovacuum();
    fill(&mut client);
    client.batch_execute("ANALYZE pgqrs_keys").unwrap();
    // As if each page held a thousand times as much.
    client
        .batch_execute(
            "UPDATE pg_class SET reltuples = reltuples * 1000 WHERE oid = 'pgqrs_keys'::regclass",
        )
        .unwrap();
    let mut session = Explained::new(&pg);
    session
        .client
        .batch_execute(
            "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
             SET min_parallel_index_scan_size = 0; SET min_parallel_table_scan_size = 0",
        )
        .unwrap();
    calls(&mut session, 10, check);
}
