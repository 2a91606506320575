//! The example `quickstart` on PostgreSQL.

use crate::killed_quickstart::is_finished_by_the_next_one;
use crate::pg::Pg;

#[test]
fn a_killed_quickstart_is_finished_by_the_next_one() {
    let pg = Pg::new();
    is_finished_by_the_next_one(&pg.store, |command| {
        command
            .env("PGQRS_DSN", pg.schema.dsn())
            .env("PGQRS_SCHEMA", pg.schema.name());
    });
}
