//! What was measured.

use serde_json::{Value, json};

use crate::Result;
use crate::queues;
use crate::sections;

/// What a figure is of, besides its queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) payload_bytes: usize,
    /// Consumers, threads or producers.
    pub(crate) consumers: usize,
    pub(crate) batch: usize,
    /// What else differs; in `both`, what a queue was set to differs as well, but not here.
    pub(crate) variant: String,
}

impl Cell {
    pub(crate) fn new(payload_bytes: usize, consumers: usize, batch: usize) -> Self {
        Self {
            payload_bytes,
            consumers,
            batch,
            variant: String::new(),
        }
    }

    pub(crate) fn variant(&self, variant: impl Into<String>) -> Self {
        Self {
            variant: variant.into(),
            ..self.clone()
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    PerSecond,
    Milliseconds,
    Bytes,
}

impl Unit {
    const ALL: [Self; 3] = [Self::PerSecond, Self::Milliseconds, Self::Bytes];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "messages/s",
            Self::Milliseconds => "ms",
            Self::Bytes => "bytes/message",
        }
    }
}

/// One figure of one run.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) cell: Cell,
    pub(crate) unit: Unit,
    pub(crate) value: f64,
    pub(crate) cut_off: bool,
}

/// The same figure of all runs.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) section: &'static str,
    pub(crate) queue: &'static str,
    pub(crate) cell: Cell,
    pub(crate) unit: Unit,
    pub(crate) runs: Vec<f64>,
    /// In any of the runs.
    pub(crate) cut_off: bool,
}

impl Entry {
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }
}

/// In the order in which it was measured first.
#[derive(Debug, Default)]
pub(crate) struct Results(Vec<Entry>);

impl Results {
    pub(crate) fn add(&mut self, section: &'static str, queue: &'static str, figure: Figure) {
        let Figure {
            cell,
            unit,
            value,
            cut_off,
        } = figure;
        let known = self.0.iter_mut().find(|entry| {
            entry.section == section
                && entry.queue == queue
                && entry.cell == cell
                && entry.unit == unit
        });
        match known {
            Some(entry) => {
                entry.runs.push(value);
                entry.cut_off |= cut_off;
            }
            None => self.0.push(Entry {
                section,
                queue,
                cell,
                unit,
                runs: vec![value],
                cut_off,
            }),
        }
    }

    pub(crate) fn section(&self, section: &str) -> impl Iterator<Item = &Entry> + Clone {
        self.0.iter().filter(move |entry| entry.section == section)
    }

    pub(crate) fn find(&self, section: &str, queue: &str, cell: &Cell) -> Option<&Entry> {
        self.section(section)
            .find(|entry| entry.queue == queue && entry.cell == *cell)
    }

    /// What `to_json` wrote.
    pub(crate) fn from_json(all: &Value) -> Result<Self> {
        let mut results = Self::default();
        for section in sections::NAMES {
            for entry in all["sections"][section].as_array().into_iter().flatten() {
                let text = |key: &str| entry[key].as_str().unwrap_or_default();
                let number = |key: &str| -> Result<usize> {
                    let number = entry[key].as_u64().ok_or("a number is missing")?;
                    Ok(usize::try_from(number)?)
                };
                let queue = queues::NAMES.iter().find(|name| **name == text("queue"));
                let queue = queue.ok_or_else(|| format!("there is no `{}`", text("queue")))?;
                let unit = Unit::ALL
                    .into_iter()
                    .find(|unit| unit.name() == text("unit"));
                let cell = Cell::new(
                    number("payload_bytes")?,
                    number("consumers")?,
                    number("batch")?,
                );
                for value in entry["runs"].as_array().into_iter().flatten() {
                    let figure = Figure {
                        cell: cell.variant(text("variant")),
                        unit: unit.ok_or("an unknown unit")?,
                        value: value.as_f64().ok_or("a figure that is no number")?,
                        cut_off: entry["cut_off"] == true,
                    };
                    results.add(section, queue, figure);
                }
            }
        }
        Ok(results)
    }

    pub(crate) fn to_json(&self, settings: &Value, sections: &[&str]) -> Value {
        let entry = |entry: &Entry| {
            json!({
                "queue": entry.queue,
                "payload_bytes": entry.cell.payload_bytes,
                "consumers": entry.cell.consumers,
                "batch": entry.cell.batch,
                "variant": entry.cell.variant,
                "unit": entry.unit.name(),
                "runs": entry.runs,
                "median": entry.median(),
                "cut_off": entry.cut_off,
            })
        };
        let mut all = serde_json::Map::new();
        for section in sections {
            let entries: Vec<Value> = self.section(section).map(entry).collect();
            if !entries.is_empty() {
                all.insert((*section).to_owned(), entries.into());
            }
        }
        json!({ "settings": settings, "sections": all })
    }
}
