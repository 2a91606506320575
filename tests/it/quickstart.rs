//! The example `quickstart` on PostgreSQL.

use pgqrs_tests::quickstart::Quickstart;

use crate::pg::Pg;
use crate::reconnect::{has_sessions, named};

/// Of its sessions.
const NAME: &str = "pgqrs_quickstart";

#[test]
fn a_killed_quickstart_is_finished_by_the_next_one() {
    let pg = Pg::new();
    let mut client = pg.client();
    let directory = tempfile::tempdir().unwrap();
    let quickstart = Quickstart {
        program: env!("CARGO_BIN_EXE_quickstart_on_both"),
        settings: &[
            ("PGQRS_DSN", &named(pg.schema.dsn(), NAME)),
            ("PGQRS_SCHEMA", pg.schema.name()),
        ],
        directory: directory.path(),
    };
    // A session outlives its client by what the client had sent.
    quickstart.is_finished_by_the_next_one(&pg.store, || !has_sessions(&mut client, NAME));
}
