//! A session in which the server tells how it does what it does.

use std::sync::{Arc, Mutex};

use postgres::{Client, Config, NoTls};
use serde_json::Value;

use crate::pg::Pg;
use crate::sql;

/// A session in which the server reports the plan of everything that runs, also inside of
/// functions.
pub(crate) struct Explained {
    pub(crate) client: Client,
    reports: Arc<Mutex<Vec<String>>>,
}

/// One statement that ran inside of a function.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) query: String,
    pub(crate) tree: Value,
}

impl Explained {
    pub(crate) fn new(pg: &Pg) -> Self {
        let reports = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&reports);
        let mut config: Config = pg.schema.dsn().parse().unwrap();
        config.notice_callback(move |notice| {
            if let Some((_, plan)) = notice.message().split_once("plan:") {
                sink.lock().unwrap().push(plan.to_owned());
            }
        });
        let mut client = config.connect(NoTls).unwrap();
        client
            .batch_execute(&format!(
                "SET search_path TO {};
                 LOAD 'auto_explain';
                 SET auto_explain.log_nested_statements = on;
                 SET auto_explain.log_analyze = on;
                 SET auto_explain.log_buffers = on;
                 SET auto_explain.log_timing = off;
                 SET auto_explain.log_format = json;
                 SET auto_explain.log_level = notice",
                sql::quote(pg.schema.name())
            ))
            .expect("the tests need a role that may LOAD 'auto_explain'");
        Self { client, reports }
    }

    /// Runs a statement and returns the plans of what ran inside of its functions.
    pub(crate) fn plans(&mut self, sql: &str) -> Vec<Plan> {
        self.reports.lock().unwrap().clear();
        self.client
            .batch_execute("SET auto_explain.log_min_duration = 0")
            .unwrap();
        self.client.query(sql, &[]).unwrap();
        self.client
            .batch_execute("SET auto_explain.log_min_duration = -1")
            .unwrap();
        let reports = self.reports.lock().unwrap();
        reports
            .iter()
            .map(|report| serde_json::from_str::<Value>(report).unwrap())
            .filter(|report| report["Query Text"] != sql)
            .map(|report| Plan {
                query: report["Query Text"].as_str().unwrap().to_owned(),
                tree: report["Plan"].clone(),
            })
            .collect()
    }
}

/// A plan's nodes: what sort, over which table, by which index.
pub(crate) fn nodes(tree: &Value) -> Vec<(String, String, String)> {
    let text = |key: &str| tree[key].as_str().unwrap_or_default().to_owned();
    let mut all = vec![(text("Node Type"), text("Relation Name"), text("Index Name"))];
    for child in tree["Plans"].as_array().into_iter().flatten() {
        all.extend(nodes(child));
    }
    all
}

pub(crate) fn pages(tree: &Value) -> i64 {
    let count = |key: &str| tree[key].as_i64().unwrap_or(0);
    count("Shared Hit Blocks") + count("Shared Read Blocks")
}

/// How many rows a plan's nodes read and threw away.
pub(crate) fn thrown_away(tree: &Value) -> f64 {
    let count = |key: &str| tree[key].as_f64().unwrap_or(0.0);
    let removed = count("Rows Removed by Filter") + count("Rows Removed by Index Recheck");
    let children = tree["Plans"].as_array().into_iter().flatten();
    removed * count("Actual Loops") + children.map(thrown_away).sum::<f64>()
}
