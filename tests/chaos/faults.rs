//! The audit can fail: each fault of a store is found, under its name.

use std::time::Duration;

use crate::CLIENT;
use pgqrs_test_support::{MINUTE, Schema, server, wait_until};
use pgqrs_tests::chaos::audit::Wrong;
use pgqrs_tests::chaos::child::Role;
use pgqrs_tests::chaos::errand::ERRANDS;
use pgqrs_tests::chaos::run::Run;

/// Runs everybody on a store that has the fault (see the client's `broken.rs`), and has the
/// audit find it.
#[track_caller]
fn is_found(fault: &str, wrong: Wrong, prepare: impl Fn(&mut Run), disturb: impl Fn(&mut Run)) {
    let schema = Schema::new();
    let mut run = Run::new(CLIENT, server().dsn(), schema.name());
    run.set("CHAOS_FAULT", fault);
    run.give_up_after(Duration::from_secs(5));
    prepare(&mut run);
    run.start_on(Role::Producer, ERRANDS);
    run.start(Role::Worker);
    run.start(Role::Worker);
    run.wait("deliveries", |figures| figures.deliveries >= 100);
    disturb(&mut run);
    let audit = run.audit();
    println!("{audit}");
    assert!(audit.wrongs().contains(&wrong), "{wrong:?}: {audit}");
}

/// Handlers that take longer than their leases, which nobody extends; and no backlog, so that others
/// look for what has lapsed.
fn late(run: &mut Run) {
    run.set("PGQRS_LOCK_TIME", "100ms").set("CHAOS_WORK", 150);
    run.set("CHAOS_PAUSE", 200);
}

/// Kills workers, who may hold nothing just then.
fn until_an_effect_is_doubled(run: &mut Run) {
    let doubled = "SELECT EXISTS (SELECT FROM effects GROUP BY message HAVING count(*) > 1)";
    let mut client = run.client();
    wait_until("an effect that is there twice", MINUTE, || {
        let before = run.figures().deliveries;
        run.wait("deliveries", |figures| figures.deliveries >= before + 50);
        for number in run.working(Role::Worker) {
            run.process(number).kill();
            run.start(Role::Worker);
        }
        client.query_one(doubled, &[]).unwrap().get(0)
    });
}

fn until_one_is_taken(run: &mut Run) {
    run.wait("a lease to lapse", |figures| figures.lapsed > 0);
}

fn until_one_is_late(run: &mut Run) {
    wait_until("a late archiving", MINUTE, || run.late_archivings() > 0);
}

fn nothing(_: &mut Run) {}

macro_rules! faults {
    ($($name:ident: $fault:literal is $wrong:ident, $prepare:ident, $disturb:ident;)+) => {$(
        #[test]
        fn $name() {
            is_found($fault, Wrong::$wrong, $prepare, $disturb);
        }
    )+};
}

faults! {
    a_missing_fence: "no-fence" is EndedByALateDelivery, late, until_one_is_late;
    a_lost_release: "release-lost" is Lost, nothing, nothing;
    a_forgotten_release: "release-forgotten" is ReleaseLost, nothing, nothing;
    an_archiving_done_twice: "archived-twice" is ArchivedTwice, nothing, nothing;
    an_acknowledgement_for_all: "acknowledged-twice" is AcknowledgedTwice, late, until_one_is_late;
    a_forgotten_archiving: "archive-forgotten" is AcknowledgementLost, nothing, nothing;
    a_lost_enqueue: "enqueue-lost" is Lost, nothing, nothing;
    half_a_message: "enqueue-half" is HalfThere, nothing, nothing;
    an_enqueue_done_twice: "enqueue-twice" is StoredTwice, nothing, nothing;
    an_enqueue_that_was_refused: "enqueue-after-all" is StoredTwice, nothing, nothing;
    half_a_batch: "enqueue-in-part" is BatchInPart, nothing, nothing;
    a_changed_payload: "payload-changed" is PayloadChanged, nothing, nothing;
    a_lease_that_hides_nothing: "leased-twice" is LeasedTwice, nothing, nothing;
    a_forgotten_extension: "extension-forgotten" is LeaseTaken, late, until_one_is_taken;
    a_lease_that_is_over_at_once: "lease-taken" is LeaseTaken, nothing, nothing;
    a_message_given_up_too_early: "given-up" is GivenUp, nothing, nothing;
    a_message_ended_unasked: "ended-unasked" is EndedByNobody, nothing, nothing;
    an_effect_apart_from_its_transaction: "effect-apart" is EffectNotOnce, nothing, until_an_effect_is_doubled;
}
