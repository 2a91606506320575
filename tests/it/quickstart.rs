//! The example `quickstart` on PostgreSQL.

use crate::pg::Pg;
use pgqrs_tests::quickstart::is_finished_by_the_next_one;

const PROGRAM: &str = env!("CARGO_BIN_EXE_quickstart_on_both");

#[test]
fn a_killed_quickstart_is_finished_by_the_next_one() {
    let pg = Pg::new();
    is_finished_by_the_next_one(PROGRAM, &pg.store, |command| {
        command
            .env("PGQRS_DSN", pg.schema.dsn())
            .env("PGQRS_SCHEMA", pg.schema.name());
    });
}
