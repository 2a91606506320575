//! The example `quickstart` as it is without any setting: on a file where it is started.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use pgqrs::SqliteStore;
use pgqrs_tests::quickstart::Quickstart;

const PROGRAM: &str = env!("CARGO_BIN_EXE_quickstart_on_both");

#[test]
fn a_killed_quickstart_is_finished_by_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("quickstart.db")).unwrap();
    let quickstart = Quickstart {
        program: PROGRAM,
        dsn: None,
        directory: directory.path(),
    };
    quickstart.is_finished_by_the_next_one(&store);
}

/// Names that are almost those of its own files.
const OTHERS: [&str; 4] = ["quickstart.db.txt", "quickstart.dbx", "queue", "another.db"];

/// Twice, as only the second one finds sums.
#[track_caller]
fn sums_what_is_not_its_own(quickstart: &Quickstart<'_>, folder: &Path) {
    for name in OTHERS {
        fs::write(quickstart.directory.join(name), name).unwrap();
    }
    let directory = quickstart.directory.canonicalize().unwrap();
    let expected = OTHERS.map(|name| directory.join(name));
    for _ in 0..2 {
        quickstart.run(folder);
        assert_eq!(quickstart.summed(), expected.clone().into());
    }
}

#[test]
fn a_quickstart_leaves_its_own_files_alone() {
    let directory = tempfile::tempdir().unwrap();
    let quickstart = Quickstart {
        program: PROGRAM,
        dsn: None,
        directory: directory.path(),
    };
    sums_what_is_not_its_own(&quickstart, Path::new("."));
}

#[test]
fn a_quickstart_knows_its_database_by_another_path() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    symlink(directory.path(), &link).unwrap();
    // A link to the database in the folder, too.
    symlink(directory.path().join("q"), directory.path().join("to-q")).unwrap();
    let quickstart = Quickstart {
        program: PROGRAM,
        dsn: Some(&format!("sqlite://{}", link.join("q").display())),
        directory: directory.path(),
    };
    sums_what_is_not_its_own(&quickstart, &link);
}
