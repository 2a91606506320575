//! The audit's rules, one by one: each finds what breaks it, and nothing else does.

use std::collections::BTreeSet;

use pgqrs_tests::chaos::audit::{Audit, Wrong};
use pgqrs_tests::chaos::errand::{ERRANDS, Errand, What};
use pgqrs_tests::chaos::ledger::Ledger;
use pgqrs_tests::chaos::snapshot::{Snapshot, State};

/// What one producer (two batches, the second of unknown fate) and one worker wrote, and the
/// tables as they should be. Number 5 is to have an effect, 10 to be deleted, 14 to be given back.
const PRODUCER: &str = "
    putting 0 true 4 2
    put 0 104 105
    putting 1 false 10 1
    put 1 110
    putting 2 false 14 2
    not-put 2 Unknown
    putting 3 false 16 1
    not-put 3 Refused";

const WORKER: &str = "
    leased 104 1 1 false 10 19 producer 4
    leased 105 1 1 false 10 19 producer 5
    leased 110 1 1 false 10 19 producer 10
    leased 114 1 1 false 10 19 producer 14
    leased 115 1 1 false 10 19 producer 15
    ending 104 1 1 Archive
    ended 104 1 1 Archive Yes
    ending 105 1 1 Archive
    ended 105 1 1 Archive Yes
    ending 110 1 1 Delete
    ended 110 1 1 Delete Yes
    ending 114 1 1 Release
    ended 114 1 1 Release Yes
    ending 115 1 1 Release
    ended 115 1 1 Release Unknown
    leased 114 1 2 false 20 29 producer 14
    ending 114 1 2 Archive
    ended 114 1 2 Archive Yes
    leased 115 1 2 false 20 29 producer 15
    ending 115 1 2 Archive
    ended 115 1 2 Archive Yes";

fn tables() -> Snapshot {
    let mut tables = Snapshot::default();
    for (n, read_ct) in [(4, 1), (5, 1), (14, 2), (15, 2)] {
        let id = 100 + n as i64;
        tables
            .bodies
            .insert(id, Errand::new(ERRANDS, "producer", n));
        tables.states.insert(id, vec![(State::Archived, read_ct)]);
    }
    tables.effects.insert(105, 1);
    tables
}

/// What is wrong once the ledgers and the tables were changed.
fn wrongs(from: &str, to: &str, change: impl FnOnce(&mut Snapshot)) -> BTreeSet<Wrong> {
    wrongs_of(from, to, change, false)
}

/// The same of a server that may have forgotten leases, or not.
fn wrongs_of(
    from: &str,
    to: &str,
    change: impl FnOnce(&mut Snapshot),
    leases_forgotten: bool,
) -> BTreeSet<Wrong> {
    let whole = format!("{PRODUCER}|{WORKER}");
    assert!(whole.contains(from), "{from:?} is not there to be changed");
    let changed = whole.replacen(from, to, 1);
    let (producer, worker) = changed.split_once('|').unwrap();
    let ledgers = [
        Ledger::of_text("producer", producer),
        Ledger::of_text("worker", worker),
    ];
    let mut tables = tables();
    change(&mut tables);
    Audit::of(&ledgers, &tables, leases_forgotten).wrongs()
}

fn ledgers_wrong(from: &str, to: &str) -> BTreeSet<Wrong> {
    wrongs(from, to, |_| {})
}

fn tables_wrong(change: impl FnOnce(&mut Snapshot)) -> BTreeSet<Wrong> {
    wrongs("", "", change)
}

#[track_caller]
fn only(found: BTreeSet<Wrong>, expected: &[Wrong]) {
    assert_eq!(found, expected.iter().copied().collect());
}

#[test]
fn what_is_as_it_should_be_is_not_complained_of() {
    only(tables_wrong(|_| {}), &[]);
}

#[test]
fn what_is_missing_is_found() {
    let found = tables_wrong(|tables| {
        tables.bodies.remove(&104);
        tables.states.remove(&104);
    });
    let wrong = [Wrong::Lost, Wrong::AcknowledgementLost, Wrong::DoesNotAddUp];
    only(found, &wrong);
    // Nobody has tried to delete it.
    let found = wrongs(
        "ending 110 1 1 Delete\n    ended 110 1 1 Delete Yes",
        "",
        |_| {},
    );
    only(found, &[Wrong::Lost, Wrong::DoesNotAddUp]);
    let found = tables_wrong(|tables| drop(tables.states.remove(&114)));
    let wrong = [
        Wrong::HalfThere,
        Wrong::AcknowledgementLost,
        Wrong::DoesNotAddUp,
    ];
    only(found, &wrong);
    let found = tables_wrong(|tables| drop(tables.bodies.remove(&114)));
    only(found, &[Wrong::HalfThere]);
}

#[test]
fn what_is_there_twice_is_found() {
    let twice =
        |state| tables_wrong(move |tables| tables.states.get_mut(&104).unwrap().push((state, 1)));
    only(
        twice(State::Archived),
        &[Wrong::ArchivedTwice, Wrong::DoesNotAddUp],
    );
    let wrong = [Wrong::InTwoStates, Wrong::LeftOver, Wrong::DoesNotAddUp];
    only(twice(State::Scheduled), &wrong);
    let found = ledgers_wrong(
        "ended 115 1 2 Archive Yes",
        "ended 115 1 2 Archive Yes\n ended 115 1 2 Archive Yes",
    );
    only(found, &[Wrong::AcknowledgedTwice]);
    let found = tables_wrong(|tables| {
        let again = Errand::new(ERRANDS, "producer", 14);
        tables.bodies.insert(120, again);
        tables.states.insert(120, vec![(State::Live, 0)]);
    });
    let wrong = [Wrong::StoredTwice, Wrong::LeftOver, Wrong::DoesNotAddUp];
    only(found, &wrong);
    let found = ledgers_wrong(
        "leased 104 1 1 false 10 19 producer 4",
        "leased 104 1 1 false 10 19 producer 4\n leased 104 2 1 false 10 19 producer 4",
    );
    only(found, &[Wrong::LeasedTwice]);
}

#[test]
fn a_lease_that_was_not_over_is_found() {
    // Of unknown fate: it may have been released.
    let released = "ending 115 1 1 Release\n    ended 115 1 1 Release Unknown";
    only(ledgers_wrong(released, ""), &[Wrong::LeaseTaken]);
    for answer in ["No", "Refused"] {
        let (was, is) = ("ended 115 1 1 Release Unknown", "ended 115 1 1 Release");
        let found = ledgers_wrong(was, &format!("{is} {answer}"));
        only(found, &[Wrong::LeaseTaken]);
    }
    let second = "leased 115 1 2 false 20 29 producer 15";
    let over = "leased 115 1 2 true 20 29 producer 15";
    only(ledgers_wrong(second, over), &[]);
    let early = "leased 115 1 2 true 18 29 producer 15";
    only(ledgers_wrong(second, early), &[Wrong::LeaseTaken]);
    let nobodys = "leased 104 1 1 false 10 19 producer 4";
    only(ledgers_wrong(nobodys, ""), &[Wrong::NeverLeased]);
}

/// Delivery 2 of message 114, what is said of it, and a third that begins at some time after it has
/// lapsed; on a server that has forgotten leases, or not.
fn third(said: &str, begins: i64, leases_forgotten: bool) -> BTreeSet<Wrong> {
    let second = "leased 114 1 2 false 20 29 producer 14";
    let end = |n: u32| format!("ending 114 1 {n} Archive\n    ended 114 1 {n} Archive Yes");
    let from = format!("{second}\n    {}", end(2));
    let third = format!("leased 114 1 3 true {begins} 99 producer 14");
    let to = format!("{second}\n{said}\n{third}\n{}", end(3));
    let archived = |tables: &mut Snapshot| {
        tables.states.insert(114, vec![(State::Archived, 3)]);
    };
    wrongs_of(&from, &to, archived, leases_forgotten)
}

/// What somebody is about to end, or tries to too late, is told to be owned, and not extended.
#[test]
fn a_lease_that_was_extended_is_over_later() {
    let extended = "extended 114 1 2 40";
    only(third("", 35, false), &[]);
    only(third(extended, 35, false), &[Wrong::LeaseTaken]);
    only(third(extended, 40, false), &[]);
    let refused = format!("ending 114 1 2 Archive\n{extended}\nended 114 1 2 Archive Refused");
    only(third(&refused, 35, false), &[]);
    let late = format!("ending 114 1 1 Archive\n{extended}\nended 114 1 1 Archive No");
    only(third(&late, 35, false), &[]);
}

#[test]
fn a_lease_that_was_forgotten_is_not_waited_for() {
    let again = "leased 114 2 2 false 22 25 producer 14";
    only(third(again, 26, true), &[]);
    only(third(again, 24, true), &[Wrong::LeaseTaken]);
}

/// What was told no, or refused, has done nothing.
#[test]
fn what_was_not_asked_for_is_found() {
    for answer in ["No", "Refused"] {
        let archived = ledgers_wrong(
            "ended 104 1 1 Archive Yes",
            &format!("ended 104 1 1 Archive {answer}"),
        );
        only(archived, &[Wrong::EndedByNobody]);
        let deleted = ledgers_wrong(
            "ended 110 1 1 Delete Yes",
            &format!("ended 110 1 1 Delete {answer}"),
        );
        only(deleted, &[Wrong::Lost, Wrong::DoesNotAddUp]);
    }
    let open = ledgers_wrong("ended 104 1 1 Archive Yes", "");
    only(open, &[]);
    let late = tables_wrong(|tables| drop(tables.states.insert(115, vec![(State::Archived, 77)])));
    only(late, &[Wrong::EndedByALateDelivery]);
    let found = ledgers_wrong("ending 104 1 1 Archive\n    ended 104 1 1 Archive Yes", "");
    only(found, &[Wrong::EndedByNobody]);
    // By the one that had given it back.
    let found = ledgers_wrong("ended 114 1 2 Archive Yes", "ended 114 1 1 Archive Yes");
    let wrong = [
        Wrong::EndedByALateDelivery,
        Wrong::AcknowledgedTwice,
        Wrong::CameBack,
    ];
    only(found, &wrong);
    let found = wrongs(
        "ending 104 1 1 Archive\n    ended 104 1 1 Archive Yes",
        "ending 104 1 1 Dead\n    ended 104 1 1 Dead Yes",
        |tables| drop(tables.states.insert(104, vec![(State::Dead, 1)])),
    );
    only(found, &[Wrong::GivenUp]);
}

#[test]
fn what_was_promised_and_not_kept_is_found() {
    let found = ledgers_wrong("leased 114 1 2 false", "leased 114 1 2 true");
    only(found, &[Wrong::ReleaseLost]);
    let again = "leased 114 1 2 false 20 29 producer 14";
    let third = format!("{again}\n leased 114 1 3 true 30 39 producer 14");
    only(ledgers_wrong(again, &third), &[Wrong::CameBack]);
    let live = |tables: &mut Snapshot| drop(tables.states.insert(104, vec![(State::Live, 1)]));
    let wrong = [Wrong::AcknowledgementLost, Wrong::LeftOver];
    only(tables_wrong(live), &wrong);
    let found = tables_wrong(|tables| drop(tables.states.insert(110, vec![(State::Live, 1)])));
    let wrong = [Wrong::HalfThere, Wrong::AcknowledgementLost];
    only(found, &wrong);
}

#[test]
fn what_was_not_confirmed_is_whole_or_not_there() {
    // Refused, of unknown fate, never answered.
    let stored = |tables: &mut Snapshot, n: u64| {
        let id = 100 + n as i64;
        tables
            .bodies
            .insert(id, Errand::new(ERRANDS, "producer", n));
        tables.states.insert(id, vec![(State::Live, 0)]);
    };
    let found = tables_wrong(|tables| stored(tables, 16));
    let wrong = [
        Wrong::RefusedButStored,
        Wrong::LeftOver,
        Wrong::DoesNotAddUp,
    ];
    only(found, &wrong);
    for fate in ["not-put 3 Unknown", ""] {
        let found = wrongs("not-put 3 Refused", fate, |tables| stored(tables, 16));
        only(found, &[Wrong::LeftOver]);
    }
    let found = wrongs("putting 2 false 14 2", "putting 2 false 13 3", |_| {});
    only(found, &[Wrong::BatchInPart, Wrong::DoesNotAddUp]);
}

#[test]
fn a_payload_that_changed_is_found() {
    let found = tables_wrong(|tables| tables.bodies.get_mut(&104).unwrap().pad.push('y'));
    only(found, &[Wrong::PayloadChanged]);
    let found = ledgers_wrong("put 0 104 105", "put 0 105 104");
    only(found, &[Wrong::PayloadChanged]);
    let found = tables_wrong(|tables| tables.bodies.get_mut(&104).unwrap().what = What::Dead);
    only(found, &[Wrong::PayloadChanged]);
    for answer in ["put 0 104", "put 0 104 104"] {
        let found = ledgers_wrong("put 0 104 105", answer);
        assert!(found.contains(&Wrong::AnsweredInPart), "{found:?}");
    }
}

#[test]
fn an_effect_that_was_not_once_is_found() {
    for times in [0, 2] {
        let found = tables_wrong(|tables| {
            tables.effects.insert(105, times);
        });
        only(found, &[Wrong::EffectNotOnce]);
    }
    let found = tables_wrong(|tables| {
        tables.effects.insert(999, 1);
    });
    only(found, &[Wrong::EffectWithoutArchive]);
    let found = tables_wrong(|tables| {
        tables.states.insert(105, vec![(State::Live, 1)]);
    });
    let wrong = [
        Wrong::AcknowledgementLost,
        Wrong::EffectWithoutArchive,
        Wrong::LeftOver,
    ];
    only(found, &wrong);
}
