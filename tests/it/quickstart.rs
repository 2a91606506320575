//! The example `quickstart` on PostgreSQL.

use pgqrs_tests::quickstart::Quickstart;

use crate::pg::Pg;

#[test]
fn a_killed_quickstart_is_finished_by_the_next_one() {
    let pg = Pg::new();
    let directory = tempfile::tempdir().unwrap();
    let quickstart = Quickstart {
        program: env!("CARGO_BIN_EXE_quickstart_on_both"),
        settings: &[
            ("PGQRS_DSN", pg.schema.dsn()),
            ("PGQRS_SCHEMA", pg.schema.name()),
        ],
        directory: directory.path(),
    };
    quickstart.is_finished_by_the_next_one(&pg.store);
}
