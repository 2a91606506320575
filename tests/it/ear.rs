//! Sessions that see whether anybody waits to be woken, and what is said.

use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;

use crate::pg::Pg;
use pgqrs_test_support::{MINUTE, wait_until};

/// The sessions that say they wait for queue 1.
pub(crate) fn waiting(client: &mut Client) -> Vec<i32> {
    let sql = "SELECT pid FROM pg_locks
               WHERE locktype = 'advisory' AND objsubid = 1 AND granted
                 AND (classid::bigint << 32) | objid::bigint = pgqrs_wait_key(1)";
    let rows = client.query(sql, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Waits until nobody waits for queue 1.
#[track_caller]
pub(crate) fn wait_until_nobody_waits(client: &mut Client) {
    wait_until("the advisory lock to be given back", MINUTE, || {
        waiting(client).is_empty()
    });
}

/// A session that listens by hand to what is said of queue 1.
pub(crate) struct Ear {
    listening: Client,
    speaking: Client,
}

impl Ear {
    pub(crate) fn new(pg: &Pg) -> Self {
        let mut listening = pg.client();
        let sql = "DO $$ BEGIN EXECUTE 'LISTEN ' || pgqrs_channel(1); END $$; LISTEN the_end";
        listening.batch_execute(sql).unwrap();
        Self {
            listening,
            speaking: pg.client(),
        }
    }

    /// Takes what has come of all that was committed by now. Notifications arrive in the
    /// order of the commits, so one of our own tells when that is all.
    pub(crate) fn heard(&mut self) -> Vec<String> {
        // All ears of a test run hear it: the session's number tells ours.
        let sql = "SELECT pg_notify('the_end', pg_backend_pid()::text), pg_backend_pid()";
        let ours: i32 = self.speaking.query_one(sql, &[]).unwrap().get(1);
        let mut notifications = self.listening.notifications();
        let mut all = notifications.timeout_iter(MINUTE);
        let mut heard = Vec::new();
        loop {
            let next = all.next().unwrap().expect("our own notification is lost");
            if next.channel() != "the_end" {
                heard.push(next.payload().to_owned());
            } else if next.payload() == ours.to_string() {
                return heard;
            }
        }
    }
}
