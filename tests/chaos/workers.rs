//! Workers that die, and workers that stand still.

use crate::CLIENT;
use pgqrs_test_support::{Schema, server};
use pgqrs_tests::chaos::child::Role;
use pgqrs_tests::chaos::errand::PLAIN;
use pgqrs_tests::chaos::run::Run;

fn run(schema: &Schema) -> Run {
    Run::new(CLIENT, server().dsn(), schema.name())
}

#[test]
fn nothing_happens_and_the_audit_holds() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.calm().with_everybody().progress(500);
    let audit = run.holds();
    // It saw all there is to see.
    assert!(audit.archived > 0 && audit.dead > 0 && audit.deleted > 0 && audit.effects > 0);
    assert_eq!(audit.said.lapsed, 0, "{audit}");
    assert_eq!(audit.said.unknown + audit.said.refused, 0, "{audit}");
}

#[test]
fn a_worker_is_killed() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.with_everybody().progress(200);
    let worker = run.working(Role::Worker)[0];
    run.stop_with_something(worker);
    run.process(worker).kill();
    // What it was just writing down may have taken it a moment longer.
    let held = run.ledger(worker).held();
    let taken = run.taken_over(worker, &held);
    assert_eq!(taken.is_empty(), held.is_empty());
    run.progress(300);
    run.holds();
}

/// So many rounds, and as many more as it takes until a dead worker's message was delivered again:
/// who is killed may hold nothing just then.
fn kill(run: &mut Run, rounds: usize, kill: impl Fn(&mut Run, usize)) {
    let mut round = 0;
    while round < rounds || run.figures().lapsed == 0 {
        kill(run, round);
        round += 1;
        assert!(round < 20 * rounds, "nothing came back from the dead");
    }
}

#[test]
fn workers_and_producers_are_killed_again_and_again() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.with_everybody();
    kill(&mut run, 15, |run, round| {
        run.progress(60);
        let role = [Role::Worker, Role::Consumer, Role::Producer][round % 3];
        let working = run.working(role);
        let victim = working[round % working.len()];
        run.replace(victim);
    });
    run.holds();
}

#[test]
fn all_workers_are_killed_at_once() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.with_everybody();
    kill(&mut run, 3, |run, _| {
        run.progress(100);
        for role in [Role::Worker, Role::Consumer] {
            for number in run.working(role) {
                run.replace(number);
            }
        }
    });
    run.holds();
}

/// What a stopped worker held goes to others; what it says when it goes on changes nothing.
#[test]
fn a_worker_stands_still_for_longer_than_its_lease() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.set("CHAOS_WORK", 20).set("CHAOS_PAUSE", 40);
    run.with_everybody().progress(100);
    for role in [Role::Worker, Role::Consumer, Role::Worker] {
        let told = (0..10).any(|_| {
            let still = run.working(role)[0];
            let other = run.start(role);
            let held = run.stop_with_something(still);
            let taken = run.taken_over(still, &held);
            run.process(still).signal("CONT");
            let told = run.is_told_late(still, &taken);
            run.process(other).kill();
            told
        });
        assert!(told, "{role:?}");
    }
    let audit = run.holds();
    assert!(audit.late > 0, "{audit}");
}

/// A pool renews its leases: nothing is delivered a second time.
#[test]
fn the_lock_time_is_shorter_than_the_handlers() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.set("PGQRS_LOCK_TIME", "8s").set("CHAOS_WORK", 10_000);
    run.set("CHAOS_THREADS", 8);
    let producer = run.start(Role::Producer);
    run.wait("messages", |figures| figures.put >= 10);
    run.process(producer).end();
    run.start(Role::Worker);
    run.start(Role::Worker);
    run.wait("the first of them to be done", |figures| figures.done >= 8);
    let figures = run.figures();
    assert_eq!(figures.lapsed, 0, "{figures:?}");
    run.holds();
}

/// A bare consumer does not: each of its leases is over before its work is.
#[test]
fn the_lock_time_is_shorter_than_the_work_of_a_bare_consumer() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.set("PGQRS_LOCK_TIME", "60ms").set("CHAOS_WORK", 150);
    run.set("CHAOS_PAUSE", 60);
    run.start_on(Role::Producer, PLAIN);
    run.start(Role::Consumer);
    run.start(Role::Consumer);
    run.progress(100);
    let audit = run.holds();
    assert!(audit.said.lapsed > 0, "{audit}");
}
