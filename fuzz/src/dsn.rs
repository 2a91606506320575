//! DSNs, of every store.

use std::os::unix::ffi::OsStrExt;

use pgqrs::fuzzing::{self, Parsed};
use pgqrs::postgres::Config;
use pgqrs::postgres::config::Host;
use pgqrs::{ErrorKind, Result, Settings};

use crate::{planted, told};

/// The password, where the text has one.
pub(crate) const SECRET: &str = "s3cret";

/// A DSN names the store that its scheme says, and nobody is told the password.
pub fn dsn(data: &[u8]) {
    let Ok(dsn) = std::str::from_utf8(data) else {
        return;
    };
    let parsed = fuzzing::dsn(dsn);
    check(dsn, &parsed);
    match (&parsed, dsn.split_once(':')) {
        (Ok(Parsed::Mock { .. }), _) => assert_eq!(dsn, "mock:"),
        (Ok(Parsed::Sqlite { path: None, .. }), _) => assert_eq!(dsn, "sqlite::memory:"),
        (
            Ok(Parsed::Sqlite {
                path: Some(path), ..
            }),
            Some(("sqlite", rest)),
        ) => {
            assert!(path.is_absolute(), "{path:?}");
            let name = rest.strip_prefix("//").expect("// after the scheme");
            assert!(!name.is_empty() && name != ":memory:" && !name.contains(['?', '\0']));
        }
        (Ok(Parsed::Postgres { .. }), Some(("postgres" | "postgresql", rest))) => {
            assert!(rest.starts_with("//"));
        }
        (Ok(_), _) => panic!("{dsn:?} is {parsed:?}"),
        (Err(_), _) => assert!(!["mock:", "sqlite::memory:"].contains(&dsn)),
    }
    // PostgreSQL's own builder takes more forms than URLs.
    let by_hand = fuzzing::postgres_dsn(dsn);
    check(dsn, &by_hand);
    if let Ok(Parsed::Postgres { .. }) = parsed {
        assert!(by_hand.is_ok());
    }
}

fn check(dsn: &str, parsed: &Result<Parsed>) {
    match parsed {
        Ok(Parsed::Postgres {
            config, settings, ..
        }) => {
            assert!(config.get_connect_timeout().is_some());
            assert!(config.get_application_name().is_some());
            // What the driver would refuse only later.
            let (hosts, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
            assert!(hosts + addresses > 0);
            assert!(hosts == addresses || hosts * addresses == 0);
            assert!([0, 1, hosts.max(addresses)].contains(&config.get_ports().len()));
            let texts = [
                config.get_user(),
                config.get_dbname(),
                config.get_options(),
                config.get_application_name(),
            ];
            assert!(!texts.into_iter().flatten().any(|text| text.contains('\0')));
            assert!(!config.get_password().unwrap_or_default().contains(&0));
            assert!(!hosts_of(config).any(|host| host.contains(&0)));
            check_sent(dsn, config);
            assert_eq!(*settings, Settings::default());
        }
        Ok(Parsed::Sqlite { settings, .. } | Parsed::Mock { settings }) => {
            assert_eq!(*settings, Settings::default());
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let mut told = told(error);
            if planted() && dsn.contains("%%") {
                told += dsn;
            }
            assert!(!has_password(dsn) || !told.contains(SECRET), "{told}");
        }
    }
}

/// What a DSN has as its password is nothing else to the driver: hosts are looked up, and names are
/// repeated by the server.
pub(crate) fn check_sent(dsn: &str, config: &Config) {
    assert!(
        !is_password(dsn) || !is_in_a_name(config),
        "{dsn:?} is {config:?}"
    );
}

fn is_in_a_name(config: &Config) -> bool {
    let names = [config.get_user(), config.get_dbname()];
    let mut names = names.into_iter().flatten().map(str::as_bytes);
    let has = |name: &[u8]| name.windows(SECRET.len()).any(|it| it == SECRET.as_bytes());
    names.any(has) || hosts_of(config).any(has)
}

fn hosts_of(config: &Config) -> impl Iterator<Item = &[u8]> {
    config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.as_bytes(),
        Host::Unix(path) => path.as_os_str().as_bytes(),
    })
}

/// Whether [`SECRET`] is certain to be part of a password: it follows `password=`, or is in a URL
/// between a colon and an `@`, before any parameters; and it stands nowhere else, not even escaped.
fn is_password(dsn: &str) -> bool {
    let mut parts = dsn.split(SECRET);
    let (Some(before), Some(behind), None) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let mut prefixes = ["postgres://", "postgresql://"].iter();
    let place = prefixes.find_map(|prefix| before.strip_prefix(prefix));
    let place = place.filter(|place| !place.contains('?'));
    let behind = behind.split('?').next().unwrap_or_default();
    let in_url = place.is_some_and(|place| place.contains(':')) && behind.contains('@');
    !dsn.contains(['%', '\\']) && (in_url || before.ends_with("password="))
}

/// Whether [`SECRET`] is, or may be meant as, part of a password, and stands nowhere else.
///
/// Meant: a password with an `@` in it, or a space, is one even if it was not written as it must
/// be. So in a URL it goes from the colon to the last `@`, and behind `password=` to the end.
pub(crate) fn has_password(dsn: &str) -> bool {
    let mut parts = dsn.split(SECRET);
    let (Some(before), Some(behind), None) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    // Files have no passwords, and an error says which file it is about.
    if dsn.starts_with("sqlite:") {
        return false;
    }
    let in_url = before
        .split_once("://")
        .is_some_and(|(_, user)| user.contains(':') && behind.contains('@'));
    in_url || before.contains("password=")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DSNs whose password the driver alone would send as something else.
    const CUT: [&str; 5] = [
        "postgresql://h/db?user=me@x&password=s3cret",
        "postgresql://h/db?user=me@x/y&password=s3cret",
        "postgresql://me:p@s3cret/x@h/db",
        "host=h user= password=s3cret",
        "host=h;user=me;password=s3cret",
    ];

    #[test]
    fn what_the_driver_would_cut_is_refused_and_would_be_found() {
        for dsn in CUT {
            assert!(is_password(dsn) && is_in_a_name(&dsn.parse().unwrap()));
            assert!(fuzzing::postgres_dsn(dsn).is_err(), "{dsn}");
        }
    }
}
