use super::*;
use crate::error::ErrorKind;

#[track_caller]
fn refusal(dsn: &str) -> String {
    let error = parse(dsn).expect_err("this should have been refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    let text = error.to_string();
    let said = text.strip_prefix("the DSN does not parse: ");
    said.expect("how such a text begins").to_owned()
}

/// The password as it would be sent.
#[track_caller]
fn password(dsn: &str) -> String {
    let config = parse(dsn).unwrap();
    let password = config.get_password().expect("a password");
    String::from_utf8(password.to_vec()).unwrap()
}

#[test]
fn what_parses_is_left_to_the_driver() {
    for (dsn, expected) in [
        ("postgresql://me:s3cret@host/db", "s3cret"),
        (
            "postgres://me:s3cret@host:1234/db?sslmode=disable",
            "s3cret",
        ),
        ("postgres://me:s%403cret@host/db", "s@3cret"),
        ("postgres://me:s3/cr?et@host/db", "s3/cr?et"),
        ("postgres://me:s3:cret@host", "s3:cret"),
        ("postgres://me@host/db?password=s3@cret", "s3@cret"),
        ("postgres://host/db?user=me&password=s3%40cret", "s3@cret"),
        ("host=db password=s3@cret", "s3@cret"),
        ("host=db password='s3 \\' @cret' user=me", "s3 ' @cret"),
    ] {
        assert_eq!(password(dsn), expected, "{dsn}");
    }
    let config = parse("postgresql:///db?host=/run/postgresql").unwrap();
    assert_eq!(config.get_dbname(), Some("db"));
}

#[test]
fn what_is_wrong_is_said_and_nothing_repeated() {
    let form = "it is neither a URL";
    let ats = "there is more than one \"@\" in it; write %40";
    for (dsn, said) in [
        // Of options whose names are known.
        (
            "postgres://me:s3cret@host:port/db",
            "invalid value for option `port`",
        ),
        ("postgres://me:s3cret", "invalid value for option `port`"),
        (
            "postgres://me:s3cret@[host/db",
            "invalid value for option `host`",
        ),
        (
            "postgres://me:s3cret@h/db?sslmode=s3cret",
            "invalid value for option `sslmode`",
        ),
        (
            "host=db sslmode=s3cret",
            "invalid value for option `sslmode`",
        ),
        (
            "postgres://me:s3cret@h/db?sslrootcert=s3cret",
            "the option `sslrootcert` is not supported",
        ),
        // Of what may be anything.
        (
            "postgres://me:s3cret@h/db?s3cret=1",
            "there is an unknown option in it",
        ),
        (
            "host=db password=my s3cret=1",
            "there is an unknown option in it",
        ),
        (
            "sqlite://me:s3cret@host/db?key=s3cret",
            "there is an unknown option in it",
        ),
        ("mysql://me:s3cret@host/db", form),
        ("postgres://me:s3cret@host/db?s3cret", form),
        ("postgres://s3cret%ff:s3cret@host/db", form),
        ("postgres://me:s3cret@host/db%ff", form),
        ("host=db password=my s3cret", form),
        ("host=db password='s3cret", form),
        ("host=db password='it''s3cret'", form),
        ("s3cret", form),
        // Of passwords that were not encoded.
        ("postgres://me:p@s3cret@host/db", ats),
        ("postgres://me:p@s3cret/@host/db", ats),
        ("postgres://me:p@x/s3cret@host/db?sslmode=disable", ats),
        ("postgres://me:p@x?s3cret@host/db", form),
        (
            "postgres://host/db?user=me&password=s3@cret",
            "there is an \"@\" in its parameters",
        ),
        (
            "postgres://host?password=s3cret@x",
            "there is an \"@\" in its parameters",
        ),
    ] {
        let text = refusal(dsn);
        assert!(text.starts_with(said), "{dsn}: {text}");
    }
}

/// What the driver says is read: here is how it is said.
#[test]
fn the_drivers_words_are_known() {
    for (dsn, begins) in [("port=x", INVALID_VALUE), ("sslkey=x", UNKNOWN_OPTION)] {
        let error = Config::from_str(dsn).unwrap_err();
        let said = error.source().unwrap().to_string();
        assert!(said.starts_with(begins) && said.ends_with('`'), "{said}");
    }
}
