//! The same work on the same PostgreSQL server, by pgqrs and by other queues, one after the
//! other; and in an SQLite file. See README.md.

mod args;
mod bench;
mod drive;
mod goals;
mod load;
mod loops;
mod moments;
mod queues;
mod report;
mod results;
mod sections;
mod server;
mod settings;
mod sqlite;
mod tasks;

use pgqrs_test_support as support;
use postgres::{Client, NoTls};

use self::args::Args;
use self::bench::Bench;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> Result<()> {
    let Some(args) = Args::parse()? else {
        println!("{}", args::USAGE);
        return Ok(());
    };
    if let Some(file) = &args.from {
        let all = serde_json::from_str(&std::fs::read_to_string(file)?)?;
        return told(&all);
    }
    let dsn = args.wants_server().then(|| match &args.dsn {
        Some(dsn) => dsn.clone(),
        None => support::server().dsn().to_owned(),
    });
    let mut admin = dsn
        .as_ref()
        .map(|dsn| Client::connect(dsn, NoTls))
        .transpose()?;
    let mut settings = settings::settings(admin.as_mut())?;
    settings.insert("runs".to_owned(), args.runs.into());
    settings.insert("limit_seconds".to_owned(), args.limit.as_secs_f64().into());
    settings.insert("messages".to_owned(), args.messages.into());
    let settings = settings.into();
    report::settings(&settings);

    let mut bench = Bench::open(&args, dsn.as_deref())?;
    let wanted = || {
        sections::NAMES
            .iter()
            .filter(|name| args.wants_section(name))
    };
    for name in wanted() {
        sections::run(name, &mut bench)?;
        report::section(name, &bench.results);
        if let Some(file) = &args.json {
            // After each: an interrupted run of an hour has not been for nothing.
            let all = bench.results.to_json(&settings, sections::NAMES);
            std::fs::write(file, format!("{all:#}\n"))?;
        }
    }
    if args.quick {
        println!("\n`--quick`: these figures say that it works, and nothing about speed.");
    }
    goals::print(&bench.results);
    Ok(())
}

/// Prints the figures of another run.
fn told(all: &serde_json::Value) -> Result<()> {
    let results = results::Results::from_json(all)?;
    report::settings(&all["settings"]);
    for name in sections::NAMES {
        report::section(name, &results);
    }
    goals::print(&results);
    Ok(())
}
