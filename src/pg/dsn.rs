//! Reading a DSN, and saying what is wrong with it without repeating any of it: what follows a
//! character that should have been written otherwise may well be the password.

use std::error::Error as _;
use std::str::FromStr;

use postgres::Config;

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

pub(super) fn parse(dsn: &str) -> Result<Config> {
    // No source: it has the bit that was not understood.
    let refused = |why: &str| Err(Error::invalid(format!("the DSN does not parse: {why}")));
    let at = "write %40 for an \"@\" in a name or a password";
    let url = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|prefix| dsn.strip_prefix(prefix));
    if let Some((credentials, rest)) = url.and_then(|url| url.split_once('@')) {
        // Else a part of the password would be taken for a name, to be told to a stranger and
        // in every error.
        if credentials.contains("password=") {
            return refused(&format!("there is an \"@\" in its parameters; {at}"));
        }
        let place = rest.split('?').next().unwrap_or_default();
        if place.contains('@') {
            return refused(&format!("there is more than one \"@\" in it; {at}"));
        }
    }
    let config = Config::from_str(dsn).or_else(|error| {
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
    Ok(config)
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

#[cfg(test)]
mod tests;
