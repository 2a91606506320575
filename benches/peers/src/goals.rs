//! What pgqrs wants to reach, and whether it did: from the figures at hand, the worst cell of
//! each. Nothing fails here; it is read.

use crate::report::thousands;
use crate::results::{Cell, Entry, Results};
use crate::sections::{SQLITE, flat, snapshot, sqlite as in_file};
use crate::sqlite;

const OURS: &str = "pgqrs";
const ONE_CALL: &str = "pgqrs in one call";
const POOL: &str = "pgqrs pool";
const HAND: &str = "by hand";
const PGMQ: &str = "pgmq";
const ASYNC: &str = "pgqrs 0.15.3";

/// One line of the table.
struct Goal {
    what: String,
    wanted: Wanted,
    /// What was reached, and where; none if it was not measured.
    reached: Option<(f64, String)>,
}

enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// Told, and that is all.
    Nothing,
}

pub(crate) fn print(results: &Results) {
    let mut goals = Vec::new();
    drains(results, &mut goals);
    stays_flat(results, &mut goals);
    the_pool(results, &mut goals);
    in_an_sqlite_file(results, &mut goals);
    if goals.iter().all(|goal| goal.reached.is_none()) {
        return;
    }
    println!("\n### Goals\n");
    println!(
        "Against other queues, the best of our two loops and the pool. `*`: the other was cut off."
    );
    println!("\n| goal | wanted | reached | | worst cell |\n|---|---|---|---|---|");
    for goal in goals {
        let Some((reached, place)) = goal.reached else {
            continue;
        };
        let (wanted, met) = match goal.wanted {
            Wanted::AtLeast(least) => (format!("≥ {}", short(least)), reached >= least),
            Wanted::AtMost(most) => (format!("≤ {}", short(most)), reached <= most),
            Wanted::Nothing => {
                println!("| {} | | {} | | {place} |", goal.what, short(reached));
                continue;
            }
        };
        let met = if met { "met" } else { "**not met**" };
        println!(
            "| {} | {wanted} | {} | {met} | {place} |",
            goal.what,
            short(reached)
        );
    }
}

fn short(number: f64) -> String {
    if number >= 1_000.0 {
        thousands(number)
    } else {
        format!("{number:.2}")
    }
}

fn place(cell: &Cell) -> String {
    let Cell {
        payload_bytes,
        consumers,
        batch,
        variant,
    } = cell;
    format!("{payload_bytes} bytes, {consumers} × {batch} {variant}")
        .trim_end()
        .to_owned()
}

/// What of ours is compared with another queue: the best of these.
type Ways = &'static [&'static str];

/// The same two calls as by hand.
const TWO_CALLS: Ways = &[OURS];
const LOOPS: Ways = &[OURS, ONE_CALL];
const ANY: Ways = &[OURS, ONE_CALL, POOL];

/// The least of ours / theirs, over the cells that are meant, and of how many cells it is the
/// least.
fn worst_ratio(
    results: &Results,
    section: &str,
    (ways, theirs): (Ways, &str),
    wanted: f64,
    meant: impl Fn(&Cell) -> bool,
) -> Option<(f64, String)> {
    let ratios = results
        .section(section)
        .filter(|entry| entry.queue == theirs && meant(&entry.cell))
        .filter_map(|theirs| {
            let ours = ways.iter().filter_map(|way| {
                let entry = results.find(section, way, &theirs.cell)?;
                Some(entry.median())
            });
            let best = ours.max_by(f64::total_cmp)?;
            Some((best / theirs.median(), place(&theirs.cell) + mark(theirs)))
        });
    let mut ratios: Vec<(f64, String)> = ratios.collect();
    ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
    let reach = ratios.iter().filter(|(ratio, _)| *ratio >= wanted).count();
    let cells = ratios.len();
    let middle = ratios.get(cells / 2)?.0;
    let (worst, place) = ratios.swap_remove(0);
    let places = match cells {
        1 => place,
        _ => format!("{place}; middle {middle:.2}, {reach} of {cells} cells reach it"),
    };
    Some((worst, places))
}

/// Of a rate that is the first seconds' only.
fn mark(entry: &Entry) -> &'static str {
    if entry.cut_off { " `*`" } else { "" }
}

fn best<'a>(results: &'a Results, section: &'a str, queue: &str) -> Option<&'a Entry> {
    let entries = results
        .section(section)
        .filter(|entry| entry.queue == queue);
    entries.max_by(|one, other| one.median().total_cmp(&other.median()))
}

/// Ours, of one variant against another one.
fn own_ratio(
    results: &Results,
    section: &str,
    one: impl Fn(&str) -> bool,
    other: impl Fn(&str) -> bool,
) -> Option<(f64, String)> {
    let mut ours = results.section(section).filter(|entry| entry.queue == OURS);
    let one = ours.clone().find(|entry| one(&entry.cell.variant))?;
    let other = ours.find(|entry| other(&entry.cell.variant))?;
    Some((one.median() / other.median(), place(&one.cell)))
}

fn drains(results: &Results, goals: &mut Vec<Goal>) {
    let mut least = |what: &str, least: f64, reached| {
        goals.push(Goal {
            what: what.to_owned(),
            wanted: Wanted::AtLeast(least),
            reached,
        });
    };
    let small = |cell: &Cell| cell.batch >= 10 && cell.payload_bytes < 1_000;
    let large = |cell: &Cell| cell.batch >= 10 && cell.payload_bytes >= 1_000;
    type Meant<'a> = &'a dyn Fn(&Cell) -> bool;
    let cells: [(&str, Ways, &str, &str, f64, Meant<'_>); 9] = [
        ("overhead", TWO_CALLS, HAND, "batch ≥ 10", 0.9, &|_| true),
        ("drain", TWO_CALLS, HAND, "batch 1", 0.8, &|cell| {
            cell.batch == 1
        }),
        ("drain", ANY, PGMQ, "batch ≥ 10, 50 bytes", 2.0, &small),
        (
            "drain",
            LOOPS,
            PGMQ,
            "batch ≥ 10, 50 bytes, loops only",
            2.0,
            &small,
        ),
        ("drain", ANY, PGMQ, "batch ≥ 10, 1 KiB", 2.5, &large),
        (
            "drain",
            LOOPS,
            PGMQ,
            "batch ≥ 10, 1 KiB, loops only",
            2.5,
            &large,
        ),
        ("drain", ANY, PGMQ, "every cell", 1.2, &|_| true),
        ("snapshot", ANY, PGMQ, "snapshot held", 10.0, &|cell| {
            cell.variant == snapshot::HELD
        }),
        ("drain", ANY, ASYNC, "batch 10 and 50", 10.0, &|cell| {
            matches!(cell.batch, 10 | 50)
        }),
    ];
    for (section, ours, theirs, which, wanted, meant) in cells {
        let reached = worst_ratio(results, section, (ours, theirs), wanted, meant);
        least(&format!("drain / {theirs}, {which}"), wanted, reached);
    }
    for theirs in [ASYNC, "fang", "graphile_worker"] {
        let ratio = best(results, "drain", OURS)
            .zip(best(results, "drain", theirs))
            .map(|(ours, theirs)| {
                let (own, other) = (place(&ours.cell), place(&theirs.cell));
                let places = format!("{own} against {other}{}", mark(theirs));
                (ours.median() / theirs.median(), places)
            });
        least(
            &format!("drain / {theirs}, best cell against best cell"),
            2.5,
            ratio,
        );
    }
}

fn stays_flat(results: &Results, goals: &mut Vec<Goal>) {
    let mut least = |what: String, least: f64, reached| {
        goals.push(Goal {
            what,
            wanted: Wanted::AtLeast(least),
            reached,
        });
    };
    // The small backlog was measured first.
    let backlogs = results
        .section("backlog")
        .filter(|entry| entry.queue == OURS);
    let ratio = backlogs
        .clone()
        .next()
        .zip(backlogs.last())
        .map(|(small, large)| (large.median() / small.median(), place(&large.cell)));
    least(
        "drain of the large backlog / of a tenth".to_owned(),
        0.9,
        ratio,
    );
    let ratio = own_ratio(
        results,
        "snapshot",
        |is| is == snapshot::HELD,
        |is| is == snapshot::WITHOUT,
    );
    least("drain, snapshot held / not".to_owned(), 0.85, ratio);
    for burden in flat::names() {
        let without = flat::without(burden);
        let ratio = own_ratio(
            results,
            "flat",
            |is| flat::is_with(burden, is),
            |is| is == without,
        );
        least(format!("drain with / without {burden}"), 0.9, ratio);
    }
    let of_best = |section: &str, queue: &str| {
        let best = best(results, section, queue)?;
        let entries = results
            .section(section)
            .filter(|entry| entry.queue == queue);
        let most = entries.max_by_key(|entry| entry.cell.consumers)?;
        Some((
            most.median() / best.median(),
            format!("best: {}", place(&best.cell)),
        ))
    };
    least(
        "drain by 64 consumers / by the best number".to_owned(),
        0.9,
        of_best("threads", OURS),
    );
    least(
        "pool of 64 threads / of the best number".to_owned(),
        0.9,
        of_best("pool", POOL),
    );
}

fn the_pool(results: &Results, goals: &mut Vec<Goal>) {
    let mut add = |what: &str, wanted, reached| {
        goals.push(Goal {
            what: what.to_owned(),
            wanted,
            reached,
        });
    };
    let wal = results.section("wal").filter(|entry| entry.queue == OURS);
    let most = wal
        .map(|entry| {
            (
                entry.median() - entry.cell.payload_bytes as f64,
                place(&entry.cell),
            )
        })
        .max_by(|one, other| one.0.total_cmp(&other.0));
    add(
        "write-ahead log beyond the payload, bytes",
        Wanted::AtMost(800.0),
        most,
    );
    let pool = results
        .section("pool")
        .map(|entry| (entry.median(), place(&entry.cell)));
    let slowest = pool.min_by(|one, other| one.0.total_cmp(&other.0));
    add(
        "pool, handled per second",
        Wanted::AtLeast(100_000.0),
        slowest,
    );
    let start = |percent: &str| {
        let mut entries = results.section("latency");
        let entry = entries.find(|entry| entry.queue == POOL && entry.cell.variant == percent)?;
        Some((entry.median(), String::new()))
    };
    add(
        "pool, start of an idle one, p50, ms",
        Wanted::AtMost(1.0),
        start("p50"),
    );
    add(
        "pool, start of an idle one, p99, ms",
        Wanted::AtMost(3.0),
        start("p99"),
    );
    let both = |queue: &str| {
        let mut entries = results.section("both");
        Some(
            entries
                .find(|entry| entry.queue == queue && entry.cell.variant == "both")?
                .median(),
        )
    };
    // What a log without state of any message (PgQue) reached where that was measured.
    add(
        "enqueue and drain together, pool, messages per second",
        Wanted::AtLeast(89_000.0),
        both(POOL).map(|sum| (sum, String::new())),
    );
    let share = both(POOL)
        .zip(both("log"))
        .map(|(ours, log)| (ours / log, String::new()));
    add("the same / log", Wanted::Nothing, share);
}

fn in_an_sqlite_file(results: &Results, goals: &mut Vec<Goal>) {
    let mut least = |what: &str, least: f64, reached| {
        goals.push(Goal {
            what: format!("SQLite: {what}"),
            wanted: Wanted::AtLeast(least),
            reached,
        });
    };
    let of_batch_50 = |cell: &Cell, consumers| {
        cell.variant == in_file::DRAIN && cell.batch == 50 && cell.consumers == consumers
    };
    let theirs = worst_ratio(
        results,
        SQLITE,
        (&[sqlite::OURS], sqlite::ASYNC),
        3.0,
        |cell| of_batch_50(cell, 1),
    );
    least("drain / pgqrs 0.15.3, batch 50, 1 consumer", 3.0, theirs);
    let ours = results
        .section(SQLITE)
        .filter(|entry| entry.queue == sqlite::OURS);
    let scaling = ours.clone().filter(|entry| of_batch_50(&entry.cell, 4));
    let scaling = scaling.filter_map(|four| {
        let one = Cell {
            consumers: 1,
            ..four.cell.clone()
        };
        let one = results.find(SQLITE, sqlite::OURS, &one)?;
        Some((four.median() / one.median(), place(&four.cell)))
    });
    let worst = scaling.min_by(|one, other| one.0.total_cmp(&other.0));
    least("drain by 4 consumers / by 1, batch 50", 1.0, worst);
    // The small backlog was measured first.
    let mut backlogs = ours.filter(|entry| in_file::is_backlog(&entry.cell.variant));
    let small = backlogs.next();
    let ratio = small.zip(backlogs.next()).map(|(small, large)| {
        (
            large.median() / small.median(),
            place(&large.cell) + mark(large),
        )
    });
    least("drain of the large backlog / of a hundredth", 0.9, ratio);
}
