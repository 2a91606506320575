//! Files and directories that may not be written. Permissions do not count for root: the checks
//! are made by a process of nobody's then.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgqrs::{ErrorKind, Producer, SqliteStore, Store};

use crate::alone;
use crate::file::foreign;

const NOBODY: u32 = 65_534;

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The names and the contents of what is in a directory.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = paths
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

#[track_caller]
fn refused(path: &Path) {
    let directory = path.parent().unwrap();
    let before = files(directory);
    let error = SqliteStore::open(path).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert!(files(directory) == before, "{directory:?} was changed");
    println!("{text}");
}

#[test]
fn what_may_not_be_written_is_refused_and_left_alone() {
    if let Some(directory) = alone::word() {
        let directory = Path::new(&directory);
        refused(&directory.join("file/queue.db"));
        refused(&directory.join("directory/queue.db"));
        refused(&directory.join("directory/theirs.db"));
        refused(&directory.join("directory/new.db"));
        return;
    }
    let place = tempfile::tempdir().unwrap();
    allow(place.path(), 0o755);
    let is_root = fs::metadata(place.path()).unwrap().uid() == 0;
    for (inner, file_mode, mode) in [("file", 0o444, 0o777), ("directory", 0o666, 0o555)] {
        let inner = place.path().join(inner);
        fs::create_dir(&inner).unwrap();
        let store = SqliteStore::open(inner.join("queue.db")).unwrap();
        store.create_queue("tasks").unwrap();
        Producer::new(store, "tasks").unwrap().enqueue("x").unwrap();
        let theirs = foreign(&inner.join("theirs.db"));
        theirs.execute_batch("CREATE TABLE books (title)").unwrap();
        drop(theirs);
        for (path, _) in files(&inner) {
            allow(&path, file_mode);
        }
        // One that nobody has used for as long as there have been turns.
        fs::remove_file(inner.join("queue.db-turn")).unwrap();
        allow(&inner, mode);
    }
    let program = place.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    allow(&program, 0o755);
    let mut command = Command::new(&program);
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
        .current_dir(place.path())
        .env("TMPDIR", place.path());
    let test = "rights::what_may_not_be_written_is_refused_and_left_alone";
    alone::run(command, test, place.path().to_str().unwrap());
    allow(&place.path().join("directory"), 0o755); // to be removed
}

/// Who shares a file need not be allowed to write to what only the first one made.
#[test]
fn a_turn_of_somebody_elses_can_be_taken() {
    if let Some(directory) = alone::word() {
        let store = SqliteStore::open(Path::new(&directory).join("queue.db")).unwrap();
        Producer::new(&store, "tasks")
            .unwrap()
            .enqueue("x")
            .unwrap();
        assert_eq!(store.counts("tasks").unwrap().ready, 1);
        return;
    }
    let place = tempfile::tempdir().unwrap();
    allow(place.path(), 0o777);
    let is_root = fs::metadata(place.path()).unwrap().uid() == 0;
    let path = place.path().join("queue.db");
    let store = SqliteStore::open(&path).unwrap();
    store.create_queue("tasks").unwrap();
    drop(store);
    allow(&path, 0o666);
    allow(&place.path().join("queue.db-turn"), 0o444);
    let program = place.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    allow(&program, 0o755);
    let mut command = Command::new(&program);
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(place.path());
    let test = "rights::a_turn_of_somebody_elses_can_be_taken";
    alone::run(command, test, place.path().to_str().unwrap());
}
