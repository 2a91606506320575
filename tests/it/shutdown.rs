//! The example `graceful_shutdown`, told to end in the middle.

use pgqrs::{Counts, Producer, Store};

use crate::child::{signal, start};
use crate::pg::Pg;
use pgqrs_test_support::{MINUTE, wait_until};

const MESSAGES: u64 = 10_000;

fn queue() -> (Pg, Producer<pgqrs::PgStore>) {
    let pg = Pg::new();
    pg.store.create_queue("graceful").unwrap();
    let producer = Producer::new(pg.store.clone(), "graceful").unwrap();
    (pg, producer)
}

fn counts(pg: &Pg) -> Counts {
    pg.store.counts("graceful").unwrap()
}

/// The numbers of a printed report: fetched, and what became of that.
fn numbers(report: &str) -> Vec<u64> {
    let words = report.split([' ', ':', ',']);
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn a_worker_that_is_told_to_end_gives_back_what_it_has_not_started() {
    let (pg, producer) = queue();
    producer.batch_enqueue(vec![1; MESSAGES as usize]).unwrap();
    let mut process = start(env!("CARGO_BIN_EXE_graceful_shutdown"), &pg);
    wait_until("some messages to be archived", MINUTE, || {
        counts(&pg).archived > 500
    });
    signal(&process, "TERM");
    let status = process.wait();
    assert!(status.success(), "{status}");

    let lines: Vec<String> = std::iter::from_fn(|| process.line()).collect();
    let [working, stopping, report] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert!(working == "working" && stopping.starts_with("stopping"));
    let [fetched, finished, others @ ..] = &numbers(report)[..] else {
        panic!("{report}");
    };
    // Retried, given back, dead-lettered, lost, of unknown fate, abandoned.
    assert_eq!(others, [0, fetched - finished, 0, 0, 0, 0], "{report}");

    let after = counts(&pg);
    assert_eq!(after.archived, *finished, "{report}: {after:?}");
    assert!(after.unfinished() > 0, "it was too quick to be stopped");
    assert_eq!((after.leased, after.dead), (0, 0));
    assert_eq!(after.total(), MESSAGES);
    // Nobody has begun with what is left.
    let charged: i64 = pg.value(
        "SELECT (SELECT count(*) FROM pgqrs_scheduled WHERE attempt <> 0)
              + (SELECT count(*) FROM pgqrs_live WHERE attempt <> 0)",
    );
    assert_eq!(charged, 0);
    let given_back: i64 = pg.value("SELECT count(*) FROM pgqrs_scheduled WHERE read_ct > 0");
    assert_eq!(given_back as u64, fetched - finished);
}

#[test]
fn the_second_signal_ends_a_worker_at_once() {
    const DAY: u64 = 86_400_000;
    let (pg, producer) = queue();
    producer.enqueue(&DAY).unwrap();
    let mut process = start(env!("CARGO_BIN_EXE_graceful_shutdown"), &pg);
    wait_until("the work to begin", MINUTE, || counts(&pg).leased == 1);
    signal(&process, "TERM");
    assert_eq!(process.line().unwrap(), "working");
    assert!(process.line().unwrap().starts_with("stopping"));
    signal(&process, "INT");
    assert_eq!(process.wait().code(), Some(130));
    assert_eq!(process.line(), None, "no report");
}
