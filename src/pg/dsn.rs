//! Reading a DSN, and saying what is wrong with it without repeating any of it: what follows a
//! character that should have been written otherwise may well be the password.

use std::borrow::Cow;
use std::error::Error as _;
use std::str::FromStr;

use postgres::Config;
use postgres::config::Host;

use crate::error::{Error, Result};

/// What libpq takes and the `postgres` crate does not: names that may be repeated.
const UNSUPPORTED: [&str; 15] = [
    "client_encoding",
    "fallback_application_name",
    "gssencmode",
    "krbsrvname",
    "passfile",
    "replication",
    "requirepeer",
    "requiressl",
    "service",
    "sslcert",
    "sslcompression",
    "sslcrl",
    "sslkey",
    "sslpassword",
    "sslrootcert",
];

/// How errors of `postgres` begin, and the rest of the two.
const INVALID_VALUE: &str = "invalid value for option `";
const UNKNOWN_OPTION: &str = "unknown option `";

/// How a password begins that has become a part of something else.
const PASSWORDS: [&str; 4] = ["password=", "passwd=", "pwd=", "pass="];

/// What may be meant to end an option's value.
const SEPARATORS: [char; 6] = [' ', ',', ';', '&', '?', '/'];

pub(super) fn parse(dsn: &str) -> Result<Config> {
    check_ats(dsn)?;
    let config = Config::from_str(dsn).map_err(|error| {
        let said = error.source().map(ToString::to_string).unwrap_or_default();
        let option = said.strip_prefix(UNKNOWN_OPTION);
        let option = option.and_then(|rest| rest.strip_suffix('`'));
        match option {
            _ if said.starts_with(INVALID_VALUE) => refused(&said),
            Some(name) if UNSUPPORTED.contains(&name) => {
                refused(&format!("the option `{name}` is not supported"))
            }
            Some(_) => refused("there is an unknown option in it"),
            None => refused(
                "it is neither a URL, postgresql://user:password@host/database?option=value, nor \
                 a text like \"host=db dbname=app\"",
            ),
        }
    })?;
    check_address(&config, dsn)?;
    check_names(&config)?;
    Ok(config)
}

/// Without a source: that has the bit that was not understood.
fn refused(why: &str) -> Error {
    Error::invalid(format!("the DSN does not parse: {why}"))
}

/// Refuses a URL that the driver would cut elsewhere than is meant: what is before its first "@" is
/// a name and a password to the driver, even if that "@" is in a parameter. Then a part of the
/// password would be taken for a host, and strangers asked for it, or for a database, whose name
/// the server repeats.
fn check_ats(dsn: &str) -> Result<()> {
    let mut prefixes = ["postgres://", "postgresql://"].iter();
    let url = prefixes.find_map(|prefix| dsn.strip_prefix(prefix));
    let Some(url) = url.filter(|url| url.contains('@')) else {
        return Ok(());
    };
    let place = url.split('?').next().unwrap_or_default();
    let servers = place.split('/').next().unwrap_or_default();
    let why = if !servers.contains('@') {
        "there is a \"/\" or a \"?\" before the \"@\" in it"
    } else if place.matches('@').count() > 1 {
        "there is more than one \"@\" in it"
    } else {
        return Ok(());
    };
    Err(refused(&format!(
        "{why}; in a name or a password, write %40 for \"@\", %2F for \"/\", %3F for \"?\""
    )))
}

/// Refuses what the driver refuses only when it connects: there it would seem to be the network's
/// fault, which waiting may mend.
fn check_address(config: &Config, dsn: &str) -> Result<()> {
    let (hosts, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
    let (servers, ports) = (hosts.max(addresses), config.get_ports().len());
    // No text of the protocol can have it, nor a host's name or a path.
    let has_nul = dsn.contains('\0') || (dsn.starts_with("postgres") && dsn.contains("%00"));
    let why = if has_nul {
        "has the character U+0000 in it".to_owned()
    } else if servers == 0 {
        "names no host".to_owned()
    } else if hosts.min(addresses) > 0 && hosts != addresses {
        format!("has {hosts} of host and {addresses} of hostaddr")
    } else if ports > 1 && ports != servers {
        format!("has {servers} hosts and {ports} ports")
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("the DSN {why}")))
}

/// Refuses a password that has become a part of what everybody may see: in `user= password=x` the
/// driver takes `password=x` for the user, in `host=db;password=x` all of it for the host.
fn check_names(config: &Config) -> Result<()> {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => Cow::from(name),
        #[cfg(unix)]
        Host::Unix(path) => path.to_string_lossy(),
    });
    let others = [
        ("user", config.get_user()),
        ("dbname", config.get_dbname()),
        ("options", config.get_options()),
        ("application_name", config.get_application_name()),
    ];
    let others = others.map(|(option, text)| (option, Cow::from(text.unwrap_or_default())));
    let mut texts = hosts.map(|host| ("host", host)).chain(others);
    let found = texts.find_map(|(option, text)| Some((option, foreign(option, &text)?)));
    found.map_or(Ok(()), |(option, what)| {
        Err(Error::invalid(format!(
            "the DSN has \"{what}\" in its {option}; write '' for an empty value, and nothing but \
             spaces between options, or nothing but \"&\" in a URL"
        )))
    })
}

/// What shows that there is more in an option's value than should be.
fn foreign(option: &str, text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    // These two may have it in them and mean something else: `app.password=x`.
    let is_free = ["options", "application_name"].contains(&option);
    let begins = |name: &str| lower.split(SEPARATORS).any(|part| part.starts_with(name));
    let mut names = PASSWORDS.into_iter();
    if let Some(name) = names.find(|name| match is_free {
        true => begins(name),
        false => lower.contains(*name),
    }) {
        return Some(name);
    }
    let url = text.split_once("://");
    if url.is_some_and(|(_, rest)| rest.contains('@')) {
        return Some("://");
    }
    // No server's name has one of these in it. A path may.
    let is_server = option == "host" && !text.starts_with('/');
    let mut marks = ["=", "@"].into_iter();
    marks.find(|mark| is_server && text.contains(mark))
}

#[cfg(test)]
mod tests;
