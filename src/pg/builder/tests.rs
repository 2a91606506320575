use super::*;
use crate::error::ErrorKind;

const DSN: (&str, &str) = ("PGQRS_DSN", "postgresql://me:s3cret@localhost/db");

fn from(vars: &[(&str, &str)]) -> Result<PgStoreBuilder> {
    PgStoreBuilder::from_vars(&Vars::from(vars))
}

#[test]
fn every_variable_is_read() {
    let builder = from(&[
        DSN,
        ("PGQRS_SCHEMA", "queues"),
        ("PGQRS_POOL_SIZE", "4"),
        ("PGQRS_CONNECTION_TIMEOUT", "10s"),
        ("PGQRS_STATEMENT_TIMEOUT", "1m"),
        ("PGQRS_PREPARED_STATEMENTS", "false"),
        ("PGQRS_LOCK_TIME", "1m 30s"),
        ("PGQRS_BATCH", "50"),
        ("PGQRS_POLL_INTERVAL", "100ms"),
        ("PGQRS_PAYLOAD_LIMIT", "65536"),
        ("PGQRS_KEY_RETENTION", "12h"),
    ])
    .unwrap();
    assert_eq!(builder.dsn, DSN.1);
    assert_eq!(builder.schema, "queues");
    assert_eq!(builder.pool_size, 4);
    assert_eq!(builder.connection_timeout, Duration::from_secs(10));
    assert_eq!(builder.statement_timeout, Some(Duration::from_secs(60)));
    assert!(!builder.prepared_statements);
    assert_eq!(
        builder.settings,
        Settings {
            lock_time: Duration::from_secs(90),
            batch: 50,
            poll_interval: Duration::from_millis(100),
            payload_limit: 65536,
            key_retention: Duration::from_secs(43_200),
        }
    );
}

#[test]
fn what_is_not_set_keeps_its_default() {
    let builder = from(&[DSN]).unwrap();
    let default = PgStore::builder(DSN.1);
    assert_eq!(format!("{builder:?}"), format!("{default:?}"));
    assert_eq!(builder.pool_size, 16);
    assert_eq!(builder.schema, "public");
    assert_eq!(builder.settings, Settings::default());
}

#[test]
fn a_missing_dsn_is_an_error() {
    let error = from(&[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().starts_with("PGQRS_DSN is not set"));
}

#[test]
fn a_value_that_does_not_parse_is_an_error_that_names_it() {
    for (name, value) in [
        ("PGQRS_POOL_SIZE", "-1"),
        ("PGQRS_CONNECTION_TIMEOUT", "10"),
        ("PGQRS_STATEMENT_TIMEOUT", "soon"),
        ("PGQRS_PREPARED_STATEMENTS", "yes"),
        ("PGQRS_LOCK_TIME", ""),
        ("PGQRS_BATCH", "1e3"),
        ("PGQRS_POLL_INTERVAL", "5 parsecs"),
        ("PGQRS_PAYLOAD_LIMIT", "1MiB"),
        ("PGQRS_KEY_RETENTION", "a day"),
    ] {
        let error = from(&[DSN, (name, value)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = error.to_string();
        assert!(
            text.contains(name) && text.contains(&format!("{value:?}")),
            "{text}"
        );
    }
}

#[test]
fn settings_that_break_a_rule_are_refused_before_connecting() {
    let nowhere = || PgStore::builder("postgresql://127.0.0.1:1/none");
    for (builder, named) in [
        (nowhere().pool_size(0), "pool_size is 0"),
        (
            nowhere().connection_timeout(Duration::ZERO),
            "connection_timeout is zero",
        ),
        (
            nowhere().statement_timeout(Some(Duration::ZERO)),
            "statement_timeout is zero",
        ),
        (nowhere().schema(""), "schema \"\""),
        (nowhere().schema(&"s".repeat(64)), "1 to 63 bytes"),
        (nowhere().lock_time(Duration::ZERO), "lock_time is zero"),
        (nowhere().batch(0), "batch is 0"),
        (
            nowhere().poll_interval(Duration::ZERO),
            "poll_interval is zero",
        ),
        (nowhere().payload_limit(0), "payload_limit is 0"),
        (
            nowhere().key_retention(Duration::ZERO),
            "key_retention is zero",
        ),
        (
            PgStore::builder("postgresql://localhost:port/db"),
            "the DSN does not parse",
        ),
        (PgStore::builder("postgresql:///db"), "names no host"),
        (PgStore::builder("dbname=db"), "names no host"),
        (
            PgStore::builder("host=a,b hostaddr=127.0.0.1"),
            "2 of host and 1 of hostaddr",
        ),
        (PgStore::builder("host=a port=1,2"), "1 hosts and 2 ports"),
        (
            PgStore::builder("postgres://me%00@127.0.0.1:1/db"),
            "U+0000",
        ),
        (
            PgStore::builder("host=127.0.0.1 port=1 user=m\0e"),
            "U+0000",
        ),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn the_password_is_not_told() {
    let builder = from(&[DSN]).unwrap();
    assert!(!format!("{builder:?}").contains("s3cret"));
}

#[test]
fn absurd_timeouts_are_cut() {
    let nowhere = PgStore::builder("postgresql://127.0.0.1:1/none");
    let absurd = nowhere
        .connection_timeout(Duration::MAX)
        .statement_timeout(Some(Duration::MAX));
    assert_eq!(absurd.build().unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let settings = Settings::default();
    assert_eq!(settings.lock_time, Duration::from_secs(5));
    assert_eq!(settings.batch, 100);
    assert_eq!(settings.poll_interval, Duration::from_millis(250));
    assert_eq!(settings.payload_limit, 1_048_576);
    assert_eq!(settings.key_retention, Duration::from_secs(86_400));
}

#[test]
fn dead_peers_are_noticed_unless_the_dsn_says_otherwise() {
    let seconds = |n| Some(Duration::from_secs(n));
    let config = |dsn| PgStore::builder(dsn).config().unwrap();
    let ours = config("postgresql://localhost/db");
    assert_eq!(Some(ours.get_keepalives_idle()), seconds(30));
    assert_eq!(ours.get_keepalives_interval(), seconds(10));
    assert_eq!(ours.get_keepalives_retries(), Some(3));
    assert_eq!(ours.get_tcp_user_timeout().copied(), seconds(60));
    let theirs = config(
        "host=localhost keepalives_idle=7 keepalives_interval=8 keepalives_retries=9 \
         tcp_user_timeout=10",
    );
    assert_eq!(Some(theirs.get_keepalives_idle()), seconds(7));
    assert_eq!(theirs.get_keepalives_interval(), seconds(8));
    assert_eq!(theirs.get_keepalives_retries(), Some(9));
    assert_eq!(theirs.get_tcp_user_timeout().copied(), seconds(10));
}
