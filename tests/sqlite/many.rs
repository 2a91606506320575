//! Several processes work on one file.

use pgqrs::Store;

use crate::audit::{Said, value};
use crate::file::InFile;

#[test]
fn four_processes_lose_nothing_and_end_nothing_twice() {
    let file = InFile::with_tasks();
    let mut processes: Vec<_> = (0..4).map(|_| file.worker(&["work", "150"])).collect();
    let mut said = Said::default();
    for process in &mut processes {
        while let Some(line) = process.line() {
            said.take(&line);
        }
        assert!(process.wait().success());
    }
    let db = file.foreign();
    said.check(&db);
    let enqueued = said.enqueued();
    let last: i64 = value(&db, "SELECT last_message FROM pgqrs_store");
    assert_eq!(last, enqueued as i64, "each id was said by somebody");
    let counts = file.store.counts("tasks").unwrap();
    assert_eq!(
        (counts.archived, counts.dead),
        (said.count("archived") as u64, said.count("dead") as u64)
    );
    assert_eq!(
        counts.total() + said.count("deleted") as u64,
        enqueued as u64
    );
    for what in ["archived", "dead", "deleted"] {
        assert!(said.count(what) > 0, "the processes did not: {what}");
    }
}
