//! Work inside the caller's own transaction.

use std::time::Duration;

use postgres::types::ToSql;
use postgres::{GenericClient, Row};

use super::PgStore;
use super::fault;
use super::parts::{Size, enqueue_parts, statements};
use super::pool::{Run, Texts, typed};
use super::settle::Plan;
use super::sql::{self, Statement};
use crate::error::Result;
use crate::message::{Message, NewMessage, Settlement};
use crate::store::Transactional;

/// What goes into one statement on the caller's connection: all of it, short of the
/// protocol's limit. Only so it is all or nothing on a client that is in no transaction.
const IN_THEIRS: Size = Size {
    bytes: 256 * 1024 * 1024,
    messages: usize::MAX,
};

/// The caller's connection. Its statements are not ours to keep: each is sent unprepared,
/// in one round trip.
struct Theirs<'a, C> {
    client: &'a mut C,
    texts: &'a Texts,
}

impl<C: GenericClient> Run for Theirs<'_, C> {
    fn run(
        &mut self,
        statement: Statement,
        args: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, postgres::Error> {
        let types = sql::ALL[statement as usize].types;
        let text = self.texts.text(statement);
        self.client.query_typed(text, &typed(args, types))
    }
}

impl PgStore {
    fn in_theirs<C: GenericClient, T>(
        &self,
        client: &mut C,
        doing: &str,
        work: impl FnOnce(&mut Theirs<'_, C>) -> Result<T, postgres::Error>,
    ) -> Result<T> {
        let texts = self.inner.database.texts();
        work(&mut Theirs { client, texts })
            .map_err(|error| fault::error(doing, fault::fate(&error), error))
    }
}

/// With any `postgres::GenericClient`: a `Transaction`, or a `Client`, in a transaction or
/// not. Outside of one, each statement is a transaction of its own: that is a call as a
/// whole, except for more than 256 MiB of payloads, and for settlements of several outcomes.
impl<C: GenericClient> Transactional<C> for PgStore {
    fn enqueue_in(
        &self,
        tx: &mut C,
        queue_id: i64,
        messages: Vec<NewMessage>,
        delay: Option<Duration>,
    ) -> Result<Vec<Message>> {
        let texts = NewMessage::encode_all(&messages, self.inner.settings.payload_limit)?;
        let parts = statements(&texts, &messages, IN_THEIRS);
        let to = self.to_queue(queue_id, delay);
        let stored = self.in_theirs(tx, "enqueue messages", |db| enqueue_parts(db, to, &parts))?;
        Ok(stored.messages(queue_id, messages))
    }

    fn settle_in(
        &self,
        tx: &mut C,
        queue_id: i64,
        settlements: &[Settlement],
    ) -> Result<Vec<bool>> {
        let plan = Plan::for_settlements(settlements);
        self.in_theirs(tx, "settle messages", |db| {
            plan.settle(db, queue_id, settlements)
        })
    }
}
