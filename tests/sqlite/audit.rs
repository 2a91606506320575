//! Whether a file holds all that was confirmed to the processes that worked on it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

/// Every id with its state, as the tables have it.
const STATES: &str = "
    SELECT 'live', id FROM pgqrs_live
    UNION ALL SELECT 'scheduled', id FROM pgqrs_scheduled
    UNION ALL SELECT 'archived', id FROM pgqrs_done
    UNION ALL SELECT 'dead', id FROM pgqrs_dead";

/// What processes said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    enqueued: BTreeSet<i64>,
    /// Archived, dead or deleted: each id once, by one process.
    ended: BTreeMap<i64, String>,
    /// May have been deleted.
    deleting: BTreeSet<i64>,
}

impl Said {
    /// Takes in a line. What is confirmed twice is wrong at once.
    #[track_caller]
    pub(crate) fn take(&mut self, line: &str) {
        let mut words = line.split(' ');
        let what = words.next().unwrap();
        for id in words.map(|id| id.parse().unwrap()) {
            let is_new = match what {
                "enqueued" => self.enqueued.insert(id),
                "deleting" => {
                    self.deleting.insert(id);
                    true
                }
                _ => {
                    let before = self.ended.insert(id, what.to_owned());
                    before.is_none()
                }
            };
            assert!(is_new, "{id} was {what} twice");
        }
    }

    pub(crate) fn enqueued(&self) -> usize {
        self.enqueued.len()
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.ended.values().filter(|ended| *ended == what).count()
    }

    /// Checks that the file has all of it, and each message once. What was not confirmed may be
    /// there as well.
    #[track_caller]
    pub(crate) fn check(&self, db: &Connection) {
        assert_eq!(integrity(db), "ok");
        let states = states(db);
        let bodies: BTreeSet<i64> = column(db, "SELECT id FROM pgqrs_messages");
        let ids: BTreeSet<i64> = states.keys().copied().collect();
        assert_eq!(ids, bodies, "a body for each state, and a state for each");
        let last: i64 = value(db, "SELECT last_message FROM pgqrs_store");
        assert!(ids.iter().all(|id| (1..=last).contains(id)));
        for id in &self.enqueued {
            assert!(
                ids.contains(id) || self.deleting.contains(id),
                "{id} is lost"
            );
        }
        for (id, ended) in &self.ended {
            let state = states.get(id).map_or("deleted", String::as_str);
            assert_eq!(state, ended, "message {id}");
        }
    }
}

/// Each id's state.
///
/// # Panics
///
/// If one has two.
#[track_caller]
pub(crate) fn states(db: &Connection) -> BTreeMap<i64, String> {
    let mut states = BTreeMap::new();
    let mut all = db.prepare(STATES).unwrap();
    let mut rows = all.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (state, id): (String, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
        if let Some(other) = states.insert(id, state) {
            panic!("{id} is {other} and {}", states[&id]);
        }
    }
    states
}

pub(crate) fn integrity(db: &Connection) -> String {
    value(db, "PRAGMA integrity_check")
}

#[track_caller]
pub(crate) fn value<T: rusqlite::types::FromSql>(db: &Connection, sql: &str) -> T {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn column(db: &Connection, sql: &str) -> BTreeSet<i64> {
    let mut all = db.prepare(sql).unwrap();
    let rows = all.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}
