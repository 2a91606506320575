use std::path::Path;
use std::time::Duration;

use super::*;
use crate::error::ErrorKind;
use crate::settings::Settings;

fn from(vars: &[(&str, &str)]) -> Result<SqliteStoreBuilder> {
    SqliteStoreBuilder::from_vars(&Vars::from(vars))
}

#[test]
fn every_variable_is_read() {
    let builder = from(&[
        ("PGQRS_DSN", "sqlite://queue.db"),
        ("PGQRS_DURABILITY", "normal"),
        ("PGQRS_BUSY_TIMEOUT", "5s"),
        ("PGQRS_LOCK_TIME", "1m 30s"),
        ("PGQRS_BATCH", "50"),
        ("PGQRS_POLL_INTERVAL", "100ms"),
        ("PGQRS_PAYLOAD_LIMIT", "65536"),
        ("PGQRS_KEY_RETENTION", "12h"),
    ])
    .unwrap();
    assert_eq!(builder.path.as_deref(), Some(Path::new("queue.db")));
    assert_eq!(builder.durability, Durability::Normal);
    assert_eq!(builder.busy_timeout, Duration::from_secs(5));
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
    let builder = from(&[("PGQRS_DSN", "sqlite::memory:")]).unwrap();
    let default = SqliteStoreBuilder::in_memory();
    assert_eq!(format!("{builder:?}"), format!("{default:?}"));
    let full = [
        ("PGQRS_DSN", "sqlite::memory:"),
        ("PGQRS_DURABILITY", "full"),
    ];
    assert_eq!(from(&full).unwrap().durability, Durability::Full);
}

#[test]
fn the_path_is_taken_as_it_stands() {
    for path in [
        "/var/lib/queue.db",
        "queue.db",
        "./a b/q%20.db",
        "../q.db",
        "C:\\q.db",
        ":memory",
        "//q#x&y.db",
    ] {
        let builder = SqliteStoreBuilder::from_dsn(&format!("sqlite://{path}")).unwrap();
        assert_eq!(builder.path.as_deref(), Some(Path::new(path)));
    }
    let builder = SqliteStoreBuilder::from_dsn("sqlite::memory:").unwrap();
    assert_eq!(builder.path, None);
}

#[test]
fn what_is_wrong_with_a_dsn_is_said() {
    for (dsn, named) in [
        ("", "does not begin"),
        ("q.db", "does not begin"),
        ("SQLITE://q.db", "does not begin"),
        ("postgresql://me:s3cret@host/db", "does not begin"),
        ("sqlite", "does not begin"),
        ("sqlite:", "has no \"//\""),
        ("sqlite:q.db", "has no \"//\""),
        ("sqlite:/q.db", "has no \"//\""),
        ("sqlite::memory", "has no \"//\""),
        ("sqlite://", "names no file"),
        ("sqlite://:memory:", "a \"//\" too many"),
        ("sqlite://q.db?key=s3cret", "parameters are not supported"),
        ("sqlite://?", "parameters are not supported"),
    ] {
        for error in [
            SqliteStoreBuilder::from_dsn(dsn).unwrap_err(),
            from(&[("PGQRS_DSN", dsn)]).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let text = error.to_string();
            assert!(
                text.contains(named) && text.contains(FORMS),
                "{dsn}: {text}"
            );
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
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
        ("PGQRS_DURABILITY", "FULL"),
        ("PGQRS_DURABILITY", ""),
        ("PGQRS_BUSY_TIMEOUT", "10"),
        ("PGQRS_LOCK_TIME", "soon"),
        ("PGQRS_BATCH", "1e3"),
        ("PGQRS_POLL_INTERVAL", "5 parsecs"),
        ("PGQRS_PAYLOAD_LIMIT", "1MiB"),
        ("PGQRS_KEY_RETENTION", "a day"),
    ] {
        let error = from(&[("PGQRS_DSN", "sqlite::memory:"), (name, value)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let expected = format!("{name} is {value:?}, which is not");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
