use std::error::Error as _;
use std::time::Duration;

use super::*;
use crate::message::Receipt;

const QUEUE: i64 = 1;
/// What comes at once or never.
const SECOND: Duration = Duration::from_secs(1);

fn batch(ids: std::ops::Range<i64>) -> Vec<Settlement> {
    Settlement::archive_all(&ids.map(Receipt::from).collect::<Vec<_>>())
}

fn ids(settlements: &[Settlement]) -> Vec<i64> {
    settlements.iter().map(|one| one.receipt.id()).collect()
}

fn leader<'a>(together: &Together, settlements: &'a [Settlement]) -> Leader<'a> {
    match together.join(QUEUE, settlements, || true) {
        Some(Place::Leader(leader)) => leader,
        _ => panic!("does not lead"),
    }
}

fn follower(together: &Together, settlements: &[Settlement]) -> Follower {
    match together.join(QUEUE, settlements, || false) {
        Some(Place::Follower(follower)) => follower,
        _ => panic!("follows nobody"),
    }
}

/// What the follower is told; it must have been by now.
fn told(follower: Follower) -> Option<Answers> {
    assert!(!follower.0.is_empty(), "told nothing");
    follower.answers()
}

#[test]
fn nobody_waits_without_need() {
    let (together, one) = (Together::default(), batch(0..1));
    assert!(together.join(QUEUE, &one, || false).is_none());
}

#[test]
fn alone_nothing_is_copied() {
    let (together, own) = (Together::default(), batch(0..3));
    let mut leader = leader(&together, &own);
    assert!(matches!(leader.close(), Cow::Borrowed(all) if all == own));
    let answers = leader.tell(Some(Ok(vec![true, false, true])));
    assert_eq!(answers.unwrap().unwrap(), [true, false, true]);
}

#[test]
fn each_is_told_its_own_answers() {
    let together = Together::default();
    let (one, two, three) = (batch(0..2), batch(2..3), batch(3..6));
    let mut leader = leader(&together, &one);
    let (second, third) = (follower(&together, &two), follower(&together, &three));
    assert_eq!(ids(&leader.close()), [0, 1, 2, 3, 4, 5]);
    let own = leader.tell(Some(Ok(vec![true, false, true, false, false, true])));
    assert_eq!(own.unwrap().unwrap(), [true, false]);
    assert_eq!(told(second).unwrap().unwrap(), [true]);
    assert_eq!(told(third).unwrap().unwrap(), [false, false, true]);
}

#[test]
fn nobody_follows_one_who_has_a_connection() {
    let (together, one, two) = (Together::default(), batch(0..1), batch(1..2));
    let mut first = leader(&together, &one);
    first.close();
    let mut next = leader(&together, &two);
    assert_eq!(ids(&next.close()), [1]);
    assert_eq!(first.tell(Some(Ok(vec![true]))).unwrap().unwrap(), [true]);
}

#[test]
fn nobody_follows_one_of_another_queue() {
    let (together, one) = (Together::default(), batch(0..1));
    let _leader = leader(&together, &one);
    let other = together.join(QUEUE + 1, &one, || true);
    assert!(matches!(other, Some(Place::Leader(_))));
    follower(&together, &one);
}

#[test]
fn where_there_is_no_room_another_leads() {
    let together = Together::default();
    let most = i64::try_from(MOST).unwrap();
    let (large, two, one) = (batch(0..most - 2), batch(0..2), batch(2..3));
    let mut full = leader(&together, &large);
    let fit = [follower(&together, &one), follower(&together, &one)];
    let mut next = leader(&together, &two);
    let behind = follower(&together, &one);
    assert_eq!(full.close().len(), MOST);
    assert_eq!(ids(&next.close()), [0, 1, 2]);
    next.tell(Some(Ok(vec![true; 3]))).unwrap().unwrap();
    assert_eq!(told(behind).unwrap().unwrap(), [true]);
    assert!(fit.iter().all(|follower| follower.0.is_empty()));
}

#[test]
fn nobody_follows_one_who_has_more_than_that() {
    let together = Together::default();
    let most = i64::try_from(MOST).unwrap();
    let (huge, one) = (batch(0..2 * most), batch(0..1));
    let _leader = leader(&together, &huge);
    leader(&together, &one);
}

#[test]
fn an_error_is_told_to_all() {
    let (together, own) = (Together::default(), batch(0..1));
    let leader = leader(&together, &own);
    let follower = follower(&together, &own);
    let cause = std::io::Error::other("the cause");
    let error = Error::new(ErrorKind::Unavailable, "the text").because(cause);
    for told in [leader.tell(Some(Err(error))), told(follower)] {
        let error = told.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.to_string(), "the text");
        assert_eq!(error.source().unwrap().to_string(), "the cause");
    }
}

#[test]
fn all_are_told_to_send_their_own() {
    let (together, own) = (Together::default(), batch(0..1));
    let leader = leader(&together, &own);
    let follower = follower(&together, &own);
    assert!(leader.tell(None).is_none());
    assert!(told(follower).is_none());
}

#[test]
fn of_a_panic_nobody_knows_the_fate() {
    for has_a_connection in [false, true] {
        let (together, own) = (Together::default(), batch(0..1));
        let mut leader = leader(&together, &own);
        let follower = follower(&together, &own);
        if has_a_connection {
            leader.close();
        }
        drop(leader);
        let nothing = follower.0.recv_timeout(SECOND).unwrap_err();
        assert!(nothing.is_disconnected(), "it would wait for ever");
        let error = follower.answers().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FateUnknown, "{error}");
    }
}
