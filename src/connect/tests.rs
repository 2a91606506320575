use super::*;
use crate::error::ErrorKind;

/// What both functions answer.
fn opened(dsn: &str) -> [Result<Arc<dyn Store>>; 2] {
    [connect(dsn), from_vars(&Vars::from([("PGQRS_DSN", dsn)]))]
}

#[track_caller]
fn assert_refused(result: Result<Arc<dyn Store>>, named: &str) {
    let error = result.expect_err("this should have been refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let text = error.to_string();
    assert!(text.contains(named), "no {named:?} in the text: {text}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[test]
fn mock_is_a_new_store_in_memory() {
    for store in opened("mock:") {
        let store = store.unwrap();
        assert!(format!("{store:?}").starts_with("MockStore"), "{store:?}");
        assert!(store.queues().unwrap().is_empty());
        store.create_queue("tasks").unwrap();
    }
}

#[test]
fn settings_come_from_the_environment() {
    let all = [
        ("PGQRS_DSN", "mock:"),
        ("PGQRS_BATCH", "7"),
        ("PGQRS_POOL_SIZE", "not for this store"),
    ];
    assert_eq!(from_vars(&Vars::from(all)).unwrap().settings().batch, 7);
    let bad = Vars::from([("PGQRS_DSN", "mock:"), ("PGQRS_BATCH", "many")]);
    assert_refused(from_vars(&bad), "PGQRS_BATCH is \"many\"");
    let bad = Vars::from([("PGQRS_DSN", "mock:"), ("PGQRS_BATCH", "0")]);
    assert_refused(from_vars(&bad), "batch is 0");
    assert_refused(from_vars(&Vars::from([])), "PGQRS_DSN is not set");
}

#[test]
fn a_dsn_of_another_form_is_refused() {
    for (dsn, named) in [
        ("", "has no scheme"),
        ("queue.db", "has no scheme"),
        ("/var/queue.db", "has no scheme"),
        ("//me:s3cret@host/db", "has no scheme"),
        (" postgresql://me:s3cret@host/db", "has no scheme"),
        (":s3cret", "has no scheme"),
        ("host=db dbname=s3cret", "PgStore::connect"),
        ("host=db password=s3cret:more", "PgStore::connect"),
        ("mysql://me:s3cret@host/db", "the unknown scheme \"mysql\""),
        ("me:s3cret@host/db", "the unknown scheme \"me\""),
        (
            "Postgres://me:s3cret@host/db",
            "the unknown scheme \"Postgres\"",
        ),
        ("postgres:me:s3cret@host", "no \"//\" after \"postgres:\""),
        ("postgresql:/s3cret", "no \"//\" after \"postgresql:\""),
        ("mock:s3cret", "goes on after \"mock:\""),
        ("mock://", "goes on after \"mock:\""),
        ("mock", "has no scheme"),
    ] {
        for result in opened(dsn) {
            assert_refused(result, named);
        }
        for result in opened(dsn) {
            assert_refused(
                result,
                "write postgresql://…, sqlite://path, sqlite::memory: or mock:",
            );
        }
    }
}

#[test]
fn the_feature_that_is_off_is_named() {
    assert_refused(Err(off("sqlite", "sqlite")), "its feature \"sqlite\"");
    for (dsn, is_on, feature) in [
        (
            "postgres://me:s3cret@host/db",
            cfg!(feature = "postgres"),
            "postgres",
        ),
        (
            "postgresql://me:s3cret@host/db",
            cfg!(feature = "postgres"),
            "postgres",
        ),
        ("sqlite://s3cret.db", cfg!(feature = "sqlite"), "sqlite"),
        ("sqlite::memory:", cfg!(feature = "sqlite"), "sqlite"),
    ] {
        if is_on {
            assert!(Scheme::of(dsn).is_ok());
        } else {
            for result in opened(dsn) {
                assert_refused(result, &format!("without its feature \"{feature}\""));
            }
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;

    /// Nobody listens there: that it was tried shows which store it is.
    #[test]
    fn both_schemes_are_postgresql() {
        for scheme in ["postgres", "postgresql"] {
            let dsn = format!("{scheme}://me:s3cret@127.0.0.1:1/db?connect_timeout=1");
            assert_eq!(Scheme::of(&dsn).unwrap(), Scheme::Postgres);
            let vars = [("PGQRS_DSN", &*dsn), ("PGQRS_CONNECTION_TIMEOUT", "10ms")];
            let error = from_vars(&Vars::from(vars)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
        for result in opened("postgresql://me:s3cret@host:port/db") {
            assert_refused(result, "the DSN does not parse");
        }
        for result in opened("postgresql://me:p@s3cret@host/db?s3cret=1") {
            assert_refused(result, "there is more than one \"@\" in it");
        }
    }

    #[test]
    fn its_settings_come_from_the_environment() {
        let vars = [
            ("PGQRS_DSN", "postgres://me:s3cret@127.0.0.1:1/db"),
            ("PGQRS_POOL_SIZE", "0"),
        ];
        assert_refused(from_vars(&Vars::from(vars)), "pool_size is 0");
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::*;

    #[test]
    fn a_path_is_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("q%20 #1.db");
        let dsn = format!("sqlite://{}", path.display());
        let [first, second] = opened(&dsn).map(Result::unwrap);
        assert!(path.is_file());
        first.create_queue("tasks").unwrap();
        assert_eq!(second.queues().unwrap().len(), 1);
        assert!(format!("{first:?}").starts_with("SqliteStore"), "{first:?}");
    }

    #[test]
    fn memory_is_a_new_store() {
        for store in opened("sqlite::memory:") {
            let store = store.unwrap();
            assert!(format!("{store:?}").starts_with("SqliteStore"), "{store:?}");
            assert!(store.queues().unwrap().is_empty());
            store.create_queue("tasks").unwrap();
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for (dsn, named) in [
            ("sqlite:q.db", "no \"//\" after \"sqlite:\""),
            ("sqlite:", "no \"//\" after \"sqlite:\""),
            ("sqlite://", "names no file"),
            ("sqlite://:memory:", "sqlite::memory:"),
            ("sqlite://q.db?key=s3cret", "parameters are not supported"),
            (
                "sqlite://me:s3cret@host/db",
                "as if there were user and password",
            ),
            (
                "sqlite:///me:s3/cret@host/db",
                "as if there were user and password",
            ),
            (
                "sqlite://postgres://me:s3cret@host/db",
                "as if there were user and password",
            ),
            (
                "sqlite://postgres://s3cret/db",
                "the path has \"://\" in it",
            ),
            ("sqlite:///nowhere/at/all/q.db", "there is no directory"),
        ] {
            for result in opened(dsn) {
                assert_refused(result, named);
            }
        }
    }

    #[test]
    fn its_settings_come_from_the_environment() {
        let vars = [
            ("PGQRS_DSN", "sqlite::memory:"),
            ("PGQRS_BATCH", "7"),
            ("PGQRS_BUSY_TIMEOUT", "0s"),
        ];
        assert_refused(from_vars(&Vars::from(vars)), "busy_timeout is zero");
        let vars = Vars::from([("PGQRS_DSN", "sqlite::memory:"), ("PGQRS_BATCH", "7")]);
        assert_eq!(from_vars(&vars).unwrap().settings().batch, 7);
    }
}
