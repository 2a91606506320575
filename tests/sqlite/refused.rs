//! Paths at which no queue can be, and odd ones at which one can: what is there is left as it is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgqrs::{ErrorKind, Producer, SqliteStore, Store};
use tempfile::TempDir;

use crate::alone;
use pgqrs_test_support::MINUTE;
use pgqrs_tests::sleeper::Sleeper;

/// What is in a directory. (Not for a file that this process has open: closing it would end
/// SQLite's locks.)
fn files(directory: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let entries = fs::read_dir(directory).unwrap();
    let mut all: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let bytes = path.is_file().then(|| fs::read(&path).unwrap());
            (path, bytes)
        })
        .collect();
    all.sort();
    all
}

/// Tries to open, which is refused with an error that names the path and says `why`, and leaves
/// everything as it was.
#[track_caller]
fn refused(directory: &Path, path: &Path, kind: ErrorKind, why: &str) {
    let before = files(directory);
    let error = SqliteStore::open(path).map(drop).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    assert!(text.contains(why), "{text}");
    let named = path.file_name().unwrap_or_default().to_string_lossy();
    assert!(text.contains(&*named), "{text}");
    assert!(files(directory) == before, "{path:?} was changed");
}

/// A directory with a file of these bytes.
fn file_of(bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("not a queue");
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

/// The bytes of a good file with some messages in it.
fn good_bytes() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("good.db");
    let store = SqliteStore::open(&path).unwrap();
    store.create_queue("tasks").unwrap();
    let producer = Producer::new(store, "tasks").unwrap();
    producer.batch_enqueue(0..2_000).unwrap();
    drop(producer);
    let names: Vec<PathBuf> = files(directory.path()).into_iter().map(|f| f.0).collect();
    assert_eq!(
        names.len(),
        2,
        "the log goes with the last store: {names:?}"
    );
    fs::read(&path).unwrap()
}

#[test]
fn files_of_another_kind_are_refused() {
    let mut noise = vec![0; 20_000];
    fastrand::Rng::new().fill(&mut noise);
    noise[0] = b'x';
    let text = "to do: buy milk\n".repeat(1_000).into_bytes();
    for bytes in [
        &text[..],
        &text[..16],
        &noise[..],
        b"xy",
        b"x",
        &[0],
        &[0; 8192],
    ] {
        let (directory, path) = file_of(bytes);
        refused(
            directory.path(),
            &path,
            ErrorKind::Invalid,
            "is not an SQLite database",
        );
    }
}

#[test]
fn a_truncated_database_is_refused() {
    let good = good_bytes();
    for length in [good.len() / 2, good.len() / 2 / 4096 * 4096, 4096, 5000] {
        let (directory, path) = file_of(&good[..length]);
        refused(directory.path(), &path, ErrorKind::Unexpected, "malformed");
    }
}

/// What is damaged further in is found when it is read, and says so.
#[test]
fn a_damaged_database_says_so() {
    let mut bytes = good_bytes();
    let after_the_schema = bytes.len() / 2;
    bytes[after_the_schema..].fill(0xa5);
    let (directory, path) = file_of(&bytes);
    let attempt = || {
        let store = SqliteStore::open(&path)?;
        let consumer = pgqrs::Consumer::new(&store, "tasks")?;
        consumer.dequeue_many(2_000)
    };
    let error = attempt().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("malformed") && text.contains("not a queue"),
        "{text}"
    );
    drop(directory);
}

#[test]
fn an_empty_file_becomes_a_queue() {
    let (_directory, path) = file_of(b"");
    works(&path);
}

#[test]
fn directories_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let invalid = ErrorKind::Invalid;
    refused(directory.path(), &inner, invalid, "it is a directory");
    let missing = directory.path().join("missing/queue.db");
    refused(directory.path(), &missing, invalid, "there is no directory");
    fs::write(directory.path().join("file"), "").unwrap();
    let below = directory.path().join("file/queue.db");
    refused(directory.path(), &below, invalid, "there is no directory");
}

#[test]
fn what_is_no_ordinary_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let invalid = ErrorKind::Invalid;
    refused(directory.path(), &pipe, invalid, "not an ordinary file");
    let null = Path::new("/dev/null");
    refused(directory.path(), null, invalid, "not an ordinary file");
}

#[test]
fn names_that_mean_nothing_are_refused() {
    let none = SqliteStore::open("").unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Invalid);
    assert!(none.to_string().contains("the path is empty"), "{none}");
    let memory = SqliteStore::open(":memory:").unwrap_err();
    assert_eq!(memory.kind(), ErrorKind::Invalid);
    assert!(memory.to_string().contains("in_memory()"), "{memory}");
    assert!(!Path::new(":memory:").exists());
    let directory = tempfile::tempdir().unwrap();
    let nul = SqliteStore::open(directory.path().join("a\0b")).unwrap_err();
    assert_eq!(nul.kind(), ErrorKind::Invalid, "{nul}");
    assert_eq!(files(directory.path()), []);
    let long = directory.path().join("x".repeat(300));
    refused(directory.path(), &long, ErrorKind::Invalid, "");
}

/// Makes a queue at the path, and uses it from two stores.
#[track_caller]
fn works(path: &Path) {
    let store = SqliteStore::open(path).unwrap();
    store.create_queue("tasks").unwrap();
    Producer::new(&store, "tasks")
        .unwrap()
        .enqueue("x")
        .unwrap();
    let other = SqliteStore::open(path).unwrap();
    assert_eq!(other.counts("tasks").unwrap().ready, 1);
    assert!(fs::exists(path).unwrap(), "{path:?} is the file");
}

#[test]
fn odd_names_are_names() {
    let directory = tempfile::tempdir().unwrap();
    let names: [&[u8]; 9] = [
        b"with spaces",
        b"it's \"quoted\".db",
        "Schlange \u{1f40d} \u{961f}\u{5217}.db".as_bytes(),
        b"not \xff\xfe UTF-8",
        b"percent%20?#&.db",
        b"file:x?mode=memory",
        b"new\nline",
        b"queue.db-wal",
        b"-rf",
    ];
    for name in names {
        works(&directory.path().join(OsStr::from_bytes(name)));
    }
    let made = files(directory.path());
    assert_eq!(made.len(), 2 * names.len(), "each, and its turn: {made:?}");
}

/// In a process of its own, as its directory is changed.
#[test]
fn a_relative_path_is_a_name_in_the_directory_of_now() {
    let name = Path::new("file:x?mode=memory");
    if alone::word().is_some() {
        let store = SqliteStore::open(name).unwrap();
        std::env::set_current_dir("/").unwrap();
        store.create_queue("tasks").unwrap();
        // What waits opens the file once more.
        let sleeper = Sleeper::on(&store);
        let producer = Producer::new(&store, "tasks").unwrap();
        producer.enqueue("x").unwrap();
        assert_eq!(sleeper.next(), "x");
        sleeper.pool.shutdown(MINUTE).unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.current_dir(directory.path());
    let test = "refused::a_relative_path_is_a_name_in_the_directory_of_now";
    alone::run(command, test, "go");
    let store = SqliteStore::open(directory.path().join(name)).unwrap();
    assert_eq!(store.counts("tasks").unwrap().archived, 1);
}
