//! What was asked for.

use std::time::Duration;

use lexopt::prelude::*;

use crate::queues;
use crate::sections;

pub(crate) const USAGE: &str = "\
The same work on the same PostgreSQL, by pgqrs and by other queues; and in an SQLite file.

    --only a,b        sections (default: all): drain, overhead, enqueue, backlog, snapshot, flat,
                      threads, latency, both, pool, wal, sqlite
    --queues a,b      queues (default: all), spaces as hyphens: pgqrs, pgqrs-pool, by-hand,
                      pgqrs-0.15.3, fang, graphile_worker, pgmq, log, pgqrs-sqlite,
                      pgqrs-sqlite-in-one-call, pgqrs-0.15.3-sqlite
    --messages N      of a cell of the section drain (default: 50000); the others keep their proportion
    --runs N          of everything, and thrice as many in `overhead`; the median is reported
                      (default: 3)
    --limit SECONDS   after which a cell is cut off, in sections that are about the end after a
                      multiple (default: 5)
    --quick           everything once and small: does it work?
    --dsn DSN         the server (default: a throwaway one is started, unless it is sqlite only)
    --json FILE       where to write all figures
    --from FILE       measure nothing: print what another run wrote there";

/// The messages of a cell of the section `drain`, to which all others are in proportion.
const MESSAGES: usize = 50_000;

#[derive(Debug, Clone)]
pub(crate) struct Args {
    pub(crate) only: Vec<String>,
    pub(crate) queues: Vec<String>,
    pub(crate) messages: usize,
    pub(crate) runs: usize,
    pub(crate) limit: Duration,
    pub(crate) quick: bool,
    pub(crate) dsn: Option<String>,
    pub(crate) json: Option<String>,
    pub(crate) from: Option<String>,
}

impl Args {
    /// None if there is nothing to do but to print the usage.
    pub(crate) fn parse() -> Result<Option<Self>, lexopt::Error> {
        let mut args = Self {
            only: Vec::new(),
            queues: Vec::new(),
            messages: 0,
            runs: 0,
            limit: Duration::ZERO,
            quick: false,
            dsn: None,
            json: None,
            from: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("only") => args.only = list(&parser.value()?.string()?, sections::NAMES)?,
                Long("queues") => args.queues = list(&parser.value()?.string()?, queues::NAMES)?,
                Long("messages") => args.messages = parser.value()?.parse()?,
                Long("runs") => args.runs = parser.value()?.parse()?,
                Long("limit") => {
                    let seconds: f64 = parser.value()?.parse()?;
                    args.limit = Duration::try_from_secs_f64(seconds)
                        .map_err(|why| format!("--limit: {why}"))?;
                }
                Long("quick") => args.quick = true,
                Long("dsn") => args.dsn = Some(parser.value()?.string()?),
                Long("json") => args.json = Some(parser.value()?.string()?),
                Long("from") => args.from = Some(parser.value()?.string()?),
                Long("help") | Short('h') => return Ok(None),
                _ => return Err(arg.unexpected()),
            }
        }
        // What was not given, in full or small.
        let (messages, runs, seconds) = match args.quick {
            true => (MESSAGES / 25, 1, 1),
            false => (MESSAGES, 3, 5),
        };
        if args.messages == 0 {
            args.messages = messages;
        }
        if args.runs == 0 {
            args.runs = runs;
        }
        if args.limit.is_zero() {
            args.limit = Duration::from_secs(seconds);
        }
        Ok(Some(args))
    }

    pub(crate) fn wants_section(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    pub(crate) fn wants_queue(&self, name: &str) -> bool {
        self.queues.is_empty() || self.queues.iter().any(|queue| queue == name)
    }

    pub(crate) fn wants_server(&self) -> bool {
        let mut sections = sections::NAMES
            .iter()
            .filter(|name| **name != sections::SQLITE);
        sections.any(|name| self.wants_section(name))
            && queues::on_server().any(|name| self.wants_queue(name))
    }

    /// So many messages where the section `drain` has 50,000.
    pub(crate) fn scaled(&self, messages: usize) -> usize {
        (messages * self.messages / MESSAGES).max(1)
    }

    /// So many rows in the way, or a hundredth.
    pub(crate) fn mass(&self, rows: usize) -> usize {
        if self.quick { rows / 100 } else { rows }
    }
}

/// Names as they are called, of those that there are.
fn list(given: &str, known: &[&str]) -> Result<Vec<String>, lexopt::Error> {
    let find = |one: &str| {
        let known = known
            .iter()
            .find(|name| name.replace(' ', "-") == one.trim().replace(' ', "-"));
        known
            .map(|name| (*name).to_owned())
            .ok_or_else(|| lexopt::Error::from(format!("there is no `{one}`")))
    };
    given.split(',').map(find).collect()
}
