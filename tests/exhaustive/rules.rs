//! What must hold after every step, each rule by its name. They are told from the answers and
//! from what can be seen, and know nothing of how a store does it.

use std::collections::BTreeMap;

use pgqrs::{State, Store};

use crate::calls::{Answer, HOUR, LOCK_TIME, Step};
use crate::explore::Broken;
use crate::lease::{End, Known, Leases, Look, Moment, Seen};

pub(crate) const ONE_STATE: &str = "each message is in exactly one state, and the sum holds";
pub(crate) const ONE_OWNER: &str = "what a lease holds is not handed out";
pub(crate) const ALL_READY: &str = "what is ready is handed out, in its order";
pub(crate) const NUMBERED: &str = "a delivery counts by one, and says how the last one ended";
pub(crate) const STALE: &str = "a stale receipt is answered false, and changes nothing";
pub(crate) const OWNED: &str = "a delivery owns its message until somebody else has it";
pub(crate) const CARRIED_OUT: &str = "what is answered true is done, and nothing else";
pub(crate) const CHARGED: &str = "attempts are deliveries less those released unstarted";
pub(crate) const FINAL: &str = "what is archived, dead or deleted never comes back";
pub(crate) const NOT_BACK: &str = "the end of a lease never moves back";
pub(crate) const ENDS: &str = "from everywhere everything can be brought to its end";

type Messages = BTreeMap<i64, Vec<Seen>>;

fn check(holds: bool, rule: &'static str, text: impl FnOnce() -> String) -> Result<(), Broken> {
    match holds {
        true => Ok(()),
        false => Err(Broken { rule, text: text() }),
    }
}

/// A receipt of a call, and what the call asks for.
struct Asked {
    id: i64,
    worker: Option<i64>,
    /// `None`: whichever delivery the worker holds.
    read_ct: Option<i32>,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    End(End),
    Back { hours: u32, charged: bool },
    Longer { hours: u32 },
}

/// Takes in what a step was answered, before the clock moves on; returns how it is then.
pub(crate) fn note<S: Store + Clone + Look>(
    leases: &mut Leases<S>,
    step: Step,
    answer: &Answer,
    before: &Moment,
) -> Result<Moment, Broken> {
    let asked = asked(leases, step);
    let mut expected = before.seen.clone();
    check(asked.len() == answer.owned.len(), CARRIED_OUT, || {
        format!("{} answers to {} receipts", answer.owned.len(), asked.len())
    })?;
    for (asked, owned) in asked.iter().zip(&answer.owned) {
        let known = leases.known.get_mut(&asked.id).unwrap();
        settled(known, &mut expected, asked, *owned, before)?;
    }
    given(leases, step, answer, &mut expected, before)?;

    let after = leases.look();
    for id in &leases.side.messages {
        leases.known.entry(*id).or_insert_with(|| {
            // A new one is as it is seen.
            expected.insert(*id, after.seen.get(id).cloned().unwrap_or_default());
            Known {
                waits: step == Step::EnqueueDelayed,
                ..Known::default()
            }
        });
    }
    always(leases, &after)?;
    for (id, seen) in &after.seen {
        let Some(was) = before
            .seen
            .get(id)
            .filter(|was| was[0].read_ct == seen[0].read_ct)
        else {
            continue;
        };
        let leased = seen[0].worker.is_some();
        check(!leased || seen[0].vt >= was[0].vt, NOT_BACK, || {
            format!("{was:?} became {seen:?}")
        })?;
    }
    let rule = match answer.owned.contains(&false) {
        true if !answer.owned.contains(&true) && answer.given.is_empty() => STALE,
        _ => CARRIED_OUT,
    };
    check(expected == after.seen, rule, || {
        format!("{:?} and not {expected:?}", after.seen)
    })?;
    Ok(after)
}

fn asked<S: Store + Clone + Look>(leases: &Leases<S>, step: Step) -> Vec<Asked> {
    let one = |at: usize, what: What| {
        let message = &leases.side.receipts[at];
        vec![Asked {
            id: message.id,
            worker: message.worker,
            read_ct: Some(message.read_ct),
            what,
        }]
    };
    match step {
        Step::Archive(at) | Step::ArchiveAndDequeue { receipt: at, .. } => {
            one(at, What::End(End::Archived))
        }
        Step::Delete(at) => one(at, What::End(End::Deleted)),
        Step::DeadLetter(at) => one(at, What::End(End::Dead)),
        Step::Release {
            receipt,
            hours,
            charged,
        } => one(receipt, What::Back { hours, charged }),
        Step::Extend { receipt, hours } => one(receipt, What::Longer { hours }),
        Step::ArchiveAll => {
            let all = || 0..leases.side.receipts.len();
            let all = all().chain(all());
            all.flat_map(|at| one(at, What::End(End::Archived)))
                .collect()
        }
        Step::ArchiveById { worker, message } => vec![Asked {
            id: leases.side.messages[message],
            worker: Some(leases.side.worker(worker)),
            read_ct: None,
            what: What::End(End::Archived),
        }],
        _ => Vec::new(),
    }
}

/// One receipt's answer, and what comes of it.
fn settled(
    known: &mut Known,
    expected: &mut Messages,
    asked: &Asked,
    owned: bool,
    before: &Moment,
) -> Result<(), Broken> {
    let owns = known.owner.is_some_and(|(worker, read_ct)| {
        Some(worker) == asked.worker && asked.read_ct.is_none_or(|asked| asked == read_ct)
    });
    let text = || format!("answered {owned}: {known:?}");
    check(owned || !owns, OWNED, text)?;
    check(!owned || owns, STALE, text)?;
    if !owned {
        return Ok(());
    }
    let Some(seen) = expected
        .get_mut(&asked.id)
        .and_then(|seen| seen.first_mut())
    else {
        return check(false, ONE_STATE, || format!("{known:?} is nowhere"));
    };
    match asked.what {
        What::Longer { hours } => {
            let until = before.now + HOUR * hours;
            seen.vt = seen.vt.max(until);
            if seen.vt > before.now {
                seen.state = State::Leased;
            }
            return Ok(());
        }
        What::Back { hours, charged } => {
            seen.state = if hours == 0 {
                State::Ready
            } else {
                State::Scheduled
            };
            seen.vt = before.now + HOUR * hours;
            seen.worker = None;
            seen.attempt -= i32::from(!charged);
            known.unstarted += i32::from(!charged);
            known.waits = true;
        }
        What::End(end) => {
            match end {
                End::Archived => seen.state = State::Archived,
                End::Dead => seen.state = State::Dead,
                End::Deleted => drop(expected.remove(&asked.id)),
            }
            known.end = Some(end);
        }
    }
    known.owner = None;
    Ok(())
}

/// What was handed out.
fn given<S: Store + Clone + Look>(
    leases: &mut Leases<S>,
    step: Step,
    answer: &Answer,
    expected: &mut Messages,
    before: &Moment,
) -> Result<(), Broken> {
    // Those that are due first, in the order in which they came to be, then the oldest.
    let mut ready: Vec<(bool, _, i64)> = Vec::new();
    for (id, seen) in expected.iter() {
        if seen[0].state == State::Ready {
            let waits = leases.known[id].waits;
            ready.push((!waits, waits.then_some(seen[0].vt), *id));
        }
    }
    ready.sort_unstable();
    let given = &leases.side.receipts[leases.side.receipts.len() - answer.given.len()..];
    for message in given {
        let known = leases.known.get_mut(&message.id).unwrap();
        let text = || format!("{message:?} of {known:?}");
        check(known.end.is_none(), FINAL, text)?;
        let was = expected.get_mut(&message.id).unwrap().first_mut().unwrap();
        check(was.state == State::Ready, ONE_OWNER, text)?;
        let lapsed = known.owner.is_some();
        let numbered = message.read_ct == was.read_ct + 1
            && message.attempt == was.attempt + 1
            && message.lapsed == lapsed
            && message.vt == before.now + LOCK_TIME;
        check(numbered, NUMBERED, text)?;
        *was = Seen {
            state: State::Leased,
            vt: message.vt,
            read_ct: message.read_ct,
            attempt: message.attempt,
            worker: message.worker,
        };
        known.owner = message.worker.zip(Some(message.read_ct));
        known.deliveries += 1;
        known.waits = false;
    }
    let limit = match step {
        Step::Dequeue { limit, .. } => limit,
        Step::ArchiveAndDequeue { .. } => 1,
        _ => 0,
    };
    let mut wanted: Vec<i64> = ready.iter().map(|(_, _, id)| *id).take(limit).collect();
    let mut got: Vec<i64> = given.iter().map(|message| message.id).collect();
    wanted.sort_unstable(); // an answer has no order of its own
    got.sort_unstable();
    check(wanted == got, ALL_READY, || format!("{got:?} of {ready:?}"))
}

/// What holds at every moment.
fn always<S: Store + Clone + Look>(leases: &Leases<S>, now: &Moment) -> Result<(), Broken> {
    let counts = leases.side.store.counts(&leases.side.queue).unwrap();
    let text = || format!("{counts:?}: {:?}, {:?}", now.seen, leases.known);
    let mut deleted = 0;
    for (id, known) in &leases.known {
        let seen = now.seen.get(id).map(Vec::as_slice).unwrap_or_default();
        if known.end == Some(End::Deleted) {
            deleted += 1;
            check(seen.is_empty(), FINAL, text)?;
            continue;
        }
        let [seen] = seen else {
            return check(false, ONE_STATE, text);
        };
        let stays = match known.end {
            Some(End::Archived) => seen.state == State::Archived,
            Some(End::Dead) => seen.state == State::Dead,
            _ => true,
        };
        check(stays, FINAL, text)?;
        check(seen.read_ct == known.deliveries, NUMBERED, text)?;
        check(
            seen.attempt == seen.read_ct - known.unstarted,
            CHARGED,
            text,
        )?;
    }
    let sum = counts.total() as usize + deleted == leases.known.len();
    check(
        sum && now.seen.len() + deleted == leases.known.len(),
        ONE_STATE,
        text,
    )?;
    let count = |state: State| {
        let all = now.seen.values().flatten();
        all.filter(|seen| seen.state == state).count() as u64
    };
    let by_state = [
        counts.ready,
        counts.leased,
        counts.scheduled,
        counts.archived,
        counts.dead,
    ];
    check(State::ALL.map(count) == by_state, ONE_STATE, text)
}

/// What is left when everything was dequeued and archived.
pub(crate) fn ends<S: Store + Clone + Look>(leases: &Leases<S>) -> Result<(), Broken> {
    let counts = leases.side.store.counts(&leases.side.queue).unwrap();
    check(counts.unfinished() == 0, ENDS, || format!("{counts:?}"))
}
