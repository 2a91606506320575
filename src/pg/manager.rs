//! Making connections, and finding out whether they live.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Client, Socket, Statement as Prepared};
use r2d2::ManageConnection;
use r2d2_postgres::PostgresConnectionManager;

use super::fault;
use super::sql::{self, Statement};

/// A connection that was used this recently is taken to be alive. A longer idle one is
/// asked before it is used, so that after a restart of the server almost every dead
/// connection is found out before anything is sent on it.
const FRESH: Duration = Duration::from_millis(500);

/// A connection with what is kept beside it.
pub(super) struct Conn {
    pub(super) client: Client,
    prepared: Vec<Option<Prepared>>,
    pub(super) used: Instant,
    pub(super) dead: bool,
}

impl Conn {
    /// Returns the prepared statement; the first time, prepares it.
    pub(super) fn prepared(
        &mut self,
        statement: Statement,
        text: &str,
    ) -> Result<Prepared, postgres::Error> {
        let slot = &mut self.prepared[statement as usize];
        if let Some(prepared) = slot {
            return Ok(prepared.clone());
        }
        let types = sql::ALL[statement as usize].types;
        let prepared = self.client.prepare_typed(text, types)?;
        Ok(slot.insert(prepared).clone())
    }
}

/// Makes connections for r2d2.
pub(super) struct Manager<T> {
    inner: PostgresConnectionManager<T>,
    on_connect: String,
    suspicion: Arc<Suspicion>,
}

impl<T> Manager<T> {
    /// `on_connect` is sent on each new connection, unless it is empty.
    pub(super) fn new(
        inner: PostgresConnectionManager<T>,
        on_connect: String,
        suspicion: Arc<Suspicion>,
    ) -> Self {
        Self {
            inner,
            on_connect,
            suspicion,
        }
    }
}

/// An error of `postgres` whose text says what the server said: r2d2 keeps the text alone, and
/// theirs is "db error".
#[derive(Debug)]
pub(super) struct Telling(pub(super) postgres::Error);

impl From<postgres::Error> for Telling {
    fn from(error: postgres::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fault::said(&self.0))
    }
}

impl std::error::Error for Telling {}

/// When a connection was last found dead: then no idle one is trusted any more.
pub(super) struct Suspicion {
    start: Instant,
    micros: AtomicU64,
}

impl Suspicion {
    pub(super) fn none() -> Self {
        Self {
            start: Instant::now(),
            micros: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn raise(&self) {
        self.micros.fetch_max(self.now(), Ordering::Relaxed);
    }

    fn covers(&self, used: Instant) -> bool {
        let used = used.saturating_duration_since(self.start).as_micros();
        used <= u128::from(self.micros.load(Ordering::Relaxed))
    }
}

impl<T> ManageConnection for Manager<T>
where
    T: MakeTlsConnect<Socket> + Clone + 'static + Sync + Send,
    T::TlsConnect: Send,
    T::Stream: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    type Connection = Conn;
    type Error = Telling;

    fn connect(&self) -> Result<Conn, Telling> {
        let mut client = self.inner.connect()?;
        if !self.on_connect.is_empty() {
            client.batch_execute(&self.on_connect)?;
        }
        Ok(Conn {
            client,
            prepared: vec![None; sql::ALL.len()],
            used: Instant::now(),
            dead: false,
        })
    }

    /// Asks the server only if there is a reason to: r2d2 calls this at every checkout, and
    /// a round trip is half the cost of a small call.
    fn is_valid(&self, conn: &mut Conn) -> Result<(), Telling> {
        if conn.used.elapsed() < FRESH
            && !self.suspicion.covers(conn.used)
            && !conn.client.is_closed()
        {
            return Ok(());
        }
        self.inner.is_valid(&mut conn.client)?;
        conn.used = Instant::now();
        Ok(())
    }

    fn has_broken(&self, conn: &mut Conn) -> bool {
        conn.dead || self.inner.has_broken(&mut conn.client)
    }
}
