//! Between rows and the library's types.

use std::fmt;

use bytes::BytesMut;
use postgres::Row;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::message::{Message, NewMessage, Receipt};
use crate::queue::{Counts, Queue};
use crate::span::span_micros;
use crate::store::Dequeue;

use super::hint::{Found, Look};
use super::parts::{Part, To};
use super::pool::Run;
use super::sql::Statement;

pub(super) type SqlResult<T> = Result<T, postgres::Error>;
type BoxError = Box<dyn std::error::Error + Sync + Send>;

/// JSON text on its way into a `json` parameter.
pub(super) struct JsonText<'a>(pub(super) &'a str);

/// For the driver's log, which has all parameters of a statement at level debug: payloads are
/// nobody's business there.
impl fmt::Debug for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes of JSON>", self.0.len())
    }
}

impl ToSql for JsonText<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON
    }

    to_sql_checked!();
}

/// A `json` value that may be more than this library can read, such as `1e999`.
struct Payload(Result<Value, String>);

impl<'a> FromSql<'a> for Payload {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        Ok(Self(Value::from_sql(ty, raw).map_err(|e| e.to_string())))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON
    }
}

/// What a payload is read as: for the fuzz targets.
#[cfg(fuzzing)]
pub(crate) fn payload(raw: &[u8]) -> Result<Value, String> {
    Payload::from_sql(&Type::JSON, raw)
        .map_err(|e| e.to_string())?
        .0
}

/// What a `timestamptz` is read as: for the fuzz targets.
#[cfg(fuzzing)]
pub(crate) fn date(micros: i64) -> OffsetDateTime {
    Dates::default().date(Micros(micros))
}

/// A `timestamptz` as it is sent: microseconds since the first day of 2000, UTC.
struct Micros(i64);

impl<'a> FromSql<'a> for Micros {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        i64::from_sql(ty, raw).map(Self)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

/// Makes dates of the times in one column, where one row after the other mostly has the same.
/// (All leases of a batch end at the same time, and an enqueue's messages begin at one.)
#[derive(Default)]
struct Dates(Option<(i64, OffsetDateTime)>);

impl Dates {
    fn date(&mut self, Micros(micros): Micros) -> OffsetDateTime {
        match self.0 {
            Some((last, date)) if last == micros => date,
            _ => {
                // Saturating: 'infinity', written by hand, is beyond all dates.
                let since = time::Duration::microseconds(micros);
                let date = datetime!(2000-01-01 0:00 UTC).saturating_add(since);
                self.0 = Some((micros, date));
                date
            }
        }
    }
}

/// Looks for up to `limit` messages.
pub(super) fn dequeue(
    db: &mut impl Run,
    dequeue: &Dequeue,
    look: Look,
    limit: i32,
) -> SqlResult<Vec<Row>> {
    db.run(
        Statement::Dequeue,
        &[
            &dequeue.queue_id,
            &dequeue.worker,
            &limit,
            &span_micros(dequeue.lock_time),
            &look.after,
            &look.due,
        ],
    )
}

/// What a look leased.
#[derive(Default)]
pub(super) struct Leased {
    ready: Vec<Message>,
    /// Those that had been scheduled, with when they were due.
    due: Vec<(OffsetDateTime, Message)>,
    /// What no client of this library can read, and why: somebody wrote it by other means.
    pub(super) unreadable: Vec<(Receipt, String)>,
    pub(super) found: Found,
}

impl Leased {
    /// Reads the rows of `pgqrs_dequeue`.
    pub(super) fn read(queue_id: i64, worker: i64, rows: Vec<Row>) -> SqlResult<Self> {
        let mut leased = Self {
            ready: Vec::with_capacity(rows.len()),
            ..Self::default()
        };
        let (mut enqueued_at, mut vt, mut due) = <(Dates, Dates, Dates)>::default();
        for row in rows {
            let (payload, unreadable) = match row.try_get::<_, Payload>(5)?.0 {
                Ok(payload) => (payload, None),
                Err(why) => (Value::Null, Some(why)),
            };
            let due_at: Option<Micros> = row.try_get(6)?;
            let due_at = due_at.map(|micros| due.date(micros));
            let read_ct = row.try_get(3)?;
            let message = Message {
                id: row.try_get(0)?,
                queue_id,
                payload,
                enqueued_at: enqueued_at.date(row.try_get(1)?),
                vt: vt.date(row.try_get(2)?),
                read_ct,
                attempt: row.try_get(4)?,
                // Whatever ended a delivery on purpose took the row out of pgqrs_live.
                lapsed: due_at.is_none() && read_ct > 1,
                worker: Some(worker),
            };
            leased.found.count += 1;
            match due_at {
                Some(_) => leased.found.due += 1,
                None => leased.found.last = leased.found.last.max(Some(message.id)),
            }
            match (unreadable, due_at) {
                (Some(why), _) => leased.unreadable.push((Receipt::from(&message), why)),
                (None, Some(due_at)) => leased.due.push((due_at, message)),
                (None, None) => leased.ready.push(message),
            }
        }
        Ok(leased)
    }

    /// Adds what a second look leased.
    pub(super) fn append(&mut self, mut more: Self) {
        self.ready.append(&mut more.ready);
        self.due.append(&mut more.due);
        self.unreadable.append(&mut more.unreadable);
        self.found.count += more.found.count;
    }

    /// The messages as they came due, and then as they were enqueued: rows come in any order.
    pub(super) fn messages(mut self) -> Vec<Message> {
        self.ready.sort_unstable_by_key(|message| message.id);
        if self.due.is_empty() {
            return self.ready; // nearly always
        }
        self.due
            .sort_unstable_by_key(|(due_at, message)| (*due_at, message.id));
        let due = self.due.into_iter().map(|(_, message)| message);
        due.chain(self.ready).collect()
    }
}

pub(super) fn queue(row: &Row) -> SqlResult<Queue> {
    Ok(Queue {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        created_at: row.try_get(2)?,
    })
}

pub(super) fn counts(row: &Row) -> SqlResult<Counts> {
    let count = |column: usize| -> SqlResult<u64> {
        Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0))
    };
    Ok(Counts {
        ready: count(0)?,
        leased: count(1)?,
        scheduled: count(2)?,
        archived: count(3)?,
        dead: count(4)?,
    })
}

/// Stores messages in one statement. Answers with what there is of them then.
pub(super) fn enqueue(db: &mut impl Run, to: To, part: Part<'_>) -> SqlResult<Stored> {
    if part.messages.iter().any(|message| message.key().is_some()) {
        return enqueue_once(db, to, part);
    }
    let payloads = json_texts(part.texts);
    let args: [&(dyn ToSql + Sync); 3] = [&to.queue_id, &payloads, &to.delay];
    let rows = db.run(Statement::Enqueue, &args)?;
    let mut stored = Stored::default();
    for row in &rows {
        let ids: Vec<i64> = row.try_get(0)?;
        let times = (row.try_get(1)?, row.try_get(2)?);
        stored.0.extend(ids.into_iter().map(|id| (id, times)));
    }
    Ok(stored)
}

fn enqueue_once(db: &mut impl Run, to: To, part: Part<'_>) -> SqlResult<Stored> {
    let keys: Vec<Option<&str>> = part.messages.iter().map(NewMessage::key).collect();
    let args: [&(dyn ToSql + Sync); 5] = [
        &to.queue_id,
        &json_texts(part.texts),
        &keys,
        &to.retention,
        &to.delay,
    ];
    let rows = db.run(Statement::EnqueueOnce, &args)?;
    let mut stored = Stored::default();
    let (mut enqueued_at, mut vt) = <(Dates, Dates)>::default();
    for row in &rows {
        let ids: Vec<i64> = row.try_get(0)?;
        let (begins, vts): (Vec<Micros>, Vec<Micros>) = (row.try_get(1)?, row.try_get(2)?);
        let times = begins.into_iter().zip(vts);
        let times = times.map(|(begin, end)| (enqueued_at.date(begin), vt.date(end)));
        stored.0.extend(ids.into_iter().zip(times));
    }
    Ok(stored)
}

fn json_texts(texts: &[String]) -> Vec<JsonText<'_>> {
    texts.iter().map(|text| JsonText(text)).collect()
}

/// What the database adds to messages, in order: ids, `enqueued_at` and `vt`.
#[derive(Default)]
pub(super) struct Stored(Vec<(i64, (OffsetDateTime, OffsetDateTime))>);

impl Stored {
    pub(super) fn append(&mut self, mut more: Stored) {
        self.0.append(&mut more.0);
    }

    pub(super) fn messages(self, queue_id: i64, new: Vec<NewMessage>) -> Vec<Message> {
        let new = self.0.into_iter().zip(new);
        new.map(|((id, (enqueued_at, vt)), new)| new.stored(queue_id, id, enqueued_at, vt))
            .collect()
    }
}
