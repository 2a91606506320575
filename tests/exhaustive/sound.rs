//! The protocol holds in every state there is, and the search finds what would break it.

use std::time::{Duration, Instant};

use pgqrs::MockStore;

use crate::deeper;
use crate::explore::explore;
use crate::faulty::{Fault, Faulty};
use crate::lease::{Bounds, Leases};
use crate::rules;

fn bounds() -> Bounds {
    Bounds {
        messages: 2,
        workers: 2,
        deliveries: 3 + deeper(),
        crashes: true,
        fine: true,
        tick: Duration::ZERO,
    }
}

fn search(what: &str, bounds: Bounds) {
    let began = Instant::now();
    let make = || Leases::new(|_| MockStore::new(), None, bounds);
    let extent = explore(make).unwrap_or_else(|found| panic!("{found:?}"));
    println!("{what}: {extent:?} of {bounds:?}, in {:?}", began.elapsed());
}

#[test]
fn two_messages() {
    let coarse = Bounds {
        fine: false,
        ..bounds()
    };
    search("two messages", coarse);
}

/// Fewer messages, a longer life.
#[test]
fn one_message() {
    search(
        "one message",
        Bounds {
            messages: 1,
            deliveries: 4 + deeper(),
            ..bounds()
        },
    );
}

/// The rule that a store with this fault is found to break.
fn broken(fault: Fault) -> &'static str {
    let make = || Leases::new(Faulty::new, Some(fault), bounds());
    let found = explore(make).expect_err("a fault that is not found");
    println!("{fault:?}: {found:?}");
    found.broken.rule
}

#[test]
fn a_spoilt_store_that_is_not_spoilt_is_sound() {
    let small = Bounds {
        messages: 1,
        deliveries: 2,
        ..bounds()
    };
    explore(|| Leases::new(Faulty::new, None, small)).unwrap();
}

macro_rules! found {
    ($($name:ident: $fault:ident breaks $rule:ident;)+) => {$(
        #[test]
        fn $name() {
            assert_eq!(broken(Fault::$fault), rules::$rule);
        }
    )+};
}

found! {
    finds_a_fence_that_ignores_read_ct: FenceIgnoresReadCt breaks STALE;
    finds_a_fence_that_ignores_the_worker: FenceIgnoresWorker breaks STALE;
    finds_an_expired_lease_that_refuses_its_owner: ExpiredLeaseRefusesItsOwner breaks OWNED;
    finds_a_lease_handed_out_that_is_not_over: HandsOutLeasesThatAreNotOver breaks ONE_OWNER;
    finds_lapsed_leases_that_are_forgotten: ForgetsLapsedLeases breaks ALL_READY;
    finds_an_extension_that_moves_back: ExtensionMovesBack breaks NOT_BACK;
    finds_an_expired_lease_that_cannot_be_extended: ExtensionRefusedWhenExpired breaks OWNED;
    finds_a_release_that_loses: ReleaseLosesTheMessage breaks ONE_STATE;
    finds_a_release_that_charges: ReleaseChargesWhatItShouldNot breaks CHARGED;
    finds_what_was_archived_and_comes_back: ArchivedComesBack breaks FINAL;
    finds_a_second_settlement: SettlesTwice breaks STALE;
    finds_an_answer_without_a_deed: AnswersWithoutDoing breaks FINAL;
}
