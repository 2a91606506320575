//! Workers that die, and workers that stand still.

use crate::harness::child::{MINUTE, Role};
use crate::harness::line::{Delivery, Line};
use crate::harness::run::Run;
use crate::support::{Schema, server, wait_until};

fn run(schema: &Schema) -> Run {
    Run::new(server().dsn(), schema.name())
}

#[test]
fn nothing_happens_and_the_audit_holds() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.with_everybody().progress(500);
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
    run.process(worker).kill();
    run.progress(300);
    run.holds();
}

#[test]
fn workers_and_producers_are_killed_again_and_again() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.with_everybody();
    for round in 0..15 {
        run.progress(60);
        let role = [Role::Worker, Role::Consumer, Role::Producer][round % 3];
        let working = run.working(role);
        let victim = working[round % working.len()];
        run.replace(victim);
    }
    let audit = run.holds();
    assert!(audit.said.lapsed > 0, "{audit}");
}

#[test]
fn all_workers_are_killed_at_once() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.with_everybody();
    for _ in 0..3 {
        run.progress(100);
        for role in [Role::Worker, Role::Consumer] {
            for number in run.working(role) {
                run.replace(number);
            }
        }
    }
    let audit = run.holds();
    assert!(audit.said.lapsed > 0, "{audit}");
}

/// What a stopped worker held goes to others; what it says when it goes on changes nothing.
#[test]
fn a_worker_stands_still_for_longer_than_its_lease() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.set("CHAOS_WORK", 20).set("CHAOS_PAUSE", 40);
    run.with_everybody().progress(100);
    for role in [Role::Worker, Role::Consumer, Role::Worker] {
        let still = run.working(role)[0];
        let other = run.start(role);
        let held = run.stop_with_something(still);
        let taken = |line: &Line| match line {
            Line::Leased { delivery, .. } => held.iter().any(|h| is_later(delivery, h)),
            _ => false,
        };
        wait_until("another to get what the still one held", MINUTE, || {
            let others = run.working(role);
            let mut others = others.into_iter().filter(|other| *other != still);
            others.any(|other| run.ledger(other).lines.iter().any(taken))
        });
        let before = run.ledger(still).figures.late;
        run.process(still).signal("CONT");
        wait_until("the late one to be told so", MINUTE, || {
            run.ledger(still).figures.late > before
        });
        run.process(other).kill();
    }
    let audit = run.holds();
    assert!(audit.said.late > 0, "{audit}");
}

fn is_later(delivery: &Delivery, than: &Delivery) -> bool {
    delivery.id == than.id && delivery.read_ct > than.read_ct
}

/// Each lease is over before its handler is.
#[test]
fn the_lock_time_is_shorter_than_the_handlers() {
    let schema = Schema::new();
    let mut run = run(&schema);
    run.set("PGQRS_LOCK_TIME", "60ms").set("CHAOS_WORK", 150);
    run.set("CHAOS_PAUSE", 60);
    run.with_everybody().progress(100);
    run.holds();
}
