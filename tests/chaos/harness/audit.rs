//! Whether the tables hold what the ledgers say. Each way of being wrong has a name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::errand::{Errand, What};
use super::ledger::{Figures, Ledger};
use super::line::{Delivery, End, Fate, Line};
use super::snapshot::{Snapshot, State};

/// What may be found to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Wrong {
    /// A confirmed message is nowhere, and nobody has tried to delete it.
    Lost,
    /// A body without a state, or a state without a body.
    HalfThere,
    /// A message is in two states.
    InTwoStates,
    /// A message is in the archive twice.
    ArchivedTwice,
    /// Two were told that they have ended the same message.
    AcknowledgedTwice,
    /// One was told that it has ended a message, and the message is not in that state.
    AcknowledgementLost,
    /// A message was archived or given up under a delivery that did not own it.
    EndedByALateDelivery,
    /// A message has been ended, and nobody has asked for it.
    EndedByNobody,
    /// A message that was released came back by its lease running out.
    ReleaseLost,
    /// One delivery of a message went to two.
    LeasedTwice,
    /// A batch is there in part.
    BatchInPart,
    /// What was refused is there.
    RefusedButStored,
    /// A producer's message is there twice.
    StoredTwice,
    /// A body is not what was put in.
    PayloadChanged,
    /// An archived message does not have its handler's row, or several.
    EffectNotOnce,
    /// A message that is not done has its handler's row.
    EffectWithoutArchive,
    /// A message is among the dead letters that did not ask for it.
    GivenUp,
    /// At the end there is something left to do.
    LeftOver,
    /// enqueued = archived + dead + deleted + left does not hold.
    DoesNotAddUp,
}

/// What is wrong, and with which message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) wrong: Wrong,
    pub(crate) about: String,
}

/// What was found, and the figures.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) findings: Vec<Finding>,
    /// Stored for certain.
    pub(crate) confirmed: usize,
    /// Of unknown fate, and there.
    pub(crate) unconfirmed: usize,
    pub(crate) archived: usize,
    pub(crate) dead: usize,
    pub(crate) deleted: usize,
    pub(crate) left: usize,
    pub(crate) effects: usize,
    /// What the ledgers say.
    pub(crate) said: Figures,
}

/// One enqueue of a batch, tried once or several times.
#[derive(Debug)]
struct Put {
    producer: String,
    keyed: bool,
    numbers: std::ops::Range<u64>,
    confirmed: Option<Vec<i64>>,
    /// Whether a try may have been carried out without an answer.
    may_be_there: bool,
}

/// What the ledgers say of one message's ends.
#[derive(Debug, Default)]
struct Ends {
    /// Asked for, whatever came of it, if it was not refused.
    tried: BTreeSet<End>,
    /// Confirmed.
    done: Vec<(Delivery, End)>,
}

impl Audit {
    /// Audits a run in which the database may have forgotten leases (because the server
    /// crashed), or not.
    pub(crate) fn of(ledgers: &[Ledger], tables: &Snapshot, leases_forgotten: bool) -> Self {
        let mut audit = Self {
            said: Figures::of(ledgers),
            archived: tables.count(State::Archived),
            dead: tables.count(State::Dead),
            left: tables.count(State::Live) + tables.count(State::Scheduled),
            effects: tables.effects.values().sum(),
            ..Self::default()
        };
        let puts = puts(ledgers);
        let ends = ends(ledgers);
        let numbered = audit.leases(ledgers, tables, leases_forgotten);
        audit.states(tables, &ends);
        audit.ends(tables, &ends);
        audit.puts(&puts, tables, &ends, &numbered);
        audit.effects(tables);
        audit.add_up();
        audit
    }

    fn find(&mut self, wrong: Wrong, about: impl Into<String>) {
        let about = about.into();
        self.findings.push(Finding { wrong, about });
    }

    /// The ways of being wrong that were found.
    pub(crate) fn wrongs(&self) -> BTreeSet<Wrong> {
        self.findings.iter().map(|finding| finding.wrong).collect()
    }

    /// Every id that is there or was delivered, by producer and number.
    fn leases(
        &mut self,
        ledgers: &[Ledger],
        tables: &Snapshot,
        leases_forgotten: bool,
    ) -> BTreeMap<(String, u64), BTreeSet<i64>> {
        let mut numbered: BTreeMap<(String, u64), BTreeSet<i64>> = BTreeMap::new();
        for (id, Errand { producer, n, .. }) in &tables.bodies {
            let ids = numbered.entry((producer.clone(), *n)).or_default();
            ids.insert(*id);
        }
        let mut owners: BTreeMap<(i64, i32), i64> = BTreeMap::new();
        let mut released: BTreeSet<(i64, i32)> = BTreeSet::new();
        for line in ledgers.iter().flat_map(|ledger| &ledger.lines) {
            if let Line::Ended {
                delivery,
                end: End::Release,
                fate: Fate::Yes,
            } = line
            {
                released.insert((delivery.id, delivery.read_ct));
            }
        }
        for line in ledgers.iter().flat_map(|ledger| &ledger.lines) {
            let Line::Leased {
                delivery,
                lapsed,
                producer,
                n,
            } = line
            else {
                continue;
            };
            let Delivery {
                id,
                worker,
                read_ct,
            } = *delivery;
            let ids = numbered.entry((producer.clone(), *n)).or_default();
            ids.insert(id);
            if *lapsed && released.contains(&(id, read_ct - 1)) {
                self.find(Wrong::ReleaseLost, format!("{id}, delivery {read_ct}"));
            }
            let owner = owners.insert((id, read_ct), worker);
            if owner.is_some() && !leases_forgotten {
                self.find(Wrong::LeasedTwice, format!("{id}, delivery {read_ct}"));
            }
        }
        numbered
    }

    /// Each message has one body and one state, or is deleted.
    fn states(&mut self, tables: &Snapshot, ends: &BTreeMap<i64, Ends>) {
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
            let tried = |end| ends.get(id).is_some_and(|ends| ends.tried.contains(&end));
            for (state, read_ct) in states {
                let unasked = match state {
                    State::Archived => !tried(End::Archive),
                    State::Dead => !tried(End::Dead),
                    _ => false,
                };
                if unasked {
                    self.find(Wrong::EndedByNobody, format!("{id}, delivery {read_ct}"));
                }
                if *state == State::Dead && body.what != What::Dead {
                    self.find(Wrong::GivenUp, format!("{id}: {body:?}"));
                }
                if matches!(state, State::Live | State::Scheduled) {
                    self.find(Wrong::LeftOver, format!("{id}: {state:?}"));
                }
            }
        }
    }

    /// What was confirmed is so.
    fn ends(&mut self, tables: &Snapshot, ends: &BTreeMap<i64, Ends>) {
        for (id, Ends { tried, done }) in ends {
            if done.len() > 1 {
                self.find(Wrong::AcknowledgedTwice, format!("{id}: {done:?}"));
            }
            let states = tables.states.get(id).map_or(&[][..], Vec::as_slice);
            self.deleted += usize::from(states.is_empty() && tried.contains(&End::Delete));
            for (delivery, end) in done {
                let row = match end {
                    End::Archive => states.iter().find(|(state, _)| *state == State::Archived),
                    End::Dead => states.iter().find(|(state, _)| *state == State::Dead),
                    End::Delete | End::Release if states.is_empty() => continue,
                    End::Delete | End::Release => None,
                };
                match row {
                    None => self.find(
                        Wrong::AcknowledgementLost,
                        format!("{delivery}: {end:?}, and it is {states:?}"),
                    ),
                    Some((_, read_ct)) if *read_ct != delivery.read_ct => self.find(
                        Wrong::EndedByALateDelivery,
                        format!("{delivery}: {end:?}, and the owner was delivery {read_ct}"),
                    ),
                    Some(_) => {}
                }
            }
        }
    }

    /// What was put in is there, whole and once; what was not, is not.
    fn puts(
        &mut self,
        puts: &[Put],
        tables: &Snapshot,
        ends: &BTreeMap<i64, Ends>,
        numbered: &BTreeMap<(String, u64), BTreeSet<i64>>,
    ) {
        for put in puts {
            let found: Vec<&BTreeSet<i64>> = (put.numbers.clone())
                .filter_map(|n| numbered.get(&(put.producer.clone(), n)))
                .collect();
            let keyed = if put.keyed { " with keys" } else { "" };
            let name = format!("{}: {:?}{keyed}", put.producer, put.numbers);
            if found.iter().any(|ids| ids.len() > 1) {
                self.find(Wrong::StoredTwice, format!("{name}: {found:?}"));
            }
            let Some(ids) = &put.confirmed else {
                let whole = found.len() == put.numbers.clone().count();
                if !put.may_be_there && !found.is_empty() {
                    self.find(Wrong::RefusedButStored, name);
                } else if !found.is_empty() && !whole {
                    self.find(Wrong::BatchInPart, format!("{name}: {found:?}"));
                } else if whole {
                    self.unconfirmed += found.len();
                }
                continue;
            };
            self.confirmed += ids.len();
            for (id, n) in ids.iter().zip(put.numbers.clone()) {
                let may_be_deleted = || {
                    ends.get(id)
                        .is_some_and(|ends| ends.tried.contains(&End::Delete))
                };
                match tables.bodies.get(id) {
                    Some(body) if body.producer != put.producer || body.n != n => {
                        self.find(Wrong::PayloadChanged, format!("{id} is {body:?}"));
                    }
                    None if !tables.states.contains_key(id) && !may_be_deleted() => {
                        self.find(Wrong::Lost, format!("{id}, number {n} of {name}"));
                    }
                    _ => {}
                }
            }
        }
        for (id, body) in &tables.bodies {
            let pad = Errand::new("", &body.producer, body.n).pad;
            if body.pad != pad {
                self.find(Wrong::PayloadChanged, format!("{id}, number {}", body.n));
            }
        }
    }

    /// What handlers did in the transaction of the archiving, they did once.
    fn effects(&mut self, tables: &Snapshot) {
        for (id, body) in &tables.bodies {
            let states = tables.states.get(id).map_or(&[][..], Vec::as_slice);
            let archived = states.iter().any(|(state, _)| *state == State::Archived);
            let effects = tables.effects.get(id).copied().unwrap_or(0);
            match (body.what == What::Effect && archived, effects) {
                (true, 1) | (false, 0) => {}
                (true, _) => self.find(Wrong::EffectNotOnce, format!("{id}: {effects} times")),
                (false, _) => self.find(Wrong::EffectWithoutArchive, format!("{id}")),
            }
        }
    }

    fn add_up(&mut self) {
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

/// All enqueues, the tries of each taken together.
fn puts(ledgers: &[Ledger]) -> Vec<Put> {
    let mut puts: BTreeMap<(&str, u64), (Put, bool)> = BTreeMap::new();
    for ledger in ledgers {
        for line in &ledger.lines {
            match line {
                Line::Putting {
                    put,
                    keyed,
                    first,
                    count,
                } => {
                    let entry = puts.entry((&ledger.name, *put));
                    let (_, open) = entry.or_insert_with(|| {
                        let put = Put {
                            producer: ledger.name.clone(),
                            keyed: *keyed,
                            numbers: *first..first + count,
                            confirmed: None,
                            may_be_there: false,
                        };
                        (put, false)
                    });
                    *open = true;
                }
                Line::Put { put, ids } => {
                    let (put, open) = puts.get_mut(&(ledger.name.as_str(), *put)).unwrap();
                    put.confirmed = Some(ids.clone());
                    *open = false;
                }
                Line::NotPut { put, fate } => {
                    let (put, open) = puts.get_mut(&(ledger.name.as_str(), *put)).unwrap();
                    put.may_be_there |= *fate == Fate::Unknown;
                    *open = false;
                }
                _ => {}
            }
        }
    }
    let put = |(mut put, open): (Put, bool)| {
        put.may_be_there |= open; // killed before it was answered
        put
    };
    puts.into_values().map(put).collect()
}

/// What was done to end each message.
fn ends(ledgers: &[Ledger]) -> BTreeMap<i64, Ends> {
    let mut ends: BTreeMap<i64, Ends> = BTreeMap::new();
    for line in ledgers.iter().flat_map(|ledger| &ledger.lines) {
        match line {
            Line::Ending { delivery, end } => {
                ends.entry(delivery.id).or_default().tried.insert(*end);
            }
            Line::Ended {
                delivery,
                end,
                fate: Fate::Yes,
            } if *end != End::Release => {
                let ends = ends.entry(delivery.id).or_default();
                ends.done.push((*delivery, *end));
            }
            _ => {}
        }
    }
    ends
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "enqueued {} ({} confirmed, {} of unknown fate) = archived {} + dead {} + deleted {} + left {}",
            self.confirmed + self.unconfirmed,
            self.confirmed,
            self.unconfirmed,
            self.archived,
            self.dead,
            self.deleted,
            self.left
        )?;
        writeln!(
            f,
            "deliveries {} ({} after a lapsed lease), told that they own nothing {}, effects {}",
            self.said.deliveries, self.said.lapsed, self.said.late, self.effects
        )?;
        write!(
            f,
            "calls of unknown fate {}, failed for certain {}",
            self.said.unknown, self.said.refused
        )?;
        const SHOWN: usize = 20;
        for Finding { wrong, about } in self.findings.iter().take(SHOWN) {
            write!(f, "\n{wrong:?}: {about}")?;
        }
        match self.findings.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}
