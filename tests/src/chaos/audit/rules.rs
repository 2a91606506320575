//! The rules: what must hold between the ledgers and the tables.

use std::collections::{BTreeMap, BTreeSet};

use super::account::{Put, Story};
use super::{Audit, Wrong};
use crate::chaos::errand::{ERRANDS, Errand, PLAIN, What};
use crate::chaos::ledger::Ledger;
use crate::chaos::line::{Delivery, End, Line};
use crate::chaos::snapshot::{Snapshot, State};

/// The ids under which a producer's message is there, or was delivered.
pub(super) type Numbered = BTreeMap<(String, u64), BTreeSet<i64>>;

pub(super) fn numbered(ledgers: &[Ledger], tables: &Snapshot) -> Numbered {
    let mut numbered = Numbered::new();
    for (id, Errand { producer, n, .. }) in &tables.bodies {
        let ids = numbered.entry((producer.clone(), *n)).or_default();
        ids.insert(*id);
    }
    for line in ledgers.iter().flat_map(|ledger| &ledger.lines) {
        if let Line::Leased {
            delivery,
            producer,
            n,
            ..
        } = line
        {
            let ids = numbered.entry((producer.clone(), *n)).or_default();
            ids.insert(delivery.id);
        }
    }
    numbered
}

impl Audit {
    /// No delivery goes to two; a message comes again after a release, or after the end of its lease,
    /// and after its end not at all.
    pub(super) fn leases(&mut self, stories: &BTreeMap<i64, Story>, forgotten: bool) {
        for (id, story) in stories {
            let mut owners: BTreeMap<i32, i64> = BTreeMap::new();
            for lease in &story.leases {
                let Delivery {
                    worker, read_ct, ..
                } = lease.delivery;
                let about = format!("{id}, delivery {read_ct}");
                if owners.insert(read_ct, worker).is_some() && !forgotten {
                    self.find(Wrong::LeasedTwice, &about);
                }
                let before = |other: &&Delivery| other.read_ct == read_ct - 1;
                let released = story.may_have(End::Release).any(|d| before(&d));
                let confirmed = |end| {
                    let mut all = story.confirmed();
                    all.any(|(d, how, _)| how == end && before(&d))
                };
                if lease.lapsed && confirmed(End::Release) {
                    self.find(Wrong::ReleaseLost, &about);
                }
                if read_ct > 1 && !lease.lapsed && !released {
                    self.find(Wrong::LeaseTaken, &about);
                }
                // After a crash there may be two with this count; the later one is the one that
                // lapsed.
                let others = story.leases.iter().filter(|other| before(&&other.delivery));
                let last = others.max_by_key(|other| other.span.start);
                if last.is_some_and(|last| lease.lapsed && lease.span.start < last.span.end) {
                    self.find(Wrong::LeaseTaken, &about);
                }
            }
            let last = owners.keys().next_back().copied().unwrap_or(0);
            for (delivery, end, _) in story.confirmed() {
                if end != End::Release && delivery.read_ct < last && !forgotten {
                    self.find(
                        Wrong::CameBack,
                        format!("{delivery}: {end:?}, and then delivery {last}"),
                    );
                }
            }
            for (delivery, end) in story.tries.keys() {
                let mut leases = story.leases.iter();
                if !leases.any(|lease| lease.delivery == *delivery) {
                    self.find(Wrong::NeverLeased, format!("{delivery}: {end:?}"));
                }
            }
        }
    }

    /// Each message has one body and one state, or is deleted; and it is where somebody has put it.
    pub(super) fn states(&mut self, tables: &Snapshot, stories: &BTreeMap<i64, Story>) {
        let nothing = Story::default();
        for id in tables.bodies.keys() {
            if !tables.states.contains_key(id) {
                self.find(Wrong::HalfThere, format!("{id} has a body and no state"));
            }
        }
        for (id, states) in &tables.states {
            let Some(body) = tables.bodies.get(id) else {
                self.find(Wrong::HalfThere, format!("{id} has no body: {states:?}"));
                continue;
            };
            let archived = states.iter().filter(|(state, _)| *state == State::Archived);
            if archived.count() > 1 {
                self.find(Wrong::ArchivedTwice, format!("{id}"));
            } else if states.len() > 1 {
                self.find(Wrong::InTwoStates, format!("{id}: {states:?}"));
            }
            let story = stories.get(id).unwrap_or(&nothing);
            for (state, read_ct) in states {
                let end = match state {
                    State::Archived => End::Archive,
                    State::Dead => End::Dead,
                    State::Live | State::Scheduled => {
                        self.find(Wrong::LeftOver, format!("{id}: {state:?}"));
                        continue;
                    }
                };
                let about = format!("{id} is {state:?} as delivery {read_ct}");
                if story.may_have(end).next().is_none() {
                    self.find(Wrong::EndedByNobody, &about);
                } else if !story.may_have(end).any(|d| d.read_ct == *read_ct) {
                    self.find(Wrong::EndedByALateDelivery, &about);
                }
                if end == End::Dead && body.what != What::Dead {
                    self.find(Wrong::GivenUp, format!("{id}: {body:?}"));
                }
            }
        }
    }

    /// What was confirmed is so, and to one alone.
    pub(super) fn ends(&mut self, tables: &Snapshot, stories: &BTreeMap<i64, Story>) {
        for (id, story) in stories {
            let mut told: BTreeMap<i32, usize> = BTreeMap::new();
            let mut for_good = 0;
            for (delivery, end, times) in story.confirmed() {
                *told.entry(delivery.read_ct).or_default() += times;
                for_good += if end == End::Release { 0 } else { times };
            }
            if for_good > 1 || told.values().any(|times| *times > 1) {
                let all: Vec<_> = story.confirmed().collect();
                self.find(Wrong::AcknowledgedTwice, format!("{id}: {all:?}"));
            }
            let states = tables.states.get(id).map_or(&[][..], Vec::as_slice);
            let deleted = states.is_empty() && story.may_have(End::Delete).next().is_some();
            self.deleted += usize::from(deleted);
            for (delivery, end, _) in story.confirmed() {
                let is_so = match end {
                    End::Archive => states.iter().any(|(state, _)| *state == State::Archived),
                    End::Dead => states.iter().any(|(state, _)| *state == State::Dead),
                    End::Delete => states.is_empty(),
                    End::Release => continue,
                };
                let owner = states.iter().map(|(_, read_ct)| *read_ct).next();
                let about = format!("{delivery}: {end:?}, and it is {states:?}");
                if !is_so {
                    self.find(Wrong::AcknowledgementLost, about);
                } else if owner.is_some_and(|read_ct| read_ct != delivery.read_ct) {
                    self.find(Wrong::EndedByALateDelivery, about);
                }
            }
        }
    }

    /// What was put in is there, whole and once; what was not, is not.
    pub(super) fn puts(
        &mut self,
        puts: &[Put],
        tables: &Snapshot,
        stories: &BTreeMap<i64, Story>,
        numbered: &Numbered,
    ) {
        for put in puts {
            let found: Vec<&BTreeSet<i64>> = (put.numbers.clone())
                .filter_map(|n| numbered.get(&(put.producer.clone(), n)))
                .collect();
            let count = put.numbers.clone().count();
            let keyed = if put.keyed { " with keys" } else { "" };
            let name = format!("{}: {:?}{keyed}", put.producer, put.numbers);
            if found.iter().any(|ids| ids.len() > 1) {
                self.find(Wrong::StoredTwice, format!("{name}: {found:?}"));
            }
            let Some(ids) = &put.confirmed else {
                if !put.may_be_there && !found.is_empty() {
                    self.find(Wrong::RefusedButStored, name);
                } else if !found.is_empty() && found.len() < count {
                    self.find(Wrong::BatchInPart, format!("{name}: {found:?}"));
                } else {
                    self.unconfirmed += found.len();
                }
                continue;
            };
            self.confirmed += count;
            let distinct: BTreeSet<&i64> = ids.iter().collect();
            if distinct.len() != count {
                self.find(Wrong::AnsweredInPart, format!("{name}: {ids:?}"));
            }
            for (id, n) in ids.iter().zip(put.numbers.clone()) {
                let may_be_deleted = stories
                    .get(id)
                    .is_some_and(|story| story.may_have(End::Delete).next().is_some());
                match tables.bodies.get(id) {
                    Some(body) if body.producer != put.producer || body.n != n => {
                        self.find(Wrong::PayloadChanged, format!("{id} is {body:?}"));
                    }
                    None if !tables.states.contains_key(id) && !may_be_deleted => {
                        self.find(Wrong::Lost, format!("{id}, number {n} of {name}"));
                    }
                    _ => {}
                }
            }
        }
        for (id, body) in &tables.bodies {
            let as_put_in = |queue| Errand::new(queue, &body.producer, body.n) == *body;
            if !as_put_in(ERRANDS) && !as_put_in(PLAIN) {
                self.find(Wrong::PayloadChanged, format!("{id}, number {}", body.n));
            }
        }
    }

    /// What handlers did in the transaction of the archiving, they did once.
    pub(super) fn effects(&mut self, tables: &Snapshot) {
        let is_archived = |id: &i64| {
            let states = tables.states.get(id).into_iter().flatten();
            let mut archived = states.filter(|(state, _)| *state == State::Archived);
            archived.next().is_some()
        };
        let has_effect = |id: &i64| {
            let body = tables.bodies.get(id);
            is_archived(id) && body.is_some_and(|body| body.what == What::Effect)
        };
        for id in tables.bodies.keys().filter(|id| has_effect(id)) {
            let times = tables.effects.get(id).copied().unwrap_or(0);
            if times != 1 {
                self.find(Wrong::EffectNotOnce, format!("{id}: {times} times"));
            }
        }
        for id in tables.effects.keys().filter(|id| !has_effect(id)) {
            self.find(Wrong::EffectWithoutArchive, format!("{id}"));
        }
    }

    pub(super) fn add_up(&mut self) {
        let (enqueued, accounted) = (
            self.confirmed + self.unconfirmed,
            self.archived + self.dead + self.deleted + self.left,
        );
        if enqueued != accounted {
            let text = format!("{enqueued} were enqueued, and {accounted} are accounted for");
            self.find(Wrong::DoesNotAddUp, text);
        }
    }
}
