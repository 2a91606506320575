//! What all crates log in this process, while one test listens.

use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Metadata, Record};

/// What is listened for, and what was heard.
struct Heard {
    /// Texts that nothing should have in it.
    secrets: Vec<String>,
    leaks: Vec<String>,
    /// Targets, parts of what they should log, and whether they did. All else is forgotten: other
    /// tests make the log long.
    expected: Vec<(&'static str, &'static str, bool)>,
}

struct Logger(Mutex<Option<Heard>>);

static LOGGER: Logger = Logger(Mutex::new(None));

impl log::Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let (target, text) = (record.target(), record.args().to_string());
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(heard) = &mut *heard else { return };
        if heard.secrets.iter().any(|secret| text.contains(secret)) {
            heard.leaks.push(format!("{target}: {text}"));
        }
        for (by, said, is_said) in &mut heard.expected {
            *is_said |= *by == target && text.contains(*said);
        }
    }

    fn flush(&self) {}
}

/// Listens until it is dropped. One at a time.
pub(crate) struct Log;

impl Log {
    /// For texts that nothing should have in it, and for what targets should log.
    pub(crate) fn listen(secrets: &[&str], expected: &[(&'static str, &'static str)]) -> Self {
        let heard = Heard {
            secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
            leaks: Vec::new(),
            expected: expected
                .iter()
                .map(|(by, said)| (*by, *said, false))
                .collect(),
        };
        *LOGGER.0.lock().unwrap() = Some(heard);
        let _ = log::set_logger(&LOGGER); // fails the second time
        log::set_max_level(LevelFilter::Debug);
        Self
    }

    /// What should have been logged and was not.
    pub(crate) fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let heard = LOGGER.0.lock().unwrap();
        let expected = heard.iter().flat_map(|heard| &heard.expected);
        let missing = expected.filter(|(_, _, is_said)| !is_said);
        missing.map(|(by, said, _)| (*by, *said)).collect()
    }

    /// What was logged with a secret in it.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let heard = LOGGER.0.lock().unwrap();
        let leaks = heard.iter().flat_map(|heard| &heard.leaks);
        leaks.cloned().collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        log::set_max_level(LevelFilter::Off);
        *LOGGER.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
