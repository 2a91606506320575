//! Rounds: one queue after the other does the same work, and again. What a measurement consists
//! of besides what is measured: a clean table before, the database's own count after.

use postgres::Client;

use crate::Result;
use crate::args::Args;
use crate::drive::{Done, Drain, Enqueue};
use crate::load::Load;
use crate::queues::{self, Queue};
use crate::results::{Cell, Figure, Results, Unit};
use crate::server::Database;

/// A queue in its database. In this order: it disconnects before the database goes.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) queue: Box<dyn Queue>,
    pub(crate) db: Database,
}

pub(crate) struct Bench<'a> {
    pub(crate) args: &'a Args,
    pub(crate) results: Results,
    peers: Vec<Peer>,
}

impl<'a> Bench<'a> {
    /// Makes a database for each queue that is wanted, and has it install itself. Without a
    /// server, none.
    pub(crate) fn open(args: &'a Args, dsn: Option<&str>) -> Result<Self> {
        let mut peers = Vec::new();
        if let Some(dsn) = dsn {
            for name in queues::on_server().filter(|name| args.wants_queue(name)) {
                peers.push(Peer::open(dsn, name)?);
            }
        }
        Ok(Self {
            args,
            results: Results::default(),
            peers,
        })
    }

    /// As many rounds as were asked for, in each of which each of these queues is measured once.
    pub(crate) fn rounds(
        &mut self,
        section: &'static str,
        who: &[&str],
        mut measure: impl FnMut(&mut Peer) -> Result<Vec<Figure>>,
    ) -> Result<()> {
        for _ in 0..self.args.runs {
            for peer in self
                .peers
                .iter_mut()
                .filter(|peer| who.contains(&peer.name))
            {
                let figures = measure(peer)
                    .map_err(|why| format!("{section}, {}: {}", peer.name, chain(&*why)))?;
                note(&mut self.results, section, peer.name, figures);
            }
        }
        Ok(())
    }

    /// The same for queues that are on no server.
    pub(crate) fn rounds_without_server(
        &mut self,
        section: &'static str,
        who: &[&'static str],
        mut measure: impl FnMut(&'static str) -> Result<Vec<Figure>>,
    ) -> Result<()> {
        for _ in 0..self.args.runs {
            for name in who.iter().filter(|name| self.args.wants_queue(name)) {
                let figures =
                    measure(name).map_err(|why| format!("{section}, {name}: {}", chain(&*why)))?;
                note(&mut self.results, section, name, figures);
            }
        }
        Ok(())
    }
}

fn note(results: &mut Results, section: &'static str, name: &'static str, figures: Vec<Figure>) {
    for figure in figures {
        let Figure { cell, unit, .. } = &figure;
        eprintln!(
            "{section}: {name}, {} bytes, {} × {} {}: {:.1} {}{}",
            cell.payload_bytes,
            cell.consumers,
            cell.batch,
            cell.variant,
            figure.value,
            unit.name(),
            if figure.cut_off { " (cut off)" } else { "" },
        );
        results.add(section, name, figure);
    }
}

impl Peer {
    fn open(dsn: &str, name: &'static str) -> Result<Self> {
        let suffix: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let mut db = Database::create(dsn, &format!("peers_{}_{suffix}", std::process::id()))?;
        let queue =
            queues::open(name, &mut db).map_err(|why| format!("{name}: {}", chain(&*why)))?;
        Ok(Self { name, queue, db })
    }

    /// Empties the queue, and has everything that was written so far flushed: nobody pays for
    /// the one before.
    pub(crate) fn reset(&mut self) -> Result<()> {
        let tables = self.queue.tables();
        self.db
            .monitor
            .batch_execute(&format!("TRUNCATE {tables}"))?;
        self.db.monitor.batch_execute("CHECKPOINT")?;
        Ok(())
    }

    /// One producer, into the emptied queue.
    pub(crate) fn enqueue(&mut self, enqueue: &Enqueue<'_>) -> Result<Done> {
        let before = self.db.count(self.queue.waiting())?;
        let done = self.queue.enqueue(enqueue)?;
        let put = self.db.count(self.queue.waiting())? - before;
        if put != done.in_the_end {
            return Err(format!("{} were put in, and {put} are there", done.in_the_end).into());
        }
        Ok(done)
    }

    /// Fills the queue and has it drained; `prepare` is done in between emptying and filling.
    pub(crate) fn fill_and_drain(
        &mut self,
        load: &Load,
        drain: &Drain,
        prepare: impl FnOnce(&mut Database) -> Result<()>,
    ) -> Result<Done> {
        self.reset()?;
        prepare(&mut self.db)?;
        self.queue.prefill(drain.messages, load)?;
        let done = self.drain(drain)?;
        self.reset()?;
        Ok(done)
    }

    /// Drains what is there. Statistics are as autovacuum would have made them by and by,
    /// except for who is quicker without: fang is forty times as quick with them.
    pub(crate) fn drain(&mut self, drain: &Drain) -> Result<Done> {
        if self.queue.wants_statistics() {
            let analyze = format!("ANALYZE {}", self.queue.tables());
            self.db.monitor.batch_execute(&analyze)?;
        }
        let before = self.counts()?;
        let done = self.queue.drain(drain)?;
        let after = self.counts()?;
        let gone = before.0.checked_sub(after.0);
        let kept = after
            .1
            .zip(before.1)
            .map(|(after, before)| after.checked_sub(before));
        if gone != Some(done.in_the_end) || kept.is_some_and(|kept| kept != Some(done.in_the_end)) {
            return Err(format!(
                "{} were counted as done; before, {before:?} were waiting and done; after, {after:?}",
                done.in_the_end
            )
            .into());
        }
        Ok(done)
    }

    /// What waits, and what is done.
    fn counts(&mut self) -> Result<(u64, Option<u64>)> {
        let waiting = self.db.count(self.queue.waiting())?;
        let done = self
            .queue
            .done()
            .map(|sql| self.db.count(sql))
            .transpose()?;
        Ok((waiting, done))
    }

    /// A session that holds a snapshot until it is dropped: as a long report or a dump does.
    pub(crate) fn snapshot(db: &Database) -> Result<Client> {
        let mut client = db.connect()?;
        client.batch_execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class",
        )?;
        Ok(client)
    }
}

/// The rate of a measurement, as a figure.
pub(crate) fn rate(cell: Cell, done: &Done) -> Figure {
    Figure {
        cell,
        unit: Unit::PerSecond,
        value: done.rate(),
        cut_off: done.cut_off,
    }
}

/// An error and all that it came of: what the server said is in the last part.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
