//! A store that cannot be reached, or that says no.

use super::*;

/// Runs a pool over one message while a call fails; returns what was told of it.
fn with_fault(store: &MockStore, call: Call, kind: ErrorKind) -> (Report, Vec<String>) {
    let producer = Producer::new(store.clone(), "tasks").unwrap();
    producer.enqueue("work").unwrap();
    store.fail_next(call, kind);
    let (recorder, noted) = Recorder::new();
    let pool = pool(store.clone()).events(recorder);
    let report = run(pool.handle(fine)).unwrap();
    assert_eq!(report.fetched, report.settled(), "{report}");
    (report, awake(&noted))
}

#[test]
fn a_failed_dequeue_is_tried_again() {
    let (store, _) = tasks();
    let (report, told) = with_fault(&store, Call::Dequeue, ErrorKind::Unavailable);
    assert_eq!(told, ["dequeue fails: Unavailable", "dequeue works"]);
    assert_eq!((report.finished, report.reconnecting), (1, 1));
}

#[test]
fn what_a_dequeue_of_unknown_fate_leased_comes_back() {
    let (store, producer) = tasks();
    producer.enqueue("work").unwrap();
    store.fail_next(Call::Dequeue, ErrorKind::FateUnknown);
    let pool = pool(store.clone()).handle(fine).start().unwrap();
    wait(&pool, |seen| seen.asleep > 0);
    assert_eq!(store.leased("tasks").len(), 1);
    store.advance(HOUR);
    wait(&pool, |seen| seen.finished == 1);
    assert_eq!(end(pool).reconnecting, 1);
    assert_eq!(store.archived("tasks")[0].attempt, 2);
}

#[test]
fn a_failed_settlement_is_tried_again() {
    let (store, _) = tasks();
    let (report, told) = with_fault(&store, Call::Archive, ErrorKind::Unavailable);
    assert_eq!(told, ["settle fails: Unavailable", "settle works"]);
    assert_eq!((report.finished, report.reconnecting), (1, 1));
    assert_eq!(store.archived("tasks").len(), 1);
}

#[test]
fn a_settlement_of_unknown_fate_is_tried_again_and_told_so() {
    let (store, _) = tasks();
    let (report, mut told) = with_fault(&store, Call::Archive, ErrorKind::FateUnknown);
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "fate unknown: 1",
            "settle fails: FateUnknown",
            "settle works"
        ]
    );
    assert_eq!(
        (report.finished, report.lost, report.fate_unknown),
        (0, 0, 1)
    );
    assert_eq!(store.archived("tasks").len(), 1);
}

#[test]
fn a_failed_count_is_tried_again() {
    let (store, _) = tasks();
    let (report, told) = with_fault(&store, Call::Counts, ErrorKind::Unavailable);
    assert_eq!((report.finished, report.reconnecting), (1, 1));
    assert_eq!(told, ["dequeue fails: Unavailable", "dequeue works"]);
}

#[test]
fn a_failed_renewal_is_tried_again() {
    let (store, producer) = tasks();
    producer.enqueue("work").unwrap();
    store.fail_next(Call::ExtendVisibility, ErrorKind::Unavailable);
    let (recorder, noted) = Recorder::new();
    let (gate, at_gate) = gate();
    let pool = pool(store)
        .events(recorder)
        .lock_time(Duration::from_millis(600));
    let pool = pool.handle(move |_: Message, _: &Context<'_>| {
        at_gate();
        Ok(())
    });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.renewed >= 3);
    open(gate);
    wait(&pool, |seen| seen.finished == 1);
    assert_eq!(awake(&noted), ["renew fails: Unavailable", "renew works"]);
    assert_eq!(end(pool).started, 1);
}

#[test]
fn an_error_that_trying_again_does_not_help_ends_the_pool() {
    for call in [
        Call::Dequeue,
        Call::Archive,
        Call::ExtendVisibility,
        Call::Counts,
    ] {
        let (store, producer) = tasks();
        producer.enqueue("work").unwrap();
        // The pool tries a last time to settle what is done.
        for _ in 0..2 {
            store.fail_next(call, ErrorKind::Schema);
        }
        let renews = call == Call::ExtendVisibility;
        let pool = pool(store.clone()).lock_time(Duration::from_millis(600));
        let pool = pool.handle(move |_: Message, context: &Context<'_>| {
            let began = Instant::now();
            while renews && !context.is_stopping() && began.elapsed() < MINUTE {
                std::thread::yield_now();
            }
            Ok(())
        });
        let error = run(pool).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Schema, "{call:?}");
        let left = usize::from(matches!(call, Call::Dequeue | Call::Archive));
        assert_eq!(store.archived("tasks").len(), 1 - left, "{call:?}");
    }
}

#[test]
fn what_an_error_left_behind_is_accounted_for() {
    let (store, producer) = tasks();
    producer.enqueue("work").unwrap();
    for _ in 0..2 {
        store.fail_next(Call::Archive, ErrorKind::Unexpected);
    }
    let pool = pool(store.clone()).handle(fine).start().unwrap();
    let counters = pool.counters();
    assert_eq!(join(pool).unwrap_err().kind(), ErrorKind::Unexpected);
    let report = counters.read();
    assert_eq!((report.fetched, report.abandoned), (1, 1));
    assert_eq!(store.leased("tasks").len(), 1);
}

#[test]
fn an_error_that_passes_does_not_undo_what_is_done() {
    let (store, producer) = tasks();
    producer.enqueue("work").unwrap();
    store.fail_next(Call::Archive, ErrorKind::Unexpected);
    let pool = pool(store.clone()).handle(fine).start().unwrap();
    assert_eq!(join(pool).unwrap_err().kind(), ErrorKind::Unexpected);
    assert_eq!(store.archived("tasks").len(), 1);
}

#[test]
fn a_pool_that_cannot_be_registered_does_not_start() {
    for call in [Call::Queue, Call::RegisterWorker] {
        let (store, _) = tasks();
        store.fail_next(call, ErrorKind::Unavailable);
        let error = pool(store).handle(fine).start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}

#[test]
fn a_shutdown_does_not_wait_for_a_store_that_is_out_of_reach() {
    let (store, producer) = tasks();
    producer.batch_enqueue(0..5).unwrap();
    for _ in 0..100_000 {
        store.fail_next(Call::Archive, ErrorKind::Unavailable);
    }
    let pool = pool(store.clone()).handle(fine).start().unwrap();
    wait(&pool, |seen| seen.started == 5 && seen.reconnecting > 0);
    let report = begin(|| pool.shutdown(Duration::from_millis(1)));
    let report = report.end().unwrap();
    assert_eq!(
        (report.fetched, report.finished, report.abandoned),
        (5, 0, 5)
    );
    assert_eq!(store.leased("tasks").len(), 5);
}

/// A store whose first settlement is carried out, and answered when the test lets it.
#[derive(Debug)]
struct AnswersLate(Mutex<Receiver<()>>);

impl Hooks for AnswersLate {
    fn settled(&self) {
        let let_go = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Once the test has let go there is nothing to wait for.
        let _ = let_go.recv_timeout(MINUTE);
    }
}

#[test]
fn an_answer_that_comes_after_the_shutdown_is_not_counted_a_second_time() {
    let (store, producer) = tasks();
    producer.enqueue("work").unwrap();
    let (let_go, wait_for) = channel();
    let late = Arc::new(AnswersLate(Mutex::new(wait_for)));
    let pool = pool(Hooked(store.clone(), late)).handle(fine);
    let pool = pool.start().unwrap();
    wait(&pool, |seen| seen.started == 1);
    let (counters, shared) = (pool.counters(), Arc::clone(&pool.shared));
    let report = begin(|| pool.shutdown(Duration::ZERO)).end().unwrap();
    assert_eq!((report.finished, report.abandoned), (0, 1));
    drop(let_go);
    assert!(shared.settled.wait_timeout(MINUTE));
    assert_eq!(counters.read(), report);
}
