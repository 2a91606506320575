//! Messages that kill the process that works on them.

use std::collections::HashMap;
use std::time::Duration;

use pgqrs::{Producer, Store};
use pgqrs_testing::Harness;

use crate::child::start;
use crate::ear::{wait_until_nobody_waits, waiting};
use crate::pg::Pg;
use pgqrs_test_support::{MINUTE, wait_until};

/// As long as the worker's lock time.
const LOCK_TIME: Duration = Duration::from_secs(3_600);
const INNOCENT: u64 = 40;

/// The live process, which was the last to register, holds nothing, and there is nothing that it
/// could get.
const NOBODY_BUT_THE_DEAD_HAS_ANYTHING: &str = "
    SELECT NOT EXISTS (SELECT FROM pgqrs_scheduled)
       AND NOT EXISTS (SELECT FROM pgqrs_live
                       WHERE vt <= now() OR worker = (SELECT max(id) FROM pgqrs_workers))";

/// Has workers die of `guilty` messages among innocent ones until all is done, and returns how
/// often each of the guilty was started.
fn die_of(guilty: &[usize]) -> HashMap<String, usize> {
    let pg = Pg::with_tasks();
    let mut payloads = vec!["fine"; INNOCENT as usize];
    for at in guilty {
        payloads.insert(*at, "abort");
    }
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let ids = producer.batch_enqueue(&payloads).unwrap();
    let mut starts: HashMap<String, usize> = guilty
        .iter()
        .map(|at| (ids[*at].id.to_string(), 0))
        .collect();

    let worker = env!("CARGO_BIN_EXE_worker");
    let counts = || pg.store.counts("tasks").unwrap();
    // Only then: in a live process's hands, a lease must not lapse.
    let is_idle = || pg.value::<bool>(NOBODY_BUT_THE_DEAD_HAS_ANYTHING);
    let mut lives = 0;
    while counts().unfinished() > 0 {
        lives += 1;
        assert!(lives < 50, "it does not end: {:?}", counts());
        let process = start(worker, &pg);
        // What a dead one held is left to it for as long as others find something.
        while let Some(line) = process.line() {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("started"), Some(id)) => {
                    if let Some(count) = starts.get_mut(id) {
                        *count += 1;
                    }
                }
                (Some("asleep"), _) if counts().unfinished() == 0 => break,
                (Some("asleep"), _) if is_idle() => pg.advance(LOCK_TIME),
                _ => {}
            }
        }
        drop(process);
    }

    let counts = counts();
    assert_eq!(
        (counts.archived, counts.dead),
        (INNOCENT, guilty.len() as u64)
    );
    let innocent: i64 =
        pg.value("SELECT count(*) FROM pgqrs_dead_letters WHERE payload::text <> '\"abort\"'");
    assert_eq!(innocent, 0);
    let told: bool =
        pg.value("SELECT bool_and(error LIKE '%attempt 4 of 3%crash%') FROM pgqrs_dead_letters");
    assert!(told);
    starts
}

#[test]
fn a_message_that_kills_three_processes_is_given_up_and_its_neighbours_are_not() {
    let starts = die_of(&[20]);
    assert!(starts.values().all(|starts| *starts == 3), "{starts:?}");
}

/// While one is being found out, another kills, and the innocent are fetched again and again.
#[test]
fn several_that_kill_are_given_up_and_their_neighbours_are_not() {
    let starts = die_of(&[3, 20, 41, 42]);
    // Fewer where another one was faster.
    assert!(
        starts.values().all(|starts| (1..=3).contains(starts)),
        "{starts:?}"
    );
}

#[test]
fn a_process_that_was_killed_waits_no_more() {
    let pg = Pg::with_tasks();
    let mut client = pg.client();
    let process = start(env!("CARGO_BIN_EXE_worker"), &pg);
    wait_until("the process to wait", MINUTE, || {
        waiting(&mut client).len() == 1
    });
    drop(process); // SIGKILL
    wait_until_nobody_waits(&mut client);
}
