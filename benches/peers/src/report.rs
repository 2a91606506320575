//! Tables, to be pasted into a document.

use serde_json::Value;

use crate::queues;
use crate::results::{Cell, Entry, Results, Unit};
use crate::sections;

/// What the figures depend on.
pub(crate) fn settings(settings: &Value) {
    println!("| setting | |\n|---|---|");
    for (name, value) in settings.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(list) => list
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(", "),
            other => other.to_string(),
        };
        println!("| {name} | {text} |");
    }
}

/// A row per cell, a column per queue; after a rate, how many times as quick ours is.
pub(crate) fn section(name: &str, results: &Results) {
    let entries: Vec<&Entry> = results.section(name).collect();
    let Some(first) = entries.first() else {
        return;
    };
    let queues: Vec<&str> = queues::NAMES
        .iter()
        .copied()
        .filter(|queue| entries.iter().any(|entry| entry.queue == *queue))
        .collect();
    let mut cells: Vec<&Cell> = Vec::new();
    for entry in &entries {
        if !cells.contains(&&entry.cell) {
            cells.push(&entry.cell);
        }
    }
    println!("\n### {}\n", sections::title(name));
    println!("`--only {name}`, {}; the median.", first.unit.name());
    if queues.len() > 1 && first.unit == Unit::PerSecond {
        println!("In brackets: {} divided by this one.", queues[0]);
    }
    if entries.iter().any(|entry| entry.cut_off) {
        println!("`*`: cut off before the queue was empty; the rate until then.");
    }
    println!(
        "\n| payload | consumers | batch | | {} |",
        queues.join(" | ")
    );
    println!("|---|---|---|---|{}", "---|".repeat(queues.len()));
    for cell in cells {
        let ours = queues
            .first()
            .and_then(|ours| results.find(name, ours, cell));
        let columns: Vec<String> = queues
            .iter()
            .map(|queue| {
                results
                    .find(name, queue, cell)
                    .map_or_else(|| "-".to_owned(), |entry| column(entry, ours))
            })
            .collect();
        println!(
            "| {} | {} | {} | {} | {} |",
            cell.payload_bytes,
            or_each_its_own(cell.consumers),
            or_each_its_own(cell.batch),
            cell.variant,
            columns.join(" | ")
        );
    }
}

fn or_each_its_own(number: usize) -> String {
    match number {
        0 => "its best".to_owned(),
        _ => thousands(number as f64),
    }
}

fn column(entry: &Entry, ours: Option<&Entry>) -> String {
    let value = match entry.unit {
        Unit::Milliseconds => format!("{:.2}", entry.median()),
        Unit::PerSecond | Unit::Bytes => thousands(entry.median()),
    };
    let star = if entry.cut_off { "*" } else { "" };
    match ours {
        Some(ours) if ours.queue != entry.queue && entry.unit == Unit::PerSecond => {
            format!("{value}{star} ({:.2})", ours.median() / entry.median())
        }
        _ => format!("{value}{star}"),
    }
}

/// 1,234,567
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
