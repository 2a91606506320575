//! The example `quickstart` as it is without any setting: on a file where it is started.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use pgqrs::{SqliteStore, Store};
use pgqrs_tests::quickstart::Quickstart;

const PROGRAM: &str = env!("CARGO_BIN_EXE_quickstart_on_both");

/// Without settings.
fn quickstart(directory: &Path) -> Quickstart<'_> {
    Quickstart {
        program: PROGRAM,
        settings: &[],
        directory,
    }
}

#[test]
fn a_killed_quickstart_is_finished_by_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("quickstart.db")).unwrap();
    // The file's writers are the processes themselves.
    quickstart(directory.path()).is_finished_by_the_next_one(&store, || true);
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
    sums_what_is_not_its_own(&quickstart(directory.path()), Path::new("."));
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
        settings: &[(
            "PGQRS_DSN",
            &format!("sqlite://{}", link.join("q").display()),
        )],
        directory: directory.path(),
    };
    sums_what_is_not_its_own(&quickstart, &link);
}

#[test]
fn the_sums_are_those_of_the_last_run() {
    let directory = tempfile::tempdir().unwrap();
    let files = tempfile::tempdir().unwrap();
    let (kept, gone) = (files.path().join("kept"), files.path().join("gone"));
    fs::write(&kept, "before").unwrap();
    fs::write(&gone, "before").unwrap();
    let quickstart = quickstart(directory.path());
    quickstart.run(files.path());
    fs::write(&kept, "after").unwrap();
    fs::remove_file(&gone).unwrap();
    quickstart.run(files.path());
    let sums = fs::read_to_string(directory.path().join("quickstart.sha256")).unwrap();
    // printf after | sha256sum
    let sum = "f39592393ef0859cb196a52693d2cea00fb2df784b3c04ae54aa7cadb8e562f8";
    let kept = kept.canonicalize().unwrap();
    assert_eq!(sums, format!("{sum}  {}\n", kept.display()));
}

/// A name that is no text: its file cannot be read by the text that stands for it.
#[test]
fn a_file_that_cannot_be_read_is_a_dead_letter() {
    let directory = tempfile::tempdir().unwrap();
    let files = tempfile::tempdir().unwrap();
    let folder = files.path().join(OsStr::from_bytes(b"f\xff"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("one"), "one").unwrap();
    let quickstart = quickstart(directory.path());
    let said = quickstart.run(&folder);
    assert!(said.contains("1 dead-lettered"), "{said}");
    assert!(quickstart.summed().is_empty());
    let store = SqliteStore::open(directory.path().join("quickstart.db")).unwrap();
    assert_eq!(store.counts("quickstart").unwrap().dead, 1);
}
