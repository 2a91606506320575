//! The example `quickstart` as it is without any setting: on a file where it is started.

use pgqrs::SqliteStore;

use crate::killed_quickstart::is_finished_by_the_next_one;

#[test]
fn a_killed_quickstart_is_finished_by_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("quickstart.db")).unwrap();
    is_finished_by_the_next_one(&store, |command| {
        command
            .env_remove("PGQRS_DSN")
            .current_dir(directory.path());
    });
}
