//! Databases that hold something else, or another version of ours.

use std::fs;
use std::path::Path;

use pgqrs::{ErrorKind, Producer, Result, SqliteStore, Store};
use rusqlite::Connection;

use crate::audit::{integrity, value};
use crate::file::{InFile, foreign};

/// Another program's database.
fn theirs(path: &Path) {
    let db = Connection::open(path).unwrap();
    db.execute_batch(
        "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT);
         INSERT INTO books (title) VALUES ('Emma'), ('Persuasion');",
    )
    .unwrap();
}

#[track_caller]
fn fails<T>(result: Result<T>, kind: ErrorKind, words: &[&str]) {
    let error = result.map(drop).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not said: {text}");
    }
}

#[test]
fn another_programs_database_is_left_alone_until_install() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("books.db");
    theirs(&path);
    let before = fs::read(&path).unwrap();

    let store = SqliteStore::open(&path).unwrap();
    let words = ["books.db", "run install()"];
    fails(store.create_queue("tasks"), ErrorKind::Schema, &words);
    fails(store.queue("tasks"), ErrorKind::Schema, &words);
    fails(store.queues(), ErrorKind::Schema, &words);
    fails(store.counts("tasks"), ErrorKind::Schema, &words);
    fails(store.register_worker(1, "w"), ErrorKind::Schema, &words);
    drop(store);
    assert!(fs::read(&path).unwrap() == before, "not a byte was changed");

    let store = SqliteStore::open(&path).unwrap();
    store.install().unwrap();
    store.install().unwrap();
    store.create_queue("tasks").unwrap();
    Producer::new(&store, "tasks")
        .unwrap()
        .enqueue("x")
        .unwrap();
    let db = foreign(&path);
    assert_eq!(value::<i64>(&db, "SELECT count(*) FROM books"), 2);
    db.execute_batch("INSERT INTO books (title) VALUES ('Lady Susan')")
        .unwrap();
    assert_eq!(store.counts("tasks").unwrap().ready, 1);
    assert_eq!(integrity(&db), "ok");
}

#[test]
fn a_table_that_has_our_name_is_not_ours() {
    for name in ["pgqrs_queues", "pgqrs_dead", "pgqrs_enqueue"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("theirs.db");
        theirs(&path);
        let db = foreign(&path);
        db.execute_batch(&format!(
            "CREATE TABLE {name} (x); INSERT INTO {name} VALUES (7)"
        ))
        .unwrap();
        let store = SqliteStore::open(&path).unwrap();
        fails(
            store.install(),
            ErrorKind::Schema,
            &["theirs.db", name, "already exists"],
        );
        fails(
            store.create_queue("tasks"),
            ErrorKind::Schema,
            &["run install()"],
        );
        assert_eq!(value::<i64>(&db, &format!("SELECT x FROM {name}")), 7);
        let tables = "SELECT count(*) FROM sqlite_schema";
        assert_eq!(value::<i64>(&db, tables), 2, "none of ours is left");
        assert_eq!(value::<i64>(&db, "SELECT count(*) FROM books"), 2);
        assert_eq!(integrity(&db), "ok");
    }
}

/// The one by which we know that we are there.
#[test]
fn a_table_that_is_named_like_our_version_is_not_ours() {
    for sql in [
        "CREATE TABLE pgqrs_store (x)",
        "CREATE TABLE pgqrs_store (schema_version)",
        "CREATE TABLE pgqrs_store (schema_version); INSERT INTO pgqrs_store VALUES ('one')",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("theirs.db");
        foreign(&path).execute_batch(sql).unwrap();
        let before = fs::read(&path).unwrap();
        fails(
            SqliteStore::open(&path),
            ErrorKind::Schema,
            &["theirs.db", "pgqrs_store"],
        );
        assert!(fs::read(&path).unwrap() == before);
    }
}

fn set_version(file: &InFile, version: i64) {
    let sql = "UPDATE pgqrs_store SET schema_version = ?1";
    file.foreign().execute(sql, [version]).unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    let file = InFile::with_tasks();
    set_version(&file, 2);
    let words = ["queue.db", "version 2", "newer", "update the program"];
    fails(SqliteStore::open(file.path()), ErrorKind::Schema, &words);
    fails(file.store.install(), ErrorKind::Schema, &words);
    let path = file.path();
    let directory = file.close();

    let before = fs::read(&path).unwrap();
    fails(SqliteStore::open(&path), ErrorKind::Schema, &words);
    assert!(fs::read(&path).unwrap() == before, "nothing was written");
    assert!(!directory.path().join("queue.db-wal").exists());
}

#[test]
fn an_older_schema_is_told_of() {
    let file = InFile::with_tasks();
    set_version(&file, 0);
    let store = SqliteStore::open(file.path()).unwrap();
    let words = ["queue.db", "version 0", "older", "run install()"];
    fails(store.queue("tasks"), ErrorKind::Schema, &words);
    let words = ["queue.db", "version 0", "no way"];
    fails(store.install(), ErrorKind::Schema, &words);
    let version = "SELECT schema_version FROM pgqrs_store";
    assert_eq!(value::<i64>(&file.foreign(), version), 0);
}
