//! Whether the tables hold what the ledgers say. Each way of being wrong has a name.

mod account;
mod rules;

use std::collections::BTreeSet;
use std::fmt;

use self::account::Story;
use super::ledger::{Figures, Ledger};
use super::snapshot::{Snapshot, State};

/// What may be found to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wrong {
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
    /// A message was delivered before the lease that somebody had was over.
    LeaseTaken,
    /// A message was delivered after its end was confirmed.
    CameBack,
    /// Somebody ended a delivery that nobody was given.
    NeverLeased,
    /// A confirmed batch was answered with fewer ids than it has messages, or with one twice.
    AnsweredInPart,
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
pub struct Finding {
    pub wrong: Wrong,
    pub about: String,
}

/// What was found, and the figures.
#[derive(Debug, Default)]
pub struct Audit {
    pub findings: Vec<Finding>,
    /// Stored for certain.
    pub confirmed: usize,
    /// Of unknown fate, and there.
    pub unconfirmed: usize,
    pub archived: usize,
    pub dead: usize,
    pub deleted: usize,
    pub left: usize,
    pub effects: usize,
    /// Deliveries that were told that they own nothing any more.
    pub late: usize,
    /// What the ledgers say.
    pub said: Figures,
}

impl Audit {
    /// Audits a run in which the database may have forgotten leases (because the server
    /// crashed), or not.
    pub fn of(ledgers: &[Ledger], tables: &Snapshot, leases_forgotten: bool) -> Self {
        let puts = account::puts(ledgers);
        let stories = account::stories(ledgers);
        let numbered = rules::numbered(ledgers, tables);
        let mut audit = Self {
            said: Figures::of(ledgers),
            late: stories.values().map(Story::late).sum(),
            archived: tables.count(State::Archived),
            dead: tables.count(State::Dead),
            left: tables.count(State::Live) + tables.count(State::Scheduled),
            effects: tables.effects.values().sum(),
            ..Self::default()
        };
        audit.leases(&stories, leases_forgotten);
        audit.states(tables, &stories);
        audit.ends(tables, &stories);
        audit.puts(&puts, tables, &stories, &numbered);
        audit.effects(tables);
        audit.add_up();
        audit
    }

    /// The ways of being wrong that were found.
    pub fn wrongs(&self) -> BTreeSet<Wrong> {
        self.findings.iter().map(|finding| finding.wrong).collect()
    }

    fn find(&mut self, wrong: Wrong, about: impl Into<String>) {
        let about = about.into();
        self.findings.push(Finding { wrong, about });
    }
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
            "deliveries {} ({} after a lapsed lease), of which late {}, effects {}",
            self.said.deliveries, self.said.lapsed, self.late, self.effects
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
