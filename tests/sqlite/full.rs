//! A full disk: one of two megabytes, in memory, that only this test's process sees.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use pgqrs::{Consumer, Error, ErrorKind, Producer, SqliteStore, Store};

use crate::alone;
use crate::audit::{Said, integrity, value};
use crate::file::foreign;

/// A process with mounts of its own, where a small disk is at the place of `directory`.
fn with_a_small_disk(directory: &Path) -> Command {
    let is_root = fs::metadata(directory).unwrap().uid() == 0;
    let script = r#"mount -t tmpfs -o size=2m tmpfs "$1" && shift && exec "$@""#;
    let mut command = Command::new("unshare");
    command
        .arg(if is_root { "-m" } else { "-rm" })
        .args(["sh", "-c", script, "sh"])
        .arg(directory)
        .arg(std::env::current_exe().unwrap());
    let mut probe = Command::new("unshare");
    let flags = if is_root { "-m" } else { "-rm" };
    probe.args([flags, "mount", "-t", "tmpfs", "tmpfs"]);
    let works = probe.arg(directory).output();
    assert!(
        works.as_ref().is_ok_and(|output| output.status.success()),
        "this test needs `unshare {flags}` and `mount -t tmpfs` in it (util-linux, and the right \
         to make namespaces): {works:?}"
    );
    command
}

#[track_caller]
fn check(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let text = error.to_string();
    assert!(text.contains("full") && text.contains("queue.db"), "{text}");
}

#[test]
fn a_full_disk_loses_nothing_that_was_confirmed() {
    let Some(directory) = alone::word() else {
        let place = tempfile::tempdir().unwrap();
        let command = with_a_small_disk(place.path());
        let test = "full::a_full_disk_loses_nothing_that_was_confirmed";
        return alone::run(command, test, place.path().to_str().unwrap());
    };
    let directory = Path::new(&directory);
    let (path, ballast) = (directory.join("queue.db"), directory.join("ballast"));
    fs::write(&ballast, vec![1; 700_000]).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    store.create_queue("tasks").unwrap();
    let producer = Producer::new(&store, "tasks").unwrap();
    let consumer = Consumer::new(&store, "tasks").unwrap();
    let mut said = Said::default();
    let payload = "x".repeat(2_000);
    let mut fill = |most: usize| {
        for round in 0..most {
            match producer.batch_enqueue(vec![&payload; 10]) {
                Ok(messages) => messages
                    .iter()
                    .for_each(|message| said.take(&format!("enqueued {}", message.id))),
                Err(error) => return (round, Some(error)),
            }
        }
        (most, None)
    };
    let (rounds, error) = fill(10_000);
    check(&error.expect("the disk is full at some time"));
    assert!(rounds > 5, "{rounds}");
    // All or nothing, again and again; and what needs no room is done.
    for _ in 0..3 {
        let error = producer.batch_enqueue(vec![&payload; 50]).unwrap_err();
        check(&error);
    }
    let confirmed = store.counts("tasks").unwrap().ready;
    assert_eq!(confirmed, rounds as u64 * 10);

    fs::remove_file(&ballast).unwrap();
    let (_, error) = fill(3);
    assert!(error.is_none(), "{error:?}");
    let messages = consumer.dequeue_many(10).unwrap();
    assert_eq!(consumer.archive_many(&messages).unwrap(), vec![true; 10]);
    for message in &messages {
        said.take(&format!("archived {}", message.id));
    }
    let db = foreign(&path);
    said.check(&db);
    assert_eq!(integrity(&db), "ok");
    let bodies = "SELECT count(*) FROM pgqrs_messages";
    assert_eq!(value::<i64>(&db, bodies) as usize, said.enqueued());
    drop((db, producer, consumer));
    drop(store);
    said.check(&foreign(&path));
}

#[test]
fn no_file_is_made_on_a_full_disk() {
    let Some(directory) = alone::word() else {
        let place = tempfile::tempdir().unwrap();
        let command = with_a_small_disk(place.path());
        let test = "full::no_file_is_made_on_a_full_disk";
        return alone::run(command, test, place.path().to_str().unwrap());
    };
    let directory = Path::new(&directory);
    let (path, ballast) = (directory.join("queue.db"), directory.join("ballast"));
    // As much as there is room for.
    fs::write(&ballast, vec![1; 3_000_000]).unwrap_err();
    let error = SqliteStore::open(&path).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("queue.db"), "{error}");
    fs::remove_file(&ballast).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    store.create_queue("tasks").unwrap();
    assert_eq!(integrity(&foreign(&path)), "ok");
}
