//! What the ledgers say, put together: of each enqueue, and of each message.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::chaos::ledger::Ledger;
use crate::chaos::line::{Delivery, End, Fate, Line};

/// One enqueue of a batch, tried once or several times.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) producer: String,
    pub(super) keyed: bool,
    pub(super) numbers: Range<u64>,
    pub(super) confirmed: Option<Vec<i64>>,
    /// Whether a try may have been carried out without an answer.
    pub(super) may_be_there: bool,
}

/// One delivery that a process was given.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) delivery: Delivery,
    pub(super) lapsed: bool,
    /// By the server's clock, in microseconds: from when, and to when at least.
    pub(super) span: Range<i64>,
}

/// What became of the tries to end one delivery in one way.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// How often it was confirmed.
    pub(super) yes: usize,
    /// Whether one may have been carried out without an answer.
    unknown: bool,
    begun: usize,
    answered: usize,
}

impl Tries {
    /// Whether the delivery may have been ended so: a try that was refused, or told that it
    /// owns nothing, has done nothing.
    pub(super) fn may_be_done(&self) -> bool {
        self.yes > 0 || self.unknown || self.begun > self.answered
    }
}

/// What the ledgers say of one message.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) leases: Vec<Lease>,
    pub(super) tries: BTreeMap<(Delivery, End), Tries>,
    /// Deliveries that an extension was told they own nothing.
    pub(super) lost: Vec<Delivery>,
    /// Those that were told that they are extended, and until when at least.
    extended: Vec<(Delivery, i64)>,
}

impl Story {
    /// Moves the ends of the leases that were extended.
    fn extend(&mut self) {
        // The lock may also be that of an earlier delivery, which comes too late.
        let late = |of: &Delivery| {
            let mut tries = self.tries.iter();
            tries.any(|((tried, _), tries)| tried.read_ct < of.read_ct && tries.yes == 0)
        };
        for (delivery, until) in self.extended.iter().filter(|(of, _)| !late(of)) {
            let mut leases = self.leases.iter_mut();
            if let Some(lease) = leases.find(|lease| lease.delivery == *delivery) {
                lease.span.end = lease.span.end.max(*until);
            }
        }
    }

    /// The deliveries that may have ended it so.
    pub(super) fn may_have(&self, end: End) -> impl Iterator<Item = &Delivery> {
        let tries = self.tries.iter();
        let possible = tries.filter(move |((_, how), tries)| *how == end && tries.may_be_done());
        possible.map(|((delivery, _), _)| delivery)
    }

    /// The confirmed ends of its deliveries, releases included.
    pub(super) fn confirmed(&self) -> impl Iterator<Item = (&Delivery, End, usize)> {
        let tries = self.tries.iter().filter(|(_, tries)| tries.yes > 0);
        tries.map(|((delivery, end), tries)| (delivery, *end, tries.yes))
    }

    /// How many deliveries were told that they own nothing, and had not just ended it themselves.
    pub(super) fn late(&self) -> usize {
        let ended = |delivery: &Delivery| {
            let mut confirmed = self.confirmed();
            confirmed.any(|(other, ..)| other == delivery)
        };
        let answered = self.tries.iter().filter(|(_, tries)| !tries.may_be_done());
        let answered = answered.map(|((delivery, _), _)| *delivery);
        let mut told: Vec<Delivery> = answered.chain(self.lost.iter().copied()).collect();
        told.sort_unstable();
        told.dedup();
        told.iter().filter(|delivery| !ended(delivery)).count()
    }
}

/// All enqueues, the tries of each taken together.
pub(super) fn puts(ledgers: &[Ledger]) -> Vec<Put> {
    let mut puts: BTreeMap<(&str, u64), (Put, bool)> = BTreeMap::new();
    for ledger in ledgers {
        let name = ledger.name.as_str();
        for line in &ledger.lines {
            match line {
                Line::Putting {
                    put,
                    keyed,
                    first,
                    count,
                } => {
                    let (_, open) = puts.entry((name, *put)).or_insert_with(|| {
                        let put = Put {
                            producer: name.to_owned(),
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
                    let (put, open) = puts.get_mut(&(name, *put)).unwrap();
                    put.confirmed = Some(ids.clone());
                    *open = false;
                }
                Line::NotPut { put, fate } => {
                    let (put, open) = puts.get_mut(&(name, *put)).unwrap();
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

/// What was done with each message, by id.
pub(super) fn stories(ledgers: &[Ledger]) -> BTreeMap<i64, Story> {
    let mut stories: BTreeMap<i64, Story> = BTreeMap::new();
    for line in ledgers.iter().flat_map(|ledger| &ledger.lines) {
        match line {
            Line::Leased {
                delivery,
                lapsed,
                from,
                until,
                ..
            } => stories.entry(delivery.id).or_default().leases.push(Lease {
                delivery: *delivery,
                lapsed: *lapsed,
                span: *from..*until,
            }),
            Line::Extended { delivery, until } => {
                let story = stories.entry(delivery.id).or_default();
                // An extension that meets the lock of a settlement of the same delivery answers
                // that it is owned, and changes nothing.
                if !story.tries.keys().any(|(tried, _)| tried == delivery) {
                    story.extended.push((*delivery, *until));
                }
            }
            Line::Ending { delivery, end } => {
                let story = stories.entry(delivery.id).or_default();
                story.tries.entry((*delivery, *end)).or_default().begun += 1;
            }
            Line::Ended {
                delivery,
                end,
                fate,
            } => {
                let story = stories.entry(delivery.id).or_default();
                let tries = story.tries.entry((*delivery, *end)).or_default();
                tries.answered += 1;
                tries.yes += usize::from(*fate == Fate::Yes);
                tries.unknown |= *fate == Fate::Unknown;
            }
            Line::Lost { delivery } => {
                let story = stories.entry(delivery.id).or_default();
                story.lost.push(*delivery);
            }
            _ => {}
        }
    }
    stories.values_mut().for_each(Story::extend);
    stories
}
