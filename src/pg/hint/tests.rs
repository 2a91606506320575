use super::*;

const QUEUE: i64 = 1;

fn found(count: usize, last: i64) -> Found {
    Found {
        count,
        due: 0,
        last: (count > 0).then_some(last),
    }
}

/// Makes looks with a clock of its own.
struct Looker {
    hints: Hints,
    now: Instant,
}

impl Looker {
    fn new() -> Self {
        Self {
            hints: Hints::default(),
            now: Instant::now(),
        }
    }

    fn first(&self) -> Look {
        self.hints.first(QUEUE, 10, self.now)
    }

    /// A look for 10 that took some milliseconds.
    fn took(&mut self, millis: u64, look: Look, found: Found) -> Option<Look> {
        let took = Duration::from_millis(millis);
        self.now += took;
        self.hints.next(QUEUE, look, found, 10, (took, self.now))
    }
}

#[test]
fn the_first_look_is_a_sweep_and_the_next_starts_where_it_ended() {
    let mut looker = Looker::new();
    let sweep = looker.first();
    assert_eq!((sweep.after, sweep.due), (0, true));
    assert_eq!(looker.took(1, sweep, found(10, 17)), None);
    assert_eq!(looker.first().after, 17);
}

#[test]
fn sweeps_wait_fifty_times_as_long_as_the_last_one_took() {
    let mut looker = Looker::new();
    let sweep = looker.first();
    looker.took(100, sweep, found(10, 17));
    looker.now += Duration::from_millis(4_999);
    assert_eq!(looker.first().after, 17);
    looker.now += Duration::from_millis(1);
    assert_eq!(looker.first().after, 0);
    assert_ne!(looker.first().after, 0, "one thread sweeps at a time");
}

#[test]
fn an_empty_answer_is_made_sure_of_if_that_is_quick() {
    let mut looker = Looker::new();
    let sweep = looker.first();
    looker.took(1, sweep, found(10, 17));
    let look = looker.first();
    let second = looker.took(1, look, found(0, 0)).unwrap();
    assert_eq!((second.after, second.due), (0, true));
    // and if it is not, only the due ones are looked for
    looker.took(1_000, second, found(10, 30));
    let look = looker.first();
    assert_eq!((look.after, look.due), (30, false));
    let second = looker.took(1, look, found(0, 0)).unwrap();
    assert_eq!((second.after, second.due), (30, true));
}

#[test]
fn a_sweep_that_finds_old_messages_takes_the_hint_back_with_it() {
    let mut looker = Looker::new();
    let sweep = looker.first();
    looker.took(1, sweep, found(10, 1_000));
    let slow = looker.first();
    looker.now += Duration::from_secs(1);
    let sweep = looker.first();
    looker.took(1, sweep, found(10, 40));
    looker.took(1, slow, found(10, 1_010));
    assert_eq!(
        looker.first().after,
        40,
        "a look under way does not undo it"
    );
}

#[test]
fn a_sweep_that_failed_is_made_up_for() {
    let mut looker = Looker::new();
    let sweep = looker.first();
    looker.took(1, sweep, found(10, 17));
    looker.now += Duration::from_secs(1);
    let sweep = looker.first();
    assert_eq!(sweep.after, 0);
    assert_eq!(looker.first().after, 27);
    looker.hints.failed(QUEUE, sweep, looker.now);
    assert_eq!(looker.first().after, 0);
    assert_eq!(looker.first().after, 27, "what it would have found is left");
}

#[test]
fn due_messages_are_looked_for_when_one_is_due() {
    let mut looker = Looker::new();
    let sweep = looker.first();
    looker.took(100, sweep, found(10, 17));
    assert!(!looker.first().due);
    let soon = looker.now + Duration::from_millis(10);
    looker.hints.due_at(QUEUE, Some(soon));
    assert!(!looker.first().due);
    looker.now = soon;
    assert!(looker.first().due);
}

#[test]
fn slow_looks_for_due_messages_are_made_less_often() {
    let mut looker = Looker::new();
    let sweep = looker.first();
    looker.took(100, sweep, found(10, 17));
    looker.now += Duration::from_millis(399);
    assert!(!looker.first().due);
    looker.now += Duration::from_millis(1);
    assert!(looker.first().due);
    assert!(!looker.first().due, "one thread looks at a time");
}

#[test]
fn a_message_that_comes_due_after_a_look_began_is_not_forgotten_by_it() {
    let mut looker = Looker::new();
    let sweep = looker.first();
    let soon = looker.now + Duration::from_millis(50);
    looker.hints.due_at(QUEUE, Some(soon));
    looker.took(100, sweep, found(10, 17));
    let look = looker.first();
    assert!(look.due);
    assert!(looker.first().due, "all threads look until one has");
    looker.took(1, look, found(10, 27));
    assert!(!looker.first().due);
}

/// A looker whose next look starts at 17.
fn at_17() -> Looker {
    let mut looker = Looker::new();
    let sweep = looker.first();
    looker.took(100, sweep, found(10, 17));
    looker
}

#[test]
fn looks_at_the_same_time_start_one_after_the_others_end() {
    let mut looker = at_17();
    let looks = [looker.first(), looker.first(), looker.first()];
    assert_eq!(looks.map(|look| look.after), [17, 27, 37]);
    // Whichever ends first, none goes back.
    looker.took(1, looks[2], found(10, 50));
    looker.took(1, looks[0], found(10, 27));
    assert_eq!(looker.first().after, 50);
    // Ids with gaps: its end is further than it had to be.
    looker.took(1, looks[1], found(10, 90));
    assert_eq!(looker.first().after, 90);
}

#[test]
fn after_a_short_answer_the_next_look_starts_at_its_end() {
    let mut looker = at_17();
    let looks = [looker.first(), looker.first()];
    looker.took(1, looks[0], found(3, 20));
    assert_eq!(looker.first().after, 20);
    looker.took(1, looks[1], found(0, 0));
    assert_eq!(looker.first().after, 20);
}

/// What was enqueued after the short one had looked may lie between it and the full one.
#[test]
fn a_full_answer_beside_a_short_one_leaves_nothing_behind() {
    for short_first in [true, false] {
        let mut looker = at_17();
        let (short, full) = (looker.first(), looker.first());
        if short_first {
            looker.took(1, short, found(1, 18));
            looker.took(1, full, found(10, 37));
        } else {
            looker.took(1, full, found(10, 37));
            looker.took(1, short, found(1, 18));
        }
        assert_eq!(looker.first().after, 18, "short one first: {short_first}");
    }
}

/// Of the first looks of all, too, which start where a sweep does.
#[test]
fn an_empty_queue_leaves_no_room_behind() {
    let mut looker = Looker::new();
    let sweep = looker.first();
    looker.took(100, sweep, found(0, 0));
    let look = looker.first();
    assert_eq!((look.after, look.due), (0, false));
    looker.took(100, look, found(0, 0));
    assert_eq!(looker.hints.first(QUEUE, 10, looker.now).after, 0);
    let look = looker.first();
    looker.took(100, look, found(3, 3));
    assert_eq!(looker.first().after, 3);
}

#[test]
fn looks_under_way_do_not_undo_a_forgotten_hint() {
    let mut looker = at_17();
    let look = looker.first();
    looker.hints.forget(looker.now);
    looker.took(1, look, found(10, 27));
    let sweep = looker.first();
    assert_eq!((sweep.after, sweep.due), (0, true));
    assert_eq!(looker.first().after, 0);
}

#[test]
fn what_a_failed_look_would_have_found_the_next_one_finds() {
    let mut looker = at_17();
    let looks = [looker.first(), looker.first()];
    looker.took(1, looks[1], found(10, 37));
    looker.hints.failed(QUEUE, looks[0], looker.now);
    assert_eq!(looker.first().after, 17);
    // Nor does one that began before that move it on.
    let mut looker = at_17();
    let looks = [looker.first(), looker.first()];
    looker.hints.failed(QUEUE, looks[0], looker.now);
    looker.took(1, looks[1], found(10, 37));
    assert_eq!(looker.first().after, 17);
}

#[test]
fn others_keep_clear_of_sweeps_and_of_looks_for_due_messages() {
    let mut looker = at_17();
    looker.now += Duration::from_secs(5);
    let (sweep, beside) = (looker.first(), looker.first());
    assert_eq!((sweep.after, beside.after), (0, 27));
    looker.took(1, beside, found(10, 37));
    looker.took(100, sweep, found(10, 27));
    looker.now += Duration::from_millis(400);
    let due = looker.first();
    assert_eq!((due.after, due.due), (37, true));
    assert_eq!(looker.first().after, 47);
}

/// What it found elsewhere has taken the places of some before those where the others began.
#[test]
fn what_is_left_before_the_others_is_found_next() {
    let all_due = Found {
        count: 10,
        due: 10,
        last: None,
    };
    let some_due = Found {
        count: 10,
        due: 4,
        last: Some(23),
    };
    for (found, end) in [(found(10, 20), 20), (all_due, 17), (some_due, 23)] {
        // A sweep, or a look for due messages.
        for (pause, after) in [(5_000, 0), (400, 17)] {
            let mut looker = at_17();
            looker.now += Duration::from_millis(pause);
            let (look, beside) = (looker.first(), looker.first());
            assert_eq!((look.after, beside.after), (after, 27));
            looker.took(1, look, found);
            looker.took(1, beside, self::found(10, 37));
            assert_eq!(looker.first().after, end, "{found:?} after {after}");
        }
    }
}

#[test]
fn a_look_that_will_find_due_messages_makes_no_room() {
    // They take places of its limit: its end may be nearer.
    let mut looker = at_17();
    looker.hints.due_at(QUEUE, Some(looker.now));
    let look = looker.first();
    assert_eq!((look.after, look.due), (17, true));
    assert_eq!(looker.first().after, 17);
    // And where there was one, there may be more.
    let found = Found {
        count: 10,
        due: 1,
        last: Some(26),
    };
    looker.took(1, look, found);
    looker.now += Duration::from_millis(50);
    assert!(looker.first().due);
    assert_eq!(looker.first().after, 26);
}

#[test]
fn a_look_for_very_many_makes_room_for_some() {
    let looker = at_17();
    let most = i64::try_from(MOST_RESERVED).unwrap();
    let all = looker.hints.first(QUEUE, usize::MAX, looker.now);
    assert_eq!(all.after, 17);
    assert_eq!(looker.first().after, 17 + most);
}
