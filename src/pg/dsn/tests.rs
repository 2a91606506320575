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
        ("postgres://me:s3%2Fcr%3Fet@host/db", "s3/cr?et"),
        ("postgres://me%40x:s3#cret@host/db", "s3#cret"),
        ("postgres://me:s3:cret@host", "s3:cret"),
        ("postgres://me@host/db?password=s3@cret", "s3@cret"),
        ("postgres://host/db?user=me&password=s3%40cret", "s3@cret"),
        ("postgres://h/db?user=me%40x&password=s3cret", "s3cret"),
        ("host=db password=s3@cret", "s3@cret"),
        ("host=db password=pwd=s3@cret user=me@x", "pwd=s3@cret"),
        ("host=db user='' password=s3cret", "s3cret"),
        ("host=db password='s3 \\' @cret' user=me", "s3 ' @cret"),
        (
            "host=db options='-c app.password=x' password=s3cret",
            "s3cret",
        ),
        (
            "host=db application_name=bypass=1 password=s3cret",
            "s3cret",
        ),
    ] {
        assert_eq!(password(dsn), expected, "{dsn}");
    }
    let config = parse("postgresql:///db?host=/run/postgresql").unwrap();
    assert_eq!(config.get_dbname(), Some("db"));
}

#[test]
fn what_is_wrong_is_said_and_nothing_repeated() {
    let form = "it is neither a URL";
    let ats = "there is more than one \"@\" in it; in a name or a password, write %40";
    let late =
        "there is a \"/\" or a \"?\" before the \"@\" in it; in a name or a password, write %40";
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
        // Of what the driver would take for the end of a password, and is not.
        ("postgres://me:s3/cr?et@host/db", late),
        ("postgres://host/db?user=me&password=s3@cret", late),
        ("postgres://host?password=s3cret@x", late),
        ("postgresql://h/db?user=me@x&password=s3cret", late),
        ("postgresql://h/db?user=me@x/y&password=s3cret", late),
        ("postgresql://h?user=me@x&password=s3cret", late),
        ("postgresql://h:5432/db?user=me@x&password=s3cret", late),
        ("postgresql://[::1]:5432/db?user=me@x&password=s3cret", late),
        ("postgresql://h,i:1/db?user=me@x&p%61ssword=s3cret", late),
        ("postgresql://h/db?user=me@x?user=me&password=s3cret", late),
        ("postgresql:///db?host=h&user=me@x@y&password=s3cret", late),
        ("postgresql://h:5432/d@b?user=me&password=s3cret", late),
        ("postgresql://h/db#me@x?user=me&password=s3cret", late),
        ("postgresql://me:s3cret@h1,me:s3cret@h2/db", ats),
        ("postgresql://me:s3cret@h/d@b", ats),
    ] {
        let text = refusal(dsn);
        assert!(text.starts_with(said), "{dsn}: {text}");
    }
}

/// What the driver takes for a host or a name, and has a password in it.
#[test]
fn a_password_that_is_part_of_a_name_is_refused() {
    for (dsn, what, option) in [
        // An empty value is none.
        ("host=h user= password=s3cret", "password=", "user"),
        ("host=h dbname= password=s3cret", "password=", "dbname"),
        ("user=me host= password=s3cret", "password=", "host"),
        ("host=h options= password=s3cret", "password=", "options"),
        (
            "host=h application_name= password=s3cret",
            "password=",
            "application_name",
        ),
        // As others separate options.
        ("host=/x:password=s3cret user=me", "password=", "host"),
        ("host=h user= pass=s3cret", "pass=", "user"),
        ("host=h dbname=app;pass=s3cret", "pass=", "dbname"),
        (
            "host=h options='-c a=b password=s3cret'",
            "password=",
            "options",
        ),
        ("host=h;user=me;password=s3cret", "password=", "host"),
        ("host=h;user=me;Pwd=s3cret", "pwd=", "host"),
        ("host=h,user=me,pass=s3cret", "=", "host"),
        ("host=h user=me;Password=s3cret", "password=", "user"),
        ("host=/run/x;password=s3cret user=me", "password=", "host"),
        ("host='h password=s3cret' user=me", "password=", "host"),
        ("postgresql://h/db?user=me;passwd=s3cret", "passwd=", "user"),
        (
            "postgresql://h/db?user=me%26password=s3cret",
            "password=",
            "user",
        ),
        ("postgresql://h/db&password=s3cret", "password=", "dbname"),
        (
            "postgresql://h&user=me&password=s3cret",
            "password=",
            "host",
        ),
        (
            "postgresql://h/db?user=me&dbname=x password=s3cret",
            "password=",
            "dbname",
        ),
        // One DSN in another.
        ("host=postgresql://me:s3cret@h/db", "://", "host"),
        ("host=h dbname=postgresql://me:s3cret@h/db", "://", "dbname"),
        ("host=me:s3cret@h", "@", "host"),
    ] {
        let error = parse(dsn).expect_err(dsn);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        let said = format!("the DSN has \"{what}\" in its {option}; write ");
        assert!(error.to_string().starts_with(&said), "{dsn}: {error}");
    }
    // Strange, but nobody's password.
    for dsn in [
        "host=h dbname=a=b user=me@x application_name=https://x.example/y",
        "postgresql://h/a&b;c?user=me=x",
        "host=/run/a=b@c dbname=d@b",
    ] {
        parse(dsn).expect(dsn);
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
