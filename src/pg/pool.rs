//! Connections: the pool, the statements prepared on each, and what is done about dead ones.

use std::ops::DerefMut;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::types::ToSql;
use postgres::{Client, Config, Row, Socket};
use r2d2::ManageConnection;
use r2d2_postgres::PostgresConnectionManager;

use super::fault::{self, Fate};
use super::manager::{Conn, Manager, Suspicion, Telling};
use super::sql::{self, Statement};
use crate::error::Result;
use crate::span::MAX_SPAN;

/// How often a call is sent again after failing on a dead connection, unexecuted, or in a deadlock.
const RETRIES: usize = 3;

/// Runs statements: on a connection of ours, or in the caller's transaction.
pub(super) trait Run {
    fn run(
        &mut self,
        statement: Statement,
        args: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, postgres::Error>;
}

/// The texts of all statements for one schema, by number.
#[derive(Debug)]
pub(super) struct Texts {
    /// The schema's name, and ...
    pub(super) name: String,
    /// ... the same, quoted.
    pub(super) schema: String,
    texts: Vec<String>,
    /// Whether statements may stay prepared on a connection.
    prepare: bool,
}

impl Texts {
    pub(super) fn new(name: &str, prepare: bool) -> Self {
        let schema = sql::quote(name);
        Self {
            name: name.to_owned(),
            texts: sql::ALL
                .iter()
                .map(|sql| sql::in_schema(sql.text, &schema))
                .collect(),
            schema,
            prepare,
        }
    }

    /// Whether what is done to a session stays with it.
    pub(super) fn keeps_sessions(&self) -> bool {
        self.prepare
    }

    pub(super) fn text(&self, statement: Statement) -> &str {
        &self.texts[statement as usize]
    }
}

/// One call's use of a connection.
pub(super) struct Session<'a> {
    conn: &'a mut Conn,
    texts: &'a Texts,
    in_transaction: bool,
    /// Whether the transaction is to be rolled back although nothing failed.
    undo: bool,
    /// Whether anything was sent that could have taken effect.
    sent: bool,
}

impl Session<'_> {
    /// The bare client, for what is done once; only within [`atomically`](Self::atomically).
    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.conn.client
    }

    /// Prepares a statement ahead of its use, so that what follows can be timed.
    pub(super) fn prepare(&mut self, statement: Statement) -> Result<(), postgres::Error> {
        if self.texts.prepare {
            self.conn.prepared(statement, self.texts.text(statement))?;
        }
        Ok(())
    }

    /// Has the transaction rolled back, whatever its work returns.
    pub(super) fn undo(&mut self) {
        self.undo = true;
    }

    /// Runs `work` in a transaction.
    pub(super) fn atomically<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, postgres::Error>,
    ) -> Result<T, postgres::Error> {
        // Whatever happens on the way: with an open transaction it must not go back to the
        // pool.
        self.conn.dead = true;
        self.conn.client.batch_execute(sql::BEGIN)?;
        self.in_transaction = true;
        let worked = work(self);
        self.in_transaction = false;
        let ended = if worked.is_ok() && !self.undo {
            self.sent = true;
            self.conn.client.batch_execute(sql::COMMIT)
        } else {
            self.conn.client.batch_execute(sql::ROLLBACK)
        };
        self.conn.dead = ended.is_err();
        match worked {
            Ok(value) => ended.map(|()| value),
            Err(error) => Err(error),
        }
    }
}

impl Run for Session<'_> {
    fn run(
        &mut self,
        statement: Statement,
        args: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, postgres::Error> {
        let text = self.texts.text(statement);
        let types = sql::ALL[statement as usize].types;
        if !self.texts.prepare {
            self.sent |= !self.in_transaction;
            return self.conn.client.query_typed(text, &typed(args, types));
        }
        let prepared = self.conn.prepared(statement, text)?;
        self.sent |= !self.in_transaction;
        self.conn.client.query(&prepared, args)
    }
}

/// Pairs each argument with its type, as unprepared statements are sent.
pub(super) fn typed<'a>(
    args: &[&'a (dyn ToSql + Sync)],
    types: &[postgres::types::Type],
) -> Vec<(&'a (dyn ToSql + Sync), postgres::types::Type)> {
    args.iter().copied().zip(types.iter().cloned()).collect()
}

/// Whether a call may be carried out twice without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is as good as once.
    Harmless,
    /// Only if the first time certainly did nothing.
    IfUnexecuted,
}

/// The database, as the store sees it: calls that survive dead connections.
pub(super) struct Database {
    connections: Box<dyn Connections>,
    /// Opens a connection that is not the pool's.
    open_lone: Box<dyn Fn() -> Result<Client, postgres::Error> + Send + Sync>,
    suspicion: Arc<Suspicion>,
    texts: Texts,
}

/// How the pool of a [`Database`] is made.
pub(super) struct PoolSettings {
    pub(super) size: u32,
    pub(super) connection_timeout: Duration,
    pub(super) statement_timeout: Option<Duration>,
}

impl Database {
    /// Connects once, so that what is wrong with the address or the password is told at
    /// once and as the server says it, and opens the other connections as they are needed.
    pub(super) fn open<T>(
        config: Config,
        tls: T,
        settings: &PoolSettings,
        texts: Texts,
    ) -> Result<Self>
    where
        T: MakeTlsConnect<Socket> + Clone + 'static + Sync + Send,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let suspicion = Arc::new(Suspicion::none());
        let on_connect = sql::on_connect(texts.prepare, settings.statement_timeout);
        let lone = PostgresConnectionManager::new(config.clone(), tls.clone());
        let made_by = PostgresConnectionManager::new(config, tls);
        let manager = Manager::new(made_by, on_connect, Arc::clone(&suspicion));
        manager
            .connect()
            .map_err(|Telling(error)| fault::cannot_connect(error))?;
        let pool = r2d2::Pool::builder()
            .max_size(settings.size)
            .min_idle(Some(0))
            .connection_timeout(settings.connection_timeout.min(MAX_SPAN))
            .build_unchecked(manager);
        Ok(Self {
            connections: Box::new(pool),
            open_lone: Box::new(move || lone.connect()),
            suspicion,
            texts,
        })
    }

    /// Opens a connection of the caller's own, besides the pool.
    pub(super) fn lone_client(&self) -> Result<Client, postgres::Error> {
        (self.open_lone)()
    }

    pub(super) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Whether all connections there may be are in use.
    pub(super) fn is_exhausted(&self) -> bool {
        self.connections.are_exhausted()
    }

    /// Makes a call, and makes it again where that is safe. `doing`: "archive messages".
    pub(super) fn call<T>(
        &self,
        doing: &str,
        repeat: Repeat,
        mut work: impl FnMut(&mut Session<'_>) -> Result<T, postgres::Error>,
    ) -> Result<T> {
        let mut retries = RETRIES;
        loop {
            let mut conn = self.connections.get()?;
            let mut session = Session {
                conn: &mut conn,
                texts: &self.texts,
                in_transaction: false,
                undo: false,
                sent: false,
            };
            let error = match work(&mut session) {
                Ok(value) => {
                    conn.used = Instant::now();
                    return Ok(value);
                }
                Err(error) => error,
            };
            let fate = match fault::fate(&error) {
                Fate::Unknown if !session.sent => Fate::NotExecuted,
                fate => fate,
            };
            conn.dead |= fate != Fate::Refused || fault::is_read_only(&error);
            if conn.dead {
                drop(conn);
                self.suspicion.raise();
            }
            let again = fate == Fate::NotExecuted
                || (fate == Fate::Unknown && repeat == Repeat::Harmless)
                || fault::is_deadlock(&error);
            if !again || retries == 0 {
                return Err(fault::error(doing, fate, error));
            }
            retries -= 1;
        }
    }
}

/// Where connections come from: hides the type of the pool, and so the TLS connector's.
trait Connections: Send + Sync {
    fn get(&self) -> Result<Box<dyn DerefMut<Target = Conn>>>;

    fn are_exhausted(&self) -> bool;
}

impl<T> Connections for r2d2::Pool<Manager<T>>
where
    Manager<T>: ManageConnection<Connection = Conn>,
{
    fn get(&self) -> Result<Box<dyn DerefMut<Target = Conn>>> {
        match r2d2::Pool::get(self) {
            Ok(conn) => Ok(Box::new(conn)),
            Err(error) => Err(fault::no_connection(&error).because(error)),
        }
    }

    fn are_exhausted(&self) -> bool {
        let state = self.state();
        state.idle_connections == 0 && state.connections == self.max_size()
    }
}
