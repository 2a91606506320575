//! Passwords and payloads are not told: in no error, by no `Debug`, to no `Events`, in no log.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgqrs::{
    Consumer, Context, Delivery, Error, ErrorKind, Events, PgStore, Producer, SqliteStore,
    WorkerPool,
};
use postgres::Client;
use serde_json::{Value, json};

use crate::logged::Log;
use crate::logins::Login;
use crate::pg::Pg;
use crate::refuser::Refuser;
use pgqrs_test_support::{MINUTE, wait_until};

/// In every password here, and in every part of those that are cut to pieces.
const SECRET: &str = "s3cret";

/// All that can be printed of an error.
fn printed(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    text
}

#[track_caller]
fn assert_untold(what: &str, text: &str, secret: &str) {
    assert!(!text.contains(secret), "{what} tells it: {text}");
}

/// What this does not find, no test here would.
#[test]
fn a_leak_is_found_wherever_it_is() {
    #[derive(Debug)]
    struct Cause(Option<Box<Cause>>, #[expect(dead_code)] &'static str);
    impl std::fmt::Display for Cause {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("says nothing")
        }
    }
    impl std::error::Error for Cause {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.0.as_deref().map(|cause| cause as _)
        }
    }
    let invalid = |text| Error::new(ErrorKind::Invalid, text);
    let deep = Cause(Some(Box::new(Cause(None, SECRET))), "");
    for leak in [
        invalid("a text with s3cret in it"),
        invalid("a source").because("with s3cret in it"),
        invalid("a source").because(Cause(None, SECRET)),
        invalid("a source's source").because(deep),
    ] {
        assert!(printed(&leak).contains(SECRET), "{leak:?}");
    }
    assert!(!printed(&invalid("harmless")).contains(SECRET));
}

/// None of these leads anywhere.
const DSNS: [&str; 44] = [
    // Good ones, and nobody is there.
    "postgresql://me:s3cret@127.0.0.1:1/db",
    "postgresql://me@127.0.0.1:1/db?password=s3cret",
    "postgresql://127.0.0.1:1/db?user=me&password=s3cret",
    "host=127.0.0.1 port=1 user=me password=s3cret",
    "host=127.0.0.1 port=1 user=me password='s3cret with \\' a quote'",
    "postgresql://me:s3cret@127.0.0.1:1/db?sslmode=require",
    "postgresql:///db?host=/no/such/directory&user=me&password=s3cret",
    "postgresql://me:s3cret%40s3cret%2Fs3cret@127.0.0.1:1/db",
    "postgresql://me:s3cret:s3cret#s3cret@127.0.0.1:1/db",
    "postgresql://127.0.0.1:1/db?user=me%40x&password=s3cret",
    "postgresql://me:s3cret%zz@127.0.0.1:1/db",
    // No place.
    "postgresql://me:s3cret@/db",
    "user=me password=s3cret",
    // No such form.
    "postgresql://me:s3cret@127.0.0.1:port/db",
    "postgresql://me:s3cret@127.0.0.1:99999/db",
    "postgresql://me:s3cret@[::1/db",
    "postgresql://me:s3cret",
    "postgresql://me:s3cret@127.0.0.1:1/db?nosuchoption=1",
    "postgresql://me:s3cret@127.0.0.1:1/db?sslmode=s3cret",
    "postgresql://me:s3cret@127.0.0.1:1/db?s3cret",
    "postgresql://me:s3cret@127.0.0.1:1/%ff",
    "postgresql://%ff:s3cret@127.0.0.1:1/db",
    "host=127.0.0.1 port=1 password=the s3cret",
    "host=127.0.0.1 port=1 password=the s3cret=s3cret",
    "host=127.0.0.1 port=1 password='s3cret",
    "host=127.0.0.1 port=1 password='it''s3cret'",
    "postgresql://me:s3cret@s3cret@127.0.0.1:1/db",
    "postgresql://me:s3cret@s3cret/s3cret?s3cret=s3cret@127.0.0.1:1/db",
    "postgresql://127.0.0.1:1/db?user=me&password=s3cret@s3cret",
    // Their own passwords to none, and parts of a host or a name to the driver.
    "postgresql://127.0.0.1:1/db?user=me@x&password=s3cret",
    "postgresql://127.0.0.1:1/db?user=me@x/y&password=s3cret",
    "postgresql://127.0.0.1/db?user=me@127.0.0.1:1/y&password=s3cret",
    "postgresql://me:s3cret:s3cret/s3cret?s3cret#s3cret@127.0.0.1:1/db",
    "host=127.0.0.1 port=1 user= password=s3cret",
    "host=127.0.0.1 port=1 user=me dbname= password=s3cret",
    "host=127.0.0.1;port=1;user=me;password=s3cret",
    "host=127.0.0.1,password=s3cret port=1 user=me",
    "host=127.0.0.1 port=1 dbname=postgresql://me:s3cret@127.0.0.1/db",
    // For another store, or none.
    "sqlite://me:s3cret@host/db",
    "sqlite:///me:s3cret/s3cret@host/db",
    "sqlite://postgres://me:s3cret@host/db",
    "sqlite://host/db?password=s3cret",
    "mysql://me:s3cret@host/db",
    "me:s3cret@host/db",
];

#[test]
fn no_error_tells_a_dsn() {
    for dsn in DSNS {
        let builder = PgStore::builder(dsn).connection_timeout(Duration::from_millis(300));
        assert_untold("the builder", &format!("{builder:?} {builder:#?}"), SECRET);
        let error = builder.build().expect_err(dsn);
        assert_untold(dsn, &printed(&error), SECRET);
        let error = pgqrs::connect(dsn).expect_err(dsn);
        assert_untold(dsn, &printed(&error), SECRET);
        if dsn.contains("://") {
            let error = SqliteStore::open(dsn).expect_err(dsn);
            assert_untold(dsn, &printed(&error), SECRET);
        }
    }
}

/// Whatever the server makes of it, short of repeating it.
#[test]
fn no_error_tells_a_password_that_was_sent() {
    let refusals = [
        ("28P01", "password authentication failed for user \"me\""),
        ("28000", "no pg_hba.conf entry for host \"127.0.0.1\""),
        ("3D000", "database \"db\" does not exist"),
        ("53300", "sorry, too many clients already"),
        ("57P03", "the database system is starting up"),
    ];
    for (code, text) in refusals {
        let refuser = Refuser::saying(Some((code, text)));
        let error = PgStore::connect(&refuser.dsn(SECRET)).unwrap_err();
        assert_eq!(refuser.password_sent().as_deref(), Some(SECRET));
        assert!(error.to_string().contains(text), "{error}");
        assert_untold(code, &printed(&error), SECRET);
    }
    let refuser = Refuser::saying(None);
    let error = PgStore::connect(&refuser.dsn(SECRET)).unwrap_err();
    assert_eq!(refuser.password_sent().as_deref(), Some(SECRET));
    assert_untold("a lost connection", &printed(&error), SECRET);

    // No TLS to be had on either side.
    let error = PgStore::connect(&format!("{}&sslmode=require", refuser.dsn(SECRET)));
    let error = error.unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
    assert_untold("TLS", &printed(&error), SECRET);
}

/// Not as a part of the user's or the database's name, which a server writes to its log and repeats.
#[test]
fn a_password_is_sent_as_a_password_only() {
    let refuser = Refuser::saying(None);
    let (at, port) = (refuser.address, refuser.address.port());
    for dsn in [
        format!("postgresql://{at}/db?user=me@{at}/y&password={SECRET}"),
        format!("postgresql://{at}/db?user=me;password={SECRET}"),
        format!("host=127.0.0.1 port={port} user= password={SECRET}"),
        format!("host=127.0.0.1 port={port} user=me dbname= password={SECRET}"),
        format!("host=127.0.0.1 port={port} user=me application_name= password={SECRET}"),
        format!("host=127.0.0.1 port={port} user=me dbname=postgresql://me:{SECRET}@db/db"),
    ] {
        let error = PgStore::connect(&dsn).expect_err(&dsn);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_untold(&dsn, &printed(&error), SECRET);
    }
    assert_eq!(refuser.names_sent(), "");
    let dsn = format!("postgresql://{at}/db?user=me%40x&password={SECRET}");
    PgStore::connect(&dsn).unwrap_err();
    assert_eq!(refuser.password_sent().as_deref(), Some(SECRET));
    assert!(refuser.names_sent().contains("me@x"));
    assert_untold("the beginning", &refuser.names_sent(), SECRET);
}

/// Writes down whatever a pool tells.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<String>>);

impl Notes {
    fn note(&self, what: &str, told: &dyn Debug) {
        *self.0.lock().unwrap() += &format!("{what} {told:?}\n");
    }

    fn has(&self, what: &str) -> bool {
        self.0.lock().unwrap().contains(what)
    }
}

impl Events for Notes {
    fn started(&self, delivery: &Delivery<'_>) {
        self.note("started", delivery);
    }
    fn finished(&self, delivery: &Delivery<'_>) {
        self.note("finished", delivery);
    }
    fn retried(&self, delivery: &Delivery<'_>, _: Duration, reason: &str) {
        self.note("retried", &(delivery, reason));
    }
    fn dead_lettered(&self, delivery: &Delivery<'_>, reason: &str) {
        self.note("dead_lettered", &(delivery, reason));
    }
    fn reconnecting(&self, doing: &str, error: &Error, _: Duration) {
        self.note("reconnecting", &(doing, printed(error)));
    }
    fn reconnected(&self, doing: &str) {
        self.note("reconnected", &doing);
    }
}

/// Ends all sessions of a login, which can begin no more.
fn lock_out(client: &mut Client, login: &Login<'_>) {
    let sql = format!("ALTER ROLE \"{}\" NOLOGIN", login.name);
    client.batch_execute(&sql).unwrap();
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1";
    wait_until("all sessions to end", MINUTE, || {
        client.query(sql, &[&login.name]).unwrap();
        login.sessions(client) == 0
    });
}

/// Tries until there is a connection in time.
fn in_time<T>(make: impl Fn() -> pgqrs::Result<T>) -> T {
    let mut made = None;
    wait_until("a connection", MINUTE, || {
        match make() {
            Ok(it) => made = Some(it),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        made.is_some()
    });
    made.unwrap()
}

#[test]
fn nothing_tells_a_password_or_a_payload() {
    const PAYLOAD: &str = "pa1load";
    let pg = Pg::with_roles();
    let all = ["pgqrs_producer", "pgqrs_consumer", "pgqrs_operator"];
    let login = pg.login("secret", &all);
    let mut client = pg.client();
    let logged = [
        ("r2d2", "not permitted to log in"),
        ("tokio_postgres::query", "with parameters"),
        ("tokio_postgres::prepare", "preparing"),
    ];
    let log = Log::listen(&[&login.password, PAYLOAD], &logged);

    let builder = PgStore::builder(&login.dsn()).schema(pg.schema.name());
    let mut text = format!("{builder:?}");
    let store = builder.clone().build().unwrap();
    let producer = Producer::new(store.clone(), "tasks").unwrap();
    let consumer = Consumer::new(store.clone(), "tasks").unwrap();
    producer.batch_enqueue([PAYLOAD, PAYLOAD]).unwrap();
    let mut tx = pg.client();
    producer.enqueue_in(&mut tx, PAYLOAD).unwrap();
    let held = consumer.dequeue().unwrap();
    assert_eq!(consumer.archive_many(&held).unwrap(), [true; 3]);
    text += &format!("{store:?} {producer:?} {consumer:?} {:?}", consumer.iter());

    // For what is to fail, which it does soon.
    let builder = builder.connection_timeout(Duration::from_millis(300));
    let hasty = in_time(|| builder.clone().build());
    let failing = in_time(|| Producer::new(hasty.clone(), "tasks"));
    let notes = Notes::default();
    let pool = in_time(|| {
        let pool = WorkerPool::builder(hasty.clone(), "tasks")
            .events(notes.clone())
            .poll_interval(Duration::from_millis(20))
            .handle(|_: Value, context: &Context| Err(format!("{context:?} fails").into()));
        notes.note("built", &pool);
        pool.start()
    });
    producer.enqueue(&json!({ "a": PAYLOAD })).unwrap();
    wait_until("a retry", MINUTE, || notes.has("retried"));
    text += &format!("{pool:?} {:?} {:?}", pool.counters(), pool.stop_handle());

    let mut failed = None;
    wait_until("a call to fail", MINUTE, || {
        // A session that was let in just before may show only when the others have ended.
        lock_out(&mut client, &login);
        failed = failing.enqueue(PAYLOAD).err();
        let said = failed.as_ref().map(ToString::to_string).unwrap_or_default();
        said.contains("could not get a connection")
    });
    text += &printed(&failed.unwrap());
    wait_until("an error of the pool's", MINUTE, || {
        notes.has("not permitted to log in")
    });
    wait_until("all that is logged", MINUTE, || log.missing().is_empty());
    text += &std::mem::take(&mut *notes.0.lock().unwrap());
    let sql = format!("ALTER ROLE \"{}\" LOGIN", login.name);
    client.batch_execute(&sql).unwrap();
    wait_until("the pool to go on", MINUTE, || notes.has("reconnected"));
    pool.shutdown(MINUTE).unwrap();

    text += &notes.0.lock().unwrap();
    assert_untold("the library", &text, &login.password);
    assert_untold("the library", &text, PAYLOAD);
    assert_eq!(log.leaks(), [""; 0]);

    // And what the log had told would have been found, and what it had not.
    log::error!("the password is {}", login.password);
    assert_eq!(log.leaks().len(), 1);
    drop(log);
    let log = Log::listen(&[], &[("r2d2", "nothing like this")]);
    assert_eq!(log.missing(), [("r2d2", "nothing like this")]);
}

/// Two things do quote payloads, as is documented: why one is not of the type that is asked for,
/// and a message's own `Debug`.
#[test]
fn what_does_not_fit_is_quoted() {
    let pg = Pg::with_tasks();
    let producer = Producer::new(&pg.store, "tasks").unwrap();
    let message = producer.enqueue("pa1load").unwrap();
    let error = message.json::<u32>().unwrap_err();
    assert!(error.to_string().contains("pa1load"), "{error}");
    assert!(format!("{message:?}").contains("pa1load"));
}
