//! After a crash; see `caution.rs`.

use super::*;

/// A store with 12 messages whose leases ran out so many times.
fn after_crashes(crashes: usize) -> (MockStore, Producer<MockStore>) {
    let (store, producer) = tasks();
    producer.batch_enqueue(0..12).unwrap();
    let crashed = consumer(&store);
    for _ in 0..crashes {
        assert_eq!(crashed.dequeue().unwrap().len(), 12);
        store.advance(HOUR);
    }
    (store, producer)
}

/// Counts the handlers that run at once.
#[derive(Clone, Default)]
struct Running {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Running {
    fn begin_and_end(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        // Whoever else could run has the time to begin.
        thread::sleep(Duration::from_millis(2));
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn messages_at_their_last_attempt_are_worked_on_one_at_a_time() {
    for attempts in [3, 5] {
        let (store, _) = after_crashes(2);
        let running = Running::default();
        let (one, views) = (running.clone(), store.clone());
        let pool = pool(store.clone()).threads(4);
        let pool = pool.retry(RetryPolicy::fixed(HOUR).attempts(attempts));
        let pool = pool.handle(move |_: Message, _: &Context<'_>| {
            assert_eq!(views.leased("tasks").len(), 1);
            one.begin_and_end();
            Ok(())
        });
        let report = run(pool).unwrap();
        assert_eq!((report.started, report.finished), (12, 12), "{report}");
        assert_eq!(running.most.load(Ordering::SeqCst), 1);
        let archived = store.archived("tasks");
        assert!(archived.iter().all(|message| message.attempt == 3));
    }
}

#[test]
fn after_one_lapse_no_more_is_held_than_the_threads_work_on() {
    let (store, _) = after_crashes(1);
    let views = store.clone();
    let pool = pool(store.clone()).threads(4);
    let pool = pool.handle(move |_: Message, _: &Context<'_>| {
        let held = views.leased("tasks").len();
        assert!((1..=4).contains(&held), "{held} held");
        Ok(())
    });
    let report = run(pool).unwrap();
    assert_eq!((report.started, report.finished), (12, 12), "{report}");
    let archived = store.archived("tasks");
    assert!(archived.iter().all(|message| message.attempt == 2));
}

#[test]
fn a_process_that_dies_again_charges_only_what_it_worked_on() {
    let (store, _) = after_crashes(1);
    let (gate, at_gate) = gate();
    let careful = pool(store.clone())
        .threads(2)
        .handle(move |_: Message, _: &Context<'_>| {
            at_gate();
            Ok(())
        });
    let careful = careful.start().unwrap();
    wait(&careful, |seen| seen.started == 2 && seen.given_back >= 12);
    // As the store sees it if the process dies now.
    let charged = |messages: &[Message]| -> usize {
        messages
            .iter()
            .filter(|message| message.attempt == 2)
            .count()
    };
    assert_eq!(
        (store.leased("tasks").len(), charged(&store.leased("tasks"))),
        (2, 2)
    );
    assert_eq!(
        (store.ready("tasks").len(), charged(&store.ready("tasks"))),
        (10, 0)
    );
    open(gate);
    wait(&careful, |seen| seen.finished == 12);
}

#[test]
fn caution_ends_with_the_messages_that_called_for_it() {
    let (store, producer) = after_crashes(2);
    producer.batch_enqueue(0..100).unwrap();
    let (gate, at_gate) = gate();
    let pool = pool(store).threads(4).prefetch(36);
    let pool = pool.handle(move |message: Message, _: &Context<'_>| {
        if message.read_ct == 1 {
            at_gate(); // it was fetched after all that was given back
        }
        Ok(())
    });
    let pool = pool.start().unwrap();
    wait(&pool, |seen| {
        seen.finished == 40 && seen.fetched - seen.settled() == 40
    });
    open(gate);
    wait(&pool, |seen| seen.finished == 112);
}

/// The pool that gave them back may be another one, or may have died since.
#[test]
fn what_somebody_careful_gave_back_is_still_worked_on_carefully() {
    let (store, _) = after_crashes(1);
    let careful = consumer(&store);
    let held = careful.dequeue().unwrap();
    assert!(held.iter().all(|message| message.lapsed));
    careful.release_many(&held, Duration::ZERO).unwrap();
    let views = store.clone();
    let pool = pool(store.clone()).threads(4).prefetch(100);
    let pool = pool.handle(move |_: Message, _: &Context<'_>| {
        assert!(views.leased("tasks").len() <= 4);
        Ok(())
    });
    let report = pool.run_until_empty().unwrap();
    assert_eq!((report.started, report.finished), (12, 12), "{report}");
}
