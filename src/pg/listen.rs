//! Waking consumers by NOTIFY: a thread with a connection of its own, for one pool.
//!
//! It listens only while somebody waits ([`Wakeups::arm`]), since everybody who makes messages
//! ready has to notify as long as one does. See `pgqrs_wait` in `schema.sql`.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::ToSql;

use super::PgStore;
use super::pool::{Repeat, Run, typed};
use super::sql::{self, Statement};
use crate::bell::Bell;
use crate::store::Wakeups;

type SqlResult<T> = Result<T, postgres::Error>;

/// How long the thread may not notice that it is to do something else: it cannot wait for
/// that and for the server at once. Nobody waits for it but the end of a pool.
const TICK: Duration = Duration::from_millis(50);

/// How long a greeting may be under way before we take it that none can arrive.
const HELLO: Duration = Duration::from_secs(5);

/// A connection on which nothing comes may be dead without anybody having said so: it is
/// asked this often, and has this long to answer.
const HEARTBEAT: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(10);

/// The pauses between tries to connect, each twice the one before, ...
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// ... and the pause after a connection turned out to be deaf: a pooler's.
const DEAF_PAUSE: Duration = Duration::from_secs(60);

/// An open transaction that may end with messages nobody is told of is asked for after this
/// pause first, then after twice that, and so on, ...
const FIRST_DOUBT: Duration = Duration::from_millis(1);
/// ... up to this.
const LONGEST_DOUBT: Duration = Duration::from_millis(500);

/// One queue, as its consumer and the thread see it.
struct Queue {
    id: i64,
    bell: Bell,
    wanted: AtomicBool,
    armed: AtomicBool,
}

/// What [`PgStore::wakeups`](crate::Store::wakeups) returns.
pub(super) struct Listening {
    queues: Arc<Vec<Queue>>,
    /// Wakes the thread; dropped, it ends it.
    news: Option<Sender<()>>,
    /// Disconnects when the thread has ended.
    ended: Receiver<Infallible>,
}

impl Listening {
    /// Starts the thread; `None` if the system has none to give.
    pub(super) fn start(store: PgStore, bells: Vec<(i64, Bell)>) -> Option<Self> {
        let queue = |(id, bell)| Queue {
            id,
            bell,
            wanted: AtomicBool::new(false),
            armed: AtomicBool::new(false),
        };
        let queues: Arc<Vec<Queue>> = Arc::new(bells.into_iter().map(queue).collect());
        let (news, told) = bounded(1);
        let (ending, ended) = bounded(0);
        let listener = Listener {
            store,
            queues: Arc::clone(&queues),
            told,
        };
        thread::Builder::new()
            .name("pgqrs-listen".to_owned())
            .spawn(move || {
                listener.run();
                drop(ending);
            })
            .ok()?;
        Some(Self {
            queues,
            news: Some(news),
            ended,
        })
    }

    fn want(&self, queue_id: i64, wanted: bool) -> bool {
        let Some(queue) = self.queues.iter().find(|queue| queue.id == queue_id) else {
            return false;
        };
        if queue.wanted.swap(wanted, Ordering::SeqCst) != wanted
            && let Some(news) = &self.news
        {
            let _ = news.try_send(());
        }
        queue.armed.load(Ordering::SeqCst)
    }
}

impl Wakeups for Listening {
    fn arm(&self, queue_id: i64) -> bool {
        self.want(queue_id, true)
    }

    fn disarm(&self, queue_id: i64) {
        self.want(queue_id, false);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.news.take();
        // It ends within a tick, unless it waits for a server that does not answer: that can
        // take long, and touches nothing of ours any more.
        let _ = self.ended.recv_timeout(20 * TICK);
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let armed = |queue: &Queue| (queue.id, queue.armed.load(Ordering::SeqCst));
        f.debug_struct("Listening")
            .field("armed", &self.queues.iter().map(armed).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The other side has been dropped.
struct Over;

/// The thread.
struct Listener {
    store: PgStore,
    queues: Arc<Vec<Queue>>,
    told: Receiver<()>,
}

/// What one connection knows of one queue.
#[derive(Debug, Default)]
struct Watch {
    channel: String,
    /// When the next scheduled message is due.
    due_at: Option<Instant>,
    /// When to ask again whether a transaction is open that tells nobody of its messages,
    /// and the pause before that.
    doubt: Option<(Instant, Duration)>,
}

/// How the use of one connection ended.
enum End {
    Over,
    /// It could not be made, or it broke.
    Broken,
    /// Nothing that is said arrives.
    Deaf,
}

impl Listener {
    fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            while self.nobody_waits() {
                if let Err(Over) = self.pause(None) {
                    return;
                }
            }
            let wait = match self.use_a_connection(&mut pause) {
                End::Over => return,
                End::Deaf => DEAF_PAUSE,
                End::Broken => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
                }
            };
            let end = Instant::now() + wait;
            while Instant::now() < end {
                if let Err(Over) = self.pause(Some(end - Instant::now())) {
                    return;
                }
            }
        }
    }

    fn use_a_connection(&self, pause: &mut Duration) -> End {
        let Ok(mut client) = self.store.inner.database.lone_client() else {
            return End::Broken;
        };
        match self.hears(&mut client) {
            None => return End::Broken,
            Some(false) => return End::Deaf,
            Some(true) => *pause = FIRST_PAUSE,
        }
        let served = self.serve(&mut client);
        // Consumers that rely on being woken have to poll now.
        for queue in self.queues.iter() {
            if queue.armed.swap(false, Ordering::SeqCst) {
                queue.bell.ring();
            }
        }
        match served {
            Ok(Over) => End::Over,
            Err(_) => End::Broken,
        }
    }

    fn nobody_waits(&self) -> bool {
        let wanted = |queue: &Queue| queue.wanted.load(Ordering::SeqCst);
        !self.queues.iter().any(wanted)
    }

    /// Waits for news, or for this long.
    fn pause(&self, at_most: Option<Duration>) -> Result<(), Over> {
        let told = match at_most {
            Some(at_most) => self.told.recv_timeout(at_most),
            None => self.told.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match told {
            Err(RecvTimeoutError::Disconnected) => Err(Over),
            _ => Ok(()),
        }
    }

    /// Whether notifications arrive on this connection, by having one sent on another; `None`
    /// if that cannot be found out now. A pooler that lends connections for one transaction
    /// each lets none through, and a lock taken there would stay behind.
    fn hears(&self, client: &mut Client) -> Option<bool> {
        client.batch_execute(sql::LISTEN_HELLO).ok()?;
        let hello = format!("{:016x}", fastrand::u64(..));
        self.store
            .call("greet the listener", Repeat::Harmless, |db| {
                db.run(Statement::Hello, &[&hello])
            })
            .ok()?;
        let mut heard = false;
        let deadline = Instant::now() + HELLO;
        while !heard && Instant::now() < deadline {
            let next = client.notifications().timeout_iter(TICK).next().ok()?;
            heard = next.is_some_and(|notification| notification.payload() == hello);
            if client.is_closed() || self.pause(Some(Duration::ZERO)).is_err() {
                return None;
            }
        }
        client.batch_execute(sql::UNLISTEN_HELLO).ok()?;
        Some(heard)
    }

    /// Rings the bells, until the connection breaks or the other side is dropped.
    fn serve(&self, client: &mut Client) -> SqlResult<Over> {
        let mut watches: Vec<Option<Watch>> = self.queues.iter().map(|_| None).collect();
        let mut asked = Instant::now();
        loop {
            if asked.elapsed() > HEARTBEAT {
                client.is_valid(ANSWER)?;
                asked = Instant::now();
            }
            let mut wake_at: Option<Instant> = None;
            for (queue, watch) in self.queues.iter().zip(&mut watches) {
                self.keep(client, queue, watch)?;
                if let Some(watch) = watch {
                    let doubt = watch.doubt.map(|(at, _)| at);
                    let next = [wake_at, watch.due_at, doubt].into_iter().flatten().min();
                    wake_at = next;
                }
            }
            if watches.iter().all(Option::is_none) {
                match self.pause(Some(HEARTBEAT)) {
                    Ok(()) => continue,
                    Err(Over) => return Ok(Over),
                }
            }
            if let Err(Over) = self.pause(Some(Duration::ZERO)) {
                return Ok(Over);
            }
            let left = wake_at.map(|at| at.saturating_duration_since(Instant::now()));
            self.hear(client, &mut watches, left.unwrap_or(TICK).min(TICK))?;
            if client.is_closed() {
                // Any statement tells why.
                client.batch_execute("")?;
            }
        }
    }

    /// Does what is due for one queue: begins to wait, ends it, or looks ahead again.
    fn keep(&self, client: &mut Client, queue: &Queue, watch: &mut Option<Watch>) -> SqlResult<()> {
        let wanted = queue.wanted.load(Ordering::SeqCst);
        let now = Instant::now();
        match watch {
            None if wanted => {
                let mut new = Watch::default();
                self.look(client, Statement::Wait, queue, &mut new)?;
                *watch = Some(new);
                queue.armed.store(true, Ordering::SeqCst);
                queue.bell.ring();
            }
            Some(_) if !wanted => {
                queue.armed.store(false, Ordering::SeqCst);
                self.ask(client, Statement::WaitNoMore, queue)?;
                *watch = None;
            }
            Some(watch) => {
                let due = watch.due_at.is_some_and(|at| at <= now);
                let doubt = watch.doubt.is_some_and(|(at, _)| at <= now);
                if due || doubt {
                    self.look(client, Statement::Upcoming, queue, watch)?;
                    // After looking ahead: what comes due between the two is seen by the
                    // consumer, or was seen by us.
                    if due || watch.doubt.is_none() {
                        queue.bell.ring();
                    }
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Learns what is to come.
    fn look(
        &self,
        client: &mut Client,
        statement: Statement,
        queue: &Queue,
        watch: &mut Watch,
    ) -> SqlResult<()> {
        let rows = self.ask(client, statement, queue)?;
        let now = Instant::now();
        for row in &rows {
            if let Some(channel) = row.try_get(0)? {
                watch.channel = channel;
            }
            let due_in: Option<i64> = row.try_get(1)?;
            watch.due_at = due_in.and_then(|micros| now.checked_add(span(micros)));
            watch.doubt = row.try_get::<_, bool>(2)?.then(|| {
                let pause = watch.doubt.map_or(FIRST_DOUBT, |(_, pause)| pause * 2);
                // All queues together ask as often as one.
                let queues = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
                let pause = pause.min(LONGEST_DOUBT.saturating_mul(queues));
                (now + pause, pause)
            });
        }
        Ok(())
    }

    fn ask(
        &self,
        client: &mut Client,
        statement: Statement,
        queue: &Queue,
    ) -> SqlResult<Vec<postgres::Row>> {
        let text = self.store.inner.database.texts().text(statement);
        let types = sql::ALL[statement as usize].types;
        let args: [&(dyn ToSql + Sync); 1] = [&queue.id];
        client.query_typed(text, &typed(&args, types))
    }

    /// Waits for notifications, and takes in those that have come.
    fn hear(
        &self,
        client: &mut Client,
        watches: &mut [Option<Watch>],
        at_most: Duration,
    ) -> SqlResult<()> {
        let mut notifications = client.notifications();
        let mut next = notifications.timeout_iter(at_most).next()?;
        while let Some(notification) = next {
            for (queue, watch) in self.queues.iter().zip(watches.iter_mut()) {
                if let Some(watch) = watch
                    && watch.channel == notification.channel()
                {
                    match notification.payload() {
                        "ready" => queue.bell.ring(),
                        // Something is due, or will be: time to look ahead.
                        _ => watch.due_at = Some(Instant::now()),
                    }
                }
            }
            next = notifications.iter().next()?;
        }
        Ok(())
    }
}

fn span(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
