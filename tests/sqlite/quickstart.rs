//! The example `quickstart` as it is without any setting: on a file where it is started.

use pgqrs::SqliteStore;

use pgqrs_tests::quickstart::is_finished_by_the_next_one;

const PROGRAM: &str = env!("CARGO_BIN_EXE_quickstart_on_both");

#[test]
fn a_killed_quickstart_is_finished_by_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("quickstart.db")).unwrap();
    is_finished_by_the_next_one(PROGRAM, &store, |command| {
        command
            .env_remove("PGQRS_DSN")
            .current_dir(directory.path());
    });
}
