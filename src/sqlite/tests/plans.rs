//! Every statement's plan: by key, and in its order.

use super::*;
use crate::sqlite::sql::ALL;

/// What these are for is to go through all there is of a queue, or through the queues.
const READ_MANY: &[&str] = &["QUEUES"];

fn plan(db: &Connection, text: &str) -> Vec<String> {
    let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
    let count = explain.parameter_count();
    let nothing = vec![rusqlite::types::Null; count];
    let steps = explain.query_map(rusqlite::params_from_iter(nothing), |row| row.get(3));
    steps.unwrap().map(Result::unwrap).collect()
}

/// What is wrong with a plan.
fn faults(steps: &[String]) -> Vec<&String> {
    let is_bad = |step: &&String| {
        // The table of one row.
        (step.starts_with("SCAN") && !step.contains("pgqrs_store") && !step.contains("CONSTANT"))
            || step.contains("TEMP B-TREE")
            || step.contains("AUTOMATIC")
    };
    steps.iter().filter(is_bad).collect()
}

#[test]
fn no_statement_walks_over_a_table_or_sorts() {
    let file = InFile::new();
    let db = file.connect();
    assert!(ALL.len() > 30);
    for analyzed in [false, true] {
        if analyzed {
            db.execute_batch("ANALYZE").unwrap();
        }
        for (name, text) in ALL {
            let steps = plan(&db, text);
            let faults = faults(&steps);
            assert_eq!(
                faults.is_empty(),
                !READ_MANY.contains(name),
                "{name}: {steps:?}"
            );
        }
    }
}

#[test]
fn a_bad_plan_is_found() {
    let file = InFile::new();
    let db = file.connect();
    for text in [
        "SELECT id FROM pgqrs_live WHERE vt <= 1",
        "SELECT id FROM pgqrs_live WHERE queue_id = 1 ORDER BY vt",
        "DELETE FROM pgqrs_messages WHERE queue_id = 1",
    ] {
        let steps = plan(&db, text);
        assert!(!faults(&steps).is_empty(), "{text}: {steps:?}");
    }
}
