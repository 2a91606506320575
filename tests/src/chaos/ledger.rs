//! Reading the ledgers of all processes of a run, while they are being written and afterwards.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::line::{Delivery, End, Fate, Line};

/// The ledger of one process.
#[derive(Debug)]
pub struct Ledger {
    /// Whose.
    pub name: String,
    pub lines: Vec<Line>,
    pub figures: Figures,
    path: PathBuf,
    /// How much of the file was read.
    read: u64,
}

impl Ledger {
    pub fn new(name: &str, path: &Path) -> Self {
        Self {
            name: name.to_owned(),
            lines: Vec::new(),
            figures: Figures::default(),
            path: path.to_owned(),
            read: 0,
        }
    }

    /// Reads what was written since the last time: whole lines, as a killed process may have left
    /// a part of one.
    pub fn read_on(&mut self) {
        let Ok(mut file) = File::open(&self.path) else {
            return; // it has not begun yet
        };
        let mut text = String::new();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        file.read_to_string(&mut text).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.take(&text[..whole]);
        self.read += whole as u64;
    }

    /// One that says this: to check the audit.
    pub fn of_text(name: &str, text: &str) -> Self {
        let mut ledger = Self::new(name, Path::new(""));
        ledger.take(text);
        ledger
    }

    fn take(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let parsed: Result<Line, String> = line.parse();
            let parsed = parsed.unwrap_or_else(|why| panic!("{}: {line}: {why}", self.name));
            self.figures.count(&parsed);
            self.lines.push(parsed);
        }
    }

    /// The deliveries that it has and has not begun to end. Who gets a message again goes on with the
    /// new delivery, and never ends the one before.
    pub fn held(&self) -> Vec<Delivery> {
        let mut held: Vec<Delivery> = Vec::new();
        for line in &self.lines {
            match line {
                Line::Leased { delivery, .. } => {
                    held.retain(|other| other.id != delivery.id);
                    held.push(*delivery);
                }
                Line::Ending { delivery, .. } | Line::Lost { delivery } => {
                    held.retain(|other| other != delivery);
                }
                _ => {}
            }
        }
        held
    }

    /// Whether this delivery was told that it owns nothing any more.
    pub fn was_told_late(&self, of: &Delivery) -> bool {
        self.lines.iter().any(|line| match line {
            Line::Lost { delivery } => delivery == of,
            Line::Ended { delivery, fate, .. } => delivery == of && *fate == Fate::No,
            _ => false,
        })
    }

    /// Those of these deliveries whose messages were delivered again later, to this process.
    pub fn took(&self, held: &[Delivery]) -> Vec<Delivery> {
        let is_taken = |held: &&Delivery| {
            self.lines.iter().any(|line| match line {
                // With the same count, if the server has forgotten the first one.
                Line::Leased { delivery, .. } => {
                    delivery.id == held.id && delivery.read_ct >= held.read_ct && delivery != *held
                }
                _ => false,
            })
        };
        held.iter().filter(is_taken).copied().collect()
    }
}

/// How much there is of what, in one ledger or in all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Messages put in for certain.
    pub put: usize,
    /// Deliveries ended for good, for certain.
    pub done: usize,
    pub deliveries: usize,
    /// Deliveries after a lease that ran out.
    pub lapsed: usize,
    /// Calls whose fate nobody knows.
    pub unknown: usize,
    /// Calls that failed, certainly without an effect.
    pub refused: usize,
}

impl Figures {
    fn count(&mut self, line: &Line) {
        match line {
            Line::Put { ids, .. } => self.put += ids.len(),
            Line::Leased { lapsed, .. } => {
                self.deliveries += 1;
                self.lapsed += usize::from(*lapsed);
            }
            Line::NotPut { fate, .. } => self.failed(*fate),
            Line::Ended { end, fate, .. } => match fate {
                Fate::Yes => self.done += usize::from(*end != End::Release),
                Fate::No => {}
                Fate::Refused | Fate::Unknown => self.failed(*fate),
            },
            Line::Putting { .. }
            | Line::Extended { .. }
            | Line::Ending { .. }
            | Line::Lost { .. } => {}
        }
    }

    fn failed(&mut self, fate: Fate) {
        match fate {
            Fate::Unknown => self.unknown += 1,
            _ => self.refused += 1,
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.put += other.put;
        self.done += other.done;
        self.deliveries += other.deliveries;
        self.lapsed += other.lapsed;
        self.unknown += other.unknown;
        self.refused += other.refused;
    }

    /// Of all of them.
    pub fn of(ledgers: &[Ledger]) -> Self {
        let mut all = Self::default();
        ledgers.iter().for_each(|ledger| all.add(&ledger.figures));
        all
    }
}
