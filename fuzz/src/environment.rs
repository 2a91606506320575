//! The variables `PGQRS_…`: one in a line, `NAME=value`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use pgqrs::fuzzing::{self, Parsed};
use pgqrs::{ErrorKind, MAX_SPAN, Settings, span_micros};

use crate::dsn::{SECRET, check_sent, has_password};
use crate::{planted, told};

/// A setting that is taken is what its variable says, and in its range; one that is not set is the
/// default; and what is refused is told, but for the password.
pub fn environment(data: &[u8]) {
    let vars = Vars::of(data);
    match fuzzing::environment(vars.0.clone()) {
        Ok(parsed) => vars.check(parsed),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let told = told(&error);
            let others = |(name, value): (&String, &OsString)| {
                name != "PGQRS_DSN" && value.to_string_lossy().contains(SECRET)
            };
            if has_password(vars.text("DSN").unwrap_or_default()) && !vars.0.iter().any(others) {
                assert!(!told.contains(SECRET), "{told}");
            }
        }
    }
}

struct Vars(BTreeMap<String, OsString>);

impl Vars {
    fn of(data: &[u8]) -> Self {
        let lines = data.split(|byte| *byte == b'\n');
        let named = lines.filter_map(|line| {
            let equals = line.iter().position(|byte| *byte == b'=')?;
            let name = String::from_utf8(line[..equals].to_vec()).ok()?;
            Some((name, OsString::from_vec(line[equals + 1..].to_vec())))
        });
        Self(named.collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(&format!("PGQRS_{name}"))?.to_str()
    }

    fn check(&self, parsed: Parsed) {
        match parsed {
            Parsed::Postgres {
                config,
                schema,
                mut pool_size,
                connection_timeout,
                statement_timeout,
                prepared_statements,
                settings,
                on_connect,
            } => {
                if planted() && pool_size > 999 {
                    pool_size = 0;
                }
                self.number("POOL_SIZE", u128::from(pool_size), 16, i32::MAX as u128);
                self.span("CONNECTION_TIMEOUT", connection_timeout, 30_000);
                match statement_timeout {
                    None => assert_eq!(self.text("STATEMENT_TIMEOUT"), None),
                    Some(span) => self.span("STATEMENT_TIMEOUT", span, 0),
                }
                let has_timeout = on_connect.contains("statement_timeout");
                assert_eq!(has_timeout, statement_timeout.is_some());
                if let Some((_, millis)) = on_connect.split_once("statement_timeout = ") {
                    let millis: i32 = millis.trim_end_matches(';').parse().unwrap();
                    assert!(millis > 0); // 0 would be "never"
                }
                assert_eq!(
                    prepared_statements,
                    self.text("PREPARED_STATEMENTS").unwrap_or("true") == "true"
                );
                assert_eq!(schema, self.text("SCHEMA").unwrap_or("public"));
                check_schema(&schema);
                check_sent(self.text("DSN").unwrap_or_default(), &config);
                if let Some(timeout) = config.get_connect_timeout() {
                    assert!(!timeout.is_zero());
                }
                self.settings(&settings);
            }
            Parsed::Sqlite {
                busy_timeout,
                settings,
                ..
            } => {
                let (least, most) = (Duration::from_millis(1), Duration::from_secs(24 * 86_400));
                assert!((least..=most).contains(&busy_timeout), "{busy_timeout:?}");
                match self.text("BUSY_TIMEOUT") {
                    None => assert_eq!(busy_timeout, Duration::from_secs(30)),
                    Some(text) => {
                        let expected = humantime::parse_duration(text).unwrap();
                        assert_eq!(busy_timeout, expected.clamp(least, most));
                    }
                }
                let durability = self.text("DURABILITY").unwrap_or("full");
                assert!(["full", "normal"].contains(&durability));
                self.settings(&settings);
            }
            Parsed::Mock { settings } => self.settings(&settings),
        }
    }

    fn settings(&self, settings: &Settings) {
        settings.check().unwrap();
        self.span("LOCK_TIME", settings.lock_time, 5_000);
        self.number("BATCH", settings.batch as u128, 100, i32::MAX as u128);
        self.span("POLL_INTERVAL", settings.poll_interval, 250);
        let limit = settings.payload_limit as u128;
        self.number("PAYLOAD_LIMIT", limit, 1 << 20, usize::MAX as u128);
        self.span("KEY_RETENTION", settings.key_retention, 86_400_000);
    }

    fn number(&self, name: &str, value: u128, default: u128, most: u128) {
        assert!((1..=most).contains(&value), "{name} is {value}");
        match self.text(name) {
            None => assert_eq!(value, default, "{name}"),
            Some(text) => {
                let digits = text.strip_prefix('+').unwrap_or(text);
                assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{text:?}");
                let digits = digits.trim_start_matches('0');
                assert_eq!(value.to_string(), digits, "{name}");
            }
        }
    }

    fn span(&self, name: &str, value: Duration, default_millis: u64) {
        assert!(!value.is_zero(), "{name} is zero");
        match self.text(name) {
            None => assert_eq!(value, Duration::from_millis(default_millis), "{name}"),
            Some(text) => {
                if let Some(expected) = simple_span(text) {
                    assert_eq!(value.as_nanos(), expected, "{name}={text}");
                }
            }
        }
        // Written down and read again, it is the same.
        let written = humantime::format_duration(value).to_string();
        assert_eq!(humantime::parse_duration(&written).unwrap(), value);
        check_micros(value);
    }
}

/// Nanoseconds of a text like 250ms: one number, one unit. `None`: another text.
fn simple_span(text: &str) -> Option<u128> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u128 = text[..text.len() - unit.len()].parse().ok()?;
    let nanos = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    Some(number * nanos)
}

/// As stores count: rounded up to whole microseconds, and cut.
fn check_micros(span: Duration) {
    let micros = span_micros(span);
    assert!(micros > 0, "{span:?}");
    let back = Duration::from_micros(micros as u64);
    assert!(back <= MAX_SPAN);
    let cut = span.min(MAX_SPAN);
    assert!(back >= cut && back - cut < Duration::from_micros(1));
}

/// It is one identifier in a statement, whatever it is.
fn check_schema(schema: &str) {
    assert!((1..=63).contains(&schema.len()) && !schema.contains('\0'));
    let quoted = fuzzing::quoted(schema);
    let inner = quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let inner = inner.expect("quotes around it");
    assert!(!inner.replace("\"\"", "").contains('"'));
    assert_eq!(inner.replace("\"\"", "\""), schema);
}
