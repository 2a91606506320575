//! Every statement prepares, and the plans are the ones we mean: also those that were made
//! while the tables were empty, and those on tables that were never analyzed.

use std::ops::RangeInclusive;

use pgqrs::{PgStore, Store};
use postgres::Client;
use serde_json::Value;

use crate::explained::{Explained, Plan, nodes, pages, thrown_away};
use crate::pg::Pg;
use crate::sql;

const TABLES: &str = "pgqrs_queues, pgqrs_workers, pgqrs_messages, pgqrs_live, pgqrs_scheduled, pgqrs_done, pgqrs_dead, pgqrs_keys";

/// How many messages the tables get.
const MANY: i64 = 100_000;

#[test]
fn every_statement_prepares() {
    let pg = Pg::new();
    let schema = sql::quote(pg.schema.name());
    let mut client = pg.client();
    for statement in sql::ALL {
        let text = sql::in_schema(statement.text, &schema);
        if let Err(error) = client.prepare_typed(&text, statement.types) {
            panic!("{error}\n{text}");
        }
    }
}

/// Checks that plans walk keys and sort nothing, touch few pages, and read few rows that they do
/// not want, whatever is in the tables. The limits are for the 100 messages of each call below:
/// what lies close together, four places per id, is read as a range. Walking all entries of a
/// key takes tens of thousands.
fn check(call: &str, plans: &[Plan]) {
    assert!(!plans.is_empty(), "nothing was reported of {call}");
    for plan in plans {
        let nodes = nodes(&plan.tree);
        for (node, table, index) in &nodes {
            let wrong = matches!(
                node.as_str(),
                "Seq Scan" | "Bitmap Heap Scan" | "Sort" | "Hash Join" | "Merge Join" | "Gather"
            );
            assert!(
                !wrong,
                "{call}: {node} {table} {index}\n{}\n{nodes:#?}",
                plan.query
            );
            assert!(
                index.is_empty() || index.starts_with("pgqrs_") && index.ends_with("key"),
                "{call}: {node} by {index}"
            );
        }
        let pages = pages(&plan.tree);
        assert!(
            pages < 4_000,
            "{call} touched {pages} pages:\n{}",
            plan.query
        );
        let thrown_away = thrown_away(&plan.tree);
        // But a dequeue has to walk over what is leased.
        assert!(
            thrown_away <= 400.0 || call.contains("pgqrs_dequeue"),
            "{call} read {thrown_away} rows for nothing:\n{}",
            plan.query
        );
    }
}

/// The functions' calls, for 100 messages each; `{after}` is an id to start from, `{ids}`
/// are leased to worker 7.
const CALLS: &[&str] = &[
    "SELECT * FROM pgqrs_enqueue_batch(1, array_fill('{\"a\": 1}'::json, ARRAY[100]))",
    "SELECT * FROM pgqrs_enqueue_batch(1, array_fill('{\"a\": 1}'::json, ARRAY[100]), interval '0')",
    "SELECT pgqrs_enqueue('tasks', '1')",
    // due and ready ones, from the start; then ready ones from a hint
    "SELECT * FROM pgqrs_dequeue(1, 7, 100, '1 hour')",
    "SELECT * FROM pgqrs_dequeue(1, 7, 100, '1 hour', {after}, false)",
    "SELECT * FROM pgqrs_dequeue(1, 7, 100, '1 hour', {sparse}, false)",
    "SELECT pgqrs_extend_visibility(1, {ids}, {workers}, {cts}, '1 hour')",
    "SELECT pgqrs_archive(1, {ids}, {workers}, {cts})",
    "SELECT pgqrs_delete(1, {ids}, {workers}, {cts})",
    "SELECT pgqrs_release(1, {ids}, {workers}, {cts}, array_fill(interval '0', ARRAY[100]), array_fill(true, ARRAY[100]))",
    "SELECT pgqrs_dead_letter(1, {ids}, {workers}, {cts}, array_fill('why'::text, ARRAY[100]))",
    // begins to wait, looks ahead over what is scheduled, and ends it
    "SELECT * FROM pgqrs_wait(1)",
    "SELECT * FROM pgqrs_upcoming(1)",
    "SELECT pgqrs_wait_no_more(1)",
];

/// Which ids are leased to worker 7: enough for two rounds.
const LEASED: RangeInclusive<i64> = 1_001..=1_000 + 2 * ROUND;

/// How many ids a round of calls goes through: 5 of the calls, 100 ids with steps of 1 and
/// of 10.
const ROUND: i64 = 5 * (100 + 1_000);

/// From here on, only every tenth id is in the live table.
const SPARSE: i64 = MANY / 2;

/// Makes every call; those that take receipts get the ids after `after`, each twice: with
/// ids that lie close together and with ids that do not.
fn calls(session: &mut Explained, after: i64, mut then: impl FnMut(&str, &[Plan])) {
    let mut after = after;
    for call in CALLS {
        for step in [1, 10] {
            if step > 1 && !call.contains("{ids}") {
                continue;
            }
            let text = fill_in(call, after, step);
            if call.contains("{ids}") {
                after += 100 * step;
            }
            let plans = session.plans(&text);
            then(&text, &plans);
        }
    }
}

fn fill_in(call: &str, after: i64, step: i64) -> String {
    let last = after + 100 * step;
    call.replace("{after}", &after.to_string())
        .replace("{sparse}", &SPARSE.to_string())
        .replace(
            "{ids}",
            &format!("ARRAY(SELECT g FROM generate_series({after} + {step}, {last}, {step}) g)"),
        )
        .replace("{workers}", "array_fill(7::bigint, ARRAY[100])")
        .replace("{cts}", "array_fill(-1, ARRAY[100])")
}

/// Fills the tables behind the functions' back, without any statistics being taken.
fn fill(client: &mut Client) {
    let (from, to) = (LEASED.start(), LEASED.end());
    client
        .batch_execute(&format!(
            "INSERT INTO pgqrs_messages (queue_id, payload) SELECT 1, '1' FROM generate_series(1, {MANY});
             INSERT INTO pgqrs_live (queue_id, id, vt, worker, read_ct)
             SELECT 1, id, CASE WHEN id BETWEEN {from} AND {to} THEN now() + interval '1 year' ELSE now() END,
                    CASE WHEN id BETWEEN {from} AND {to} THEN 7 ELSE 0 END,
                    CASE WHEN id BETWEEN {from} AND {to} THEN 1 ELSE 0 END
             FROM pgqrs_messages
             WHERE queue_id = 1 AND (id <= {SPARSE} OR id % 10 = 0) AND id NOT IN (SELECT id FROM pgqrs_live);
             INSERT INTO pgqrs_scheduled (queue_id, vt, id) SELECT 1, now() + interval '1 year', -g FROM generate_series(1, {MANY}) g;
             INSERT INTO pgqrs_done (queue_id, id, read_ct, attempt) SELECT 1, -g, 1, 1 FROM generate_series(1, {MANY}) g;
             INSERT INTO pgqrs_dead (queue_id, id, read_ct, attempt, error) SELECT 1, -g, 1, 1, '' FROM generate_series(1, {MANY}) g;
             INSERT INTO pgqrs_keys (queue_id, key, id, enqueued_at, expires_at)
             SELECT 1, g, g, now(), now() FROM generate_series(1, {MANY}) g"
        ))
        .unwrap();
}

fn queue_without_autovacuum() -> (Pg, Client) {
    let pg = Pg::with_tasks();
    let mut client = pg.client();
    for table in TABLES.split(", ") {
        let sql = format!("ALTER TABLE {table} SET (autovacuum_enabled = off)");
        client.batch_execute(&sql).unwrap();
    }
    (pg, client)
}

/// More often than it takes the server to settle on a plan.
fn settle_on_plans(session: &mut Explained) {
    for _ in 0..7 {
        calls(session, 0, |_, _| {});
    }
}

#[test]
fn plans_made_on_empty_tables_are_good_on_full_ones() {
    let (pg, mut client) = queue_without_autovacuum();
    let mut session = Explained::new(&pg);
    settle_on_plans(&mut session);
    client
        .batch_execute("TRUNCATE pgqrs_messages, pgqrs_live, pgqrs_scheduled, pgqrs_done, pgqrs_dead RESTART IDENTITY")
        .unwrap();
    fill(&mut client);
    calls(&mut session, 1_000, check);
    client.batch_execute(&format!("ANALYZE {TABLES}")).unwrap();
    calls(&mut session, 1_000 + ROUND, check);
}

/// A table that was never counted is planned for as ten pages at least; one that was counted while
/// it was empty, as the page that it may be by then, and for that a filter seems as good as a key.
/// Sessions keep such plans until the next count.
#[test]
fn plans_made_on_tables_that_were_counted_empty_are_good_on_full_ones() {
    let (pg, mut client) = queue_without_autovacuum();
    client
        .batch_execute(&format!("VACUUM ANALYZE {TABLES}"))
        .unwrap();
    let mut session = Explained::new(&pg);
    settle_on_plans(&mut session);
    // Not by TRUNCATE, after which the server would plan anew.
    client
        .batch_execute(
            "DELETE FROM pgqrs_messages; DELETE FROM pgqrs_live; DELETE FROM pgqrs_scheduled;
             DELETE FROM pgqrs_done; DELETE FROM pgqrs_dead;
             SELECT setval(pg_get_serial_sequence('pgqrs_messages', 'id'), 1, false)",
        )
        .unwrap();
    fill(&mut client);
    calls(&mut session, 1_000, check);
}

#[test]
fn plans_on_tables_that_were_never_analyzed_are_good() {
    let (pg, mut client) = queue_without_autovacuum();
    fill(&mut client);
    calls(&mut Explained::new(&pg), 1_000, check);
}

#[test]
fn plans_on_analyzed_tables_are_good() {
    let (pg, mut client) = queue_without_autovacuum();
    fill(&mut client);
    client.batch_execute(&format!("ANALYZE {TABLES}")).unwrap();
    calls(&mut Explained::new(&pg), 1_000, check);
}

/// The server guesses that a range of unknown bounds holds a two-hundredth of the table,
/// and starts processes for that much.
#[test]
fn plans_on_a_huge_table_are_good() {
    let (pg, mut client) = queue_without_autovacuum();
    fill(&mut client);
    client.batch_execute(&format!("ANALYZE {TABLES}")).unwrap();
    // As if each page held a thousand times as much.
    let sql = "UPDATE pg_class SET reltuples = reltuples * 1000
               WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)";
    client.execute(sql, &[&pg.schema.name()]).unwrap();
    let mut session = Explained::new(&pg);
    session
        .client
        .batch_execute(
            "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
             SET min_parallel_index_scan_size = 0; SET min_parallel_table_scan_size = 0",
        )
        .unwrap();
    calls(&mut session, 1_000, check);
}

#[test]
fn the_dequeue_walks_the_key_of_the_live_table() {
    let (pg, mut client) = queue_without_autovacuum();
    let pick = [("Index Scan", "pgqrs_live_pkey")];
    let all = [
        ("Index Scan", "pgqrs_live_pkey"),
        ("Tid Scan", "pgqrs_live"),
        ("Index Scan", "pgqrs_messages_pkey"),
    ];
    let check = |session: &mut Explained, expected: &[(&str, &str)]| {
        let plans = session.plans("SELECT * FROM pgqrs_dequeue(1, 7, 100, '1 hour', 0, false)");
        let nodes: Vec<_> = plans.iter().flat_map(|plan| nodes(&plan.tree)).collect();
        for (node, name) in expected {
            let found = nodes
                .iter()
                .any(|(n, table, index)| n == node && (table == name || index == name));
            assert!(found, "no {node} of {name}: {nodes:#?}");
        }
    };
    let mut early = Explained::new(&pg);
    check(&mut early, &pick); // empty: nothing is found, so nothing more is run
    client
        .query("SELECT pgqrs_enqueue('tasks', '1')", &[])
        .unwrap();
    check(&mut early, &all); // the rest is planned for one message
    fill(&mut client);
    check(&mut early, &all); // with the plans of the empty table
    check(&mut Explained::new(&pg), &all); // full, never analyzed
    client.batch_execute(&format!("ANALYZE {TABLES}")).unwrap();
    check(&mut Explained::new(&pg), &all);
}

/// The statements that are not behind a function, which serve people: with many queues, a
/// small one is found by keys.
#[test]
fn plans_of_the_other_statements_use_keys() {
    let (pg, mut client) = queue_without_autovacuum();
    fill(&mut client);
    client
        .batch_execute(&format!(
            "INSERT INTO pgqrs_queues (name) SELECT 'queue' || g FROM generate_series(1, 5000) g;
             INSERT INTO pgqrs_workers (queue_id, name) SELECT id, 'w' FROM pgqrs_queues, generate_series(1, 3);
             ANALYZE {TABLES}"
        ))
        .unwrap();
    let schema = sql::quote(pg.schema.name());
    for statement in sql::ALL {
        let text = sql::in_schema(statement.text, &schema);
        // The list of all queues reads them all, and functions have their own tests.
        let whole = text.contains("ORDER BY name");
        if whole || text.contains(".pgqrs_") && text.contains('(') && is_call(&text) {
            continue;
        }
        let args: Vec<&str> = statement
            .types
            .iter()
            .map(|ty| match ty.name() {
                "text" => "'queue77'",
                "int8" => "77",
                "bool" => "true",
                other => panic!("no argument of type {other}"),
            })
            .collect();
        let types: Vec<&str> = statement.types.iter().map(|ty| ty.name()).collect();
        client
            .batch_execute(&format!("PREPARE p ({}) AS {text}", types.join(", ")))
            .unwrap();
        let row = client
            .query_one(
                &format!("EXPLAIN (FORMAT JSON) EXECUTE p ({})", args.join(", ")),
                &[],
            )
            .unwrap();
        client.batch_execute("DEALLOCATE p").unwrap();
        let plan: Value = row.get(0);
        for (node, table, _) in nodes(&plan[0]["Plan"]) {
            assert!(node != "Seq Scan", "{node} {table} in {text}");
        }
    }
}

/// Whether a statement is one call of a function in schema.sql.
fn is_call(text: &str) -> bool {
    !text.contains(".pgqrs_queues")
        && !text.contains(".pgqrs_messages")
        && !text.contains(".pgqrs_live")
}

/// One descent into the index for a batch of neighbours, one each for strangers.
#[test]
fn close_ids_are_read_as_one_range_and_others_one_by_one() {
    let (pg, mut client) = queue_without_autovacuum();
    fill(&mut client);
    let mut session = Explained::new(&pg);
    let mut scans = |call: &str, step: i64, table: &str| {
        let mut found = Vec::new();
        for plan in session.plans(&fill_in(call, 1_000, step)) {
            index_scans(&plan.tree, table, &mut found);
        }
        assert_eq!(found.len(), 1, "{call}: {found:?}");
        found.remove(0)
    };
    let archive = "SELECT pgqrs_archive(1, {ids}, {workers}, {cts})";
    let (cond, _) = scans(archive, 1, "pgqrs_live");
    assert!(cond.contains(">=") && cond.contains("<="), "{cond}");
    let (cond, loops) = scans(archive, 10, "pgqrs_live");
    assert!(!cond.contains(">=") && loops == 100, "{cond} × {loops}");

    let dequeue = "SELECT * FROM pgqrs_dequeue(1, 7, 100, '1 hour', {after}, false)";
    let (cond, loops) = scans(dequeue, 1, "pgqrs_messages");
    assert!(cond.contains(">=") && loops == 1, "{cond} × {loops}");
    let dequeue = "SELECT * FROM pgqrs_dequeue(1, 7, 100, '1 hour', {sparse}, false)";
    let (cond, loops) = scans(dequeue, 1, "pgqrs_messages");
    assert!(!cond.contains(">=") && loops == 100, "{cond} × {loops}");
}

/// The index scans over a table: by what, and how often.
fn index_scans(tree: &Value, table: &str, found: &mut Vec<(String, i64)>) {
    if tree["Node Type"] == "Index Scan" && tree["Relation Name"] == table {
        let loops = tree["Actual Loops"].as_i64().unwrap();
        found.push((tree["Index Cond"].as_str().unwrap().to_owned(), loops));
    }
    for child in tree["Plans"].as_array().into_iter().flatten() {
        index_scans(child, table, found);
    }
}

/// The archive has no key, only a summary of each stretch of 32 pages, in which some messages
/// come late.
#[test]
fn one_archived_message_is_found_without_reading_the_archive() {
    let (pg, mut client) = queue_without_autovacuum();
    client
        .batch_execute(&format!(
            "INSERT INTO pgqrs_messages (queue_id, payload) SELECT 1, '1' FROM generate_series(1, {MANY});
             INSERT INTO pgqrs_done (queue_id, id, read_ct, attempt)
             SELECT 1, id, 1, 1 FROM pgqrs_messages
             ORDER BY id + CASE WHEN id % 2000 = 0 THEN 50000 ELSE 0 END"
        ))
        .unwrap();
    // What autovacuum does.
    client.batch_execute("VACUUM ANALYZE pgqrs_done").unwrap();
    let plan: Value = pg.value(
        "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)
         SELECT * FROM pgqrs_archive WHERE queue = 'tasks' AND id = 70001",
    );
    let plan = &plan[0]["Plan"];
    assert_eq!(plan["Actual Rows"].as_f64(), Some(1.0));
    let all: i64 = pg.value("SELECT pg_relation_size('pgqrs_done') / 8192");
    // One stretch, a second one as the last has no summary until it is full, and keys.
    let pages = pages(plan);
    assert!(pages < 100 && all > 700, "{pages} of {all}\n{plan:#}");
}

#[test]
fn the_store_works_on_plans_of_an_empty_queue() {
    let pg = Pg::with_tasks();
    let store: &PgStore = &pg.store;
    let consumer = pgqrs::Consumer::new(store, "tasks").unwrap();
    for _ in 0..7 {
        assert!(consumer.dequeue().unwrap().is_empty());
    }
    let producer = pgqrs::Producer::new(store, "tasks").unwrap();
    producer.batch_enqueue(0..20_000).unwrap();
    let mut got = 0;
    while got < 20_000 {
        let messages = consumer.dequeue().unwrap();
        assert_eq!(messages.len(), 100, "every batch is full");
        got += messages.len();
        consumer.archive_many(&messages).unwrap();
    }
    assert_eq!(store.counts("tasks").unwrap().archived, 20_000);
}
