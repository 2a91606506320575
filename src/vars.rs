//! Settings from the environment: the variables `PGQRS_…`.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::settings::Settings;

const PREFIX: &str = "PGQRS_";

/// The variables as they were when this was made. It cannot be printed: there may be a
/// password in them.
pub(crate) struct Vars(BTreeMap<String, OsString>);

impl Vars {
    /// Those of this process.
    pub(crate) fn of_the_process() -> Self {
        let named =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self(named.filter(|(name, _)| name.starts_with(PREFIX)).collect())
    }

    /// A variable's value, if it is set.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.0.get(name).map(|value| value.to_str()) {
            Some(None) => Err(Error::invalid(format!("{name} is not valid Unicode"))),
            value => Ok(value.flatten()),
        }
    }

    /// What a variable's value stands for, if it is set.
    pub(crate) fn parsed<T, E: Display>(
        &self,
        name: &str,
        wanted: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>> {
        let Some(value) = self.text(name)? else {
            return Ok(None);
        };
        match parse(value) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(why) => Err(Error::invalid(format!(
                "{name} is {value:?}, which is not {wanted}: {why}"
            ))),
        }
    }

    pub(crate) fn span(&self, name: &str) -> Result<Option<Duration>> {
        let wanted = "a span of time like 250ms or 1m 30s";
        self.parsed(name, wanted, humantime::parse_duration)
    }

    pub(crate) fn number<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>> {
        self.parsed(name, "a whole number", T::from_str)
    }

    /// Sets what every store has.
    pub(crate) fn set(&self, settings: &mut Settings) -> Result<()> {
        set(&mut settings.lock_time, self.span("PGQRS_LOCK_TIME")?);
        set(&mut settings.batch, self.number("PGQRS_BATCH")?);
        set(
            &mut settings.poll_interval,
            self.span("PGQRS_POLL_INTERVAL")?,
        );
        set(
            &mut settings.payload_limit,
            self.number("PGQRS_PAYLOAD_LIMIT")?,
        );
        set(
            &mut settings.key_retention,
            self.span("PGQRS_KEY_RETENTION")?,
        );
        Ok(())
    }
}

/// Leaves a setting as it is if its variable is not set.
pub(crate) fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Vars {
    fn from(vars: [(&str, &str); N]) -> Self {
        Self::from(&vars[..])
    }
}

#[cfg(test)]
impl From<&[(&str, &str)]> for Vars {
    fn from(vars: &[(&str, &str)]) -> Self {
        let owned = vars
            .iter()
            .map(|(name, value)| (name.to_string(), value.into()));
        Self(owned.collect())
    }
}

#[cfg(fuzzing)]
impl FromIterator<(String, OsString)> for Vars {
    fn from_iter<I: IntoIterator<Item = (String, OsString)>>(vars: I) -> Self {
        Self(vars.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn what_is_set_is_read_and_the_rest_left_as_it_is() {
        let mut settings = Settings::default();
        Vars::from([]).set(&mut settings).unwrap();
        assert_eq!(settings, Settings::default());
        let vars = Vars::from([("PGQRS_BATCH", "7"), ("PGQRS_POLL_INTERVAL", "2s")]);
        vars.set(&mut settings).unwrap();
        let expected = Settings {
            batch: 7,
            poll_interval: Duration::from_secs(2),
            ..Settings::default()
        };
        assert_eq!(settings, expected);
        let vars = Vars::from([
            ("PGQRS_LOCK_TIME", "1m 30s"),
            ("PGQRS_PAYLOAD_LIMIT", "9"),
            ("PGQRS_KEY_RETENTION", "2h"),
        ]);
        vars.set(&mut settings).unwrap();
        let expected = Settings {
            lock_time: Duration::from_secs(90),
            payload_limit: 9,
            key_retention: Duration::from_secs(7_200),
            ..expected
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn what_does_not_parse_is_named() {
        for (name, value, wanted) in [
            ("PGQRS_LOCK_TIME", "", "a span of time"),
            ("PGQRS_BATCH", "1e3", "a whole number"),
            ("PGQRS_POLL_INTERVAL", "5 parsecs", "a span of time"),
            ("PGQRS_PAYLOAD_LIMIT", "-1", "a whole number"),
            ("PGQRS_KEY_RETENTION", "a day", "a span of time"),
        ] {
            let vars = Vars::from([(name, value)]);
            let error = vars.set(&mut Settings::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let expected = format!("{name} is {value:?}, which is not {wanted}");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_unicode_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let value = OsString::from_vec(vec![0xff]);
        let vars = Vars(BTreeMap::from([("PGQRS_BATCH".to_owned(), value)]));
        let error = vars.set(&mut Settings::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "PGQRS_BATCH is not valid Unicode");
    }
}
