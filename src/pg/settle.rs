//! What is done to deliveries: receipts on their way to the functions of schema.sql, and the
//! answers.

use std::time::{Duration, Instant};

use postgres::Row;
use postgres::types::ToSql;

use crate::message::{Outcome, Receipt, Settlement};
use crate::span::span_micros;
use crate::store::Dequeue;

use super::hint::Look;
use super::pool::{Run, Session};
use super::row::SqlResult;
use super::sql::Statement;

/// The column of [`Statement::ArchiveAndDequeue`] that answers for the first half.
const ARCHIVED: usize = 7;

/// What the functions in schema.sql take for the `read_ct` of a receipt that has none.
const ANY_DELIVERY: i32 = -1;

/// Receipts as the functions in schema.sql want them: in three arrays, ids ascending and
/// unique.
struct Receipts<'a> {
    positions: &'a [usize],
    ids: Vec<i64>,
    workers: Vec<Option<i64>>,
    read_cts: Vec<i32>,
}

impl<'a> Receipts<'a> {
    /// Those at these positions, of all that `receipt` knows.
    fn new(positions: &'a [usize], receipt: impl Fn(usize) -> Receipt) -> Self {
        let all = || positions.iter().map(|at| receipt(*at));
        Self {
            ids: all().map(|receipt| receipt.id()).collect(),
            workers: all().map(|receipt| receipt.worker()).collect(),
            read_cts: all()
                .map(|receipt| receipt.read_ct().unwrap_or(ANY_DELIVERY))
                .collect(),
            positions,
        }
    }

    /// Archives these, by one of the statements that only do that.
    fn archive(
        &self,
        db: &mut impl Run,
        statement: Statement,
        queue_id: i64,
    ) -> SqlResult<Vec<Row>> {
        let args: [&(dyn ToSql + Sync); 4] = [&queue_id, &self.ids, &self.workers, &self.read_cts];
        db.run(statement, &args)
    }

    /// Archives these, and looks for messages: the rows are as the statement says.
    fn archive_and_dequeue(
        &self,
        db: &mut impl Run,
        dequeue: &Dequeue,
        look: Look,
        limit: i32,
    ) -> SqlResult<Vec<Row>> {
        db.run(
            Statement::ArchiveAndDequeue,
            &[
                &dequeue.queue_id,
                &self.ids,
                &self.workers,
                &self.read_cts,
                &dequeue.worker,
                &limit,
                &span_micros(dequeue.lock_time),
                &look.after,
                &look.due,
            ],
        )
    }

    /// Puts the answers, the ids that were changed, in the places of their receipts.
    fn note(&self, rows: &[Row], column: usize, answers: &mut [bool]) -> SqlResult<()> {
        for row in rows {
            let changed: Option<Vec<i64>> = row.try_get(column)?;
            let mut next = 0; // nearly always they come in order, and all
            for id in changed.unwrap_or_default() {
                if self.ids.get(next) != Some(&id) {
                    let Ok(place) = self.ids.binary_search(&id) else {
                        continue;
                    };
                    next = place;
                }
                answers[self.positions[next]] = true;
                next += 1;
            }
        }
        Ok(())
    }
}

/// Cuts positions into groups that are unique in their ids and sorted by them: nearly
/// always one. Where an id comes again, it comes in a later group, so that the groups one
/// after the other do what the positions say one after the other.
fn groups<K: Ord>(ids: impl Iterator<Item = i64>, kind: impl Fn(usize) -> K) -> Vec<Vec<usize>> {
    let mut sorted: Vec<(i64, usize)> = ids.enumerate().map(|(at, id)| (id, at)).collect();
    sorted.sort_unstable();
    let (mut last, mut round) = (None, 0);
    let mut all: Vec<((usize, K), usize)> = sorted
        .into_iter()
        .map(|(id, at)| {
            round = if last == Some(id) { round + 1 } else { 0 };
            last = Some(id);
            ((round, kind(at)), at)
        })
        .collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other)); // stable: ids stay sorted
    all.chunk_by(|(one, _), (other, _)| one == other)
        .map(|group| group.iter().map(|(_, at)| *at).collect())
        .collect()
}

/// How a batch of receipts is cut into statements; with more than one, they want a
/// transaction around them.
pub(super) struct Plan(Vec<Vec<usize>>);

impl Plan {
    pub(super) fn for_receipts(receipts: &[Receipt]) -> Self {
        Self(groups(receipts.iter().map(Receipt::id), |_| ()))
    }

    pub(super) fn for_settlements(settlements: &[Settlement]) -> Self {
        let ids = settlements.iter().map(|settlement| settlement.receipt.id());
        Self(groups(ids, |at| {
            statement(&settlements[at].outcome) as usize
        }))
    }

    pub(super) fn statements(&self) -> usize {
        self.0.len()
    }

    /// Has each group's receipts sent, and puts the answers together.
    fn answers(
        &self,
        receipt: impl Fn(usize) -> Receipt,
        mut send: impl FnMut(&Receipts<'_>) -> SqlResult<Vec<Row>>,
    ) -> SqlResult<Vec<bool>> {
        let mut answers = vec![false; self.0.iter().map(Vec::len).sum()];
        for group in &self.0 {
            let receipts = Receipts::new(group, &receipt);
            receipts.note(&send(&receipts)?, 0, &mut answers)?;
        }
        Ok(answers)
    }

    pub(super) fn extend(
        &self,
        db: &mut impl Run,
        queue_id: i64,
        receipts: &[Receipt],
        by: i64,
    ) -> SqlResult<Vec<bool>> {
        let receipt = |at: usize| receipts[at];
        self.answers(receipt, |r| {
            let args: [&(dyn ToSql + Sync); 5] = [&queue_id, &r.ids, &r.workers, &r.read_cts, &by];
            db.run(Statement::ExtendVisibility, &args)
        })
    }

    /// Archives and looks for messages in one statement; for a plan of one.
    pub(super) fn archive_and_dequeue(
        &self,
        db: &mut Session<'_>,
        receipts: &[Receipt],
        dequeue: &Dequeue,
        look: Look,
        limit: i32,
    ) -> SqlResult<(Vec<bool>, Vec<Row>, Duration)> {
        let group = self.0.first().map_or(&[][..], Vec::as_slice);
        let r = Receipts::new(group, |at| receipts[at]);
        let began = Instant::now();
        let mut rows = r.archive_and_dequeue(db, dequeue, look, limit)?;
        let took = began.elapsed();
        let mut answers = vec![false; receipts.len()];
        r.note(&rows[..rows.len().min(1)], ARCHIVED, &mut answers)?;
        rows.drain(..rows.len().min(1));
        Ok((answers, rows, took))
    }

    /// The same, one after the other: in the caller's transaction, and with the time of the
    /// look alone.
    pub(super) fn archive_then_dequeue(
        &self,
        db: &mut Session<'_>,
        receipts: &[Receipt],
        dequeue: &Dequeue,
        look: Look,
        limit: i32,
    ) -> SqlResult<(Vec<bool>, Vec<Row>, Duration)> {
        let receipt = |at: usize| receipts[at];
        let answers = self.answers(receipt, |r| {
            r.archive(db, Statement::Archive, dequeue.queue_id)
        })?;
        // With nothing more to archive, and not `Dequeue`: that has its transaction commit
        // asynchronously.
        db.prepare(Statement::ArchiveAndDequeue)?;
        let began = Instant::now();
        let mut rows =
            Receipts::new(&[], |at| receipts[at]).archive_and_dequeue(db, dequeue, look, limit)?;
        let took = began.elapsed();
        rows.drain(..rows.len().min(1));
        Ok((answers, rows, took))
    }

    /// Whether this archives, once each, and that is all.
    pub(super) fn archives(&self, settlements: &[Settlement]) -> bool {
        let archives = |one: &Settlement| one.outcome == Outcome::Archive;
        self.statements() == 1 && settlements.first().is_some_and(archives)
    }

    /// For a plan that [archives](Self::archives).
    pub(super) fn archive_unless_locked(
        &self,
        db: &mut impl Run,
        queue_id: i64,
        settlements: &[Settlement],
    ) -> SqlResult<Vec<bool>> {
        let receipt = |at: usize| settlements[at].receipt;
        self.answers(receipt, |r| {
            r.archive(db, Statement::ArchiveUnlessLocked, queue_id)
        })
    }

    pub(super) fn settle(
        &self,
        db: &mut impl Run,
        queue_id: i64,
        settlements: &[Settlement],
    ) -> SqlResult<Vec<bool>> {
        let receipt = |at: usize| settlements[at].receipt;
        self.answers(receipt, |r| {
            let outcomes = r.positions.iter().map(|at| &settlements[*at].outcome);
            settle(db, queue_id, r, &outcomes.collect::<Vec<_>>())
        })
    }
}

/// The statement that carries an outcome out.
fn statement(outcome: &Outcome) -> Statement {
    match outcome {
        Outcome::Archive => Statement::Archive,
        Outcome::Delete => Statement::Delete,
        Outcome::Release { .. } => Statement::Release,
        Outcome::DeadLetter(_) => Statement::DeadLetter,
    }
}

/// Settles deliveries whose outcomes are all of the same sort.
fn settle(
    db: &mut impl Run,
    queue_id: i64,
    r: &Receipts<'_>,
    outcomes: &[&Outcome],
) -> SqlResult<Vec<Row>> {
    let Some(statement) = outcomes.first().map(|outcome| statement(outcome)) else {
        return Ok(Vec::new());
    };
    let mut args: Vec<&(dyn ToSql + Sync)> = vec![&queue_id, &r.ids, &r.workers, &r.read_cts];
    let (mut delays, mut charges, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Outcome::Archive | Outcome::Delete => {}
            Outcome::Release { delay, charged } => {
                delays.push(span_micros(*delay));
                charges.push(*charged);
            }
            // The server's text has no place for U+0000.
            Outcome::DeadLetter(reason) => reasons.push(reason.replace('\0', "\u{fffd}")),
        }
    }
    match statement {
        Statement::Release => args.extend([&delays as &(dyn ToSql + Sync), &charges]),
        Statement::DeadLetter => args.push(&reasons),
        _ => {}
    }
    db.run(statement, &args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_group_where_ids_are_unique() {
        assert_eq!(groups([5, 3, 4].into_iter(), |_| ()), [[1, 2, 0]]);
    }

    #[test]
    fn an_id_that_comes_again_comes_in_a_later_group() {
        assert_eq!(
            groups([7, 3, 7, 7].into_iter(), |_| ()),
            [vec![1, 0], vec![2], vec![3]]
        );
    }

    #[test]
    fn kinds_are_kept_apart() {
        assert_eq!(
            groups([1, 2, 3].into_iter(), |at| at == 1),
            [vec![0, 2], vec![1]]
        );
    }
}
