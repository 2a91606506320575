//! What the tables hold at the end, read as plain SQL: the audit trusts nothing of the library.

use std::collections::BTreeMap;

use postgres::Client;

use super::errand::Errand;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Live,
    Scheduled,
    Archived,
    Dead,
}

#[derive(Debug, Default)]
pub struct Snapshot {
    /// The bodies, by id.
    pub bodies: BTreeMap<i64, Errand>,
    /// The states of each id, with the row's `read_ct`: one, if all is well.
    pub states: BTreeMap<i64, Vec<(State, i32)>>,
    /// The rows that handlers wrote, by message.
    pub effects: BTreeMap<i64, usize>,
}

const STATES: &str = "
    SELECT 0, id, read_ct FROM pgqrs_live
    UNION ALL SELECT 1, id, read_ct FROM pgqrs_scheduled
    UNION ALL SELECT 2, id, read_ct FROM pgqrs_done
    UNION ALL SELECT 3, id, read_ct FROM pgqrs_dead";

impl Snapshot {
    /// Reads the tables on the client's `search_path`, all at one moment.
    pub fn take(client: &mut Client) -> Self {
        let mut snapshot = Self::default();
        let mut tx = client
            .build_transaction()
            .isolation_level(postgres::IsolationLevel::RepeatableRead)
            .start()
            .unwrap();
        for row in tx
            .query("SELECT id, payload::text FROM pgqrs_messages", &[])
            .unwrap()
        {
            let text: String = row.get(1);
            let errand = serde_json::from_str(&text).unwrap();
            snapshot.bodies.insert(row.get(0), errand);
        }
        for row in tx.query(STATES, &[]).unwrap() {
            let state = match row.get::<_, i32>(0) {
                0 => State::Live,
                1 => State::Scheduled,
                2 => State::Archived,
                _ => State::Dead,
            };
            let states = snapshot.states.entry(row.get(1)).or_default();
            states.push((state, row.get(2)));
        }
        for row in tx.query("SELECT message FROM effects", &[]).unwrap() {
            *snapshot.effects.entry(row.get(0)).or_default() += 1;
        }
        tx.rollback().unwrap();
        snapshot
    }

    /// How many messages are in a state.
    pub fn count(&self, state: State) -> usize {
        let all = self.states.values().flatten();
        all.filter(|(found, _)| *found == state).count()
    }
}
