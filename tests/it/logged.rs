//! What all crates log in this process, while one test listens.

use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Metadata, Record};

/// The words that are listened for, and what was heard.
#[derive(Default)]
struct Heard {
    words: Vec<String>,
    /// Targets and texts, without what varies: each once.
    kinds: Vec<(String, String)>,
    leaks: Vec<String>,
}

struct Logger(Mutex<Option<Heard>>);

static LOGGER: Logger = Logger(Mutex::new(None));

impl log::Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let text = record.args().to_string();
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(heard) = &mut *heard else { return };
        if heard.words.iter().any(|word| text.contains(word)) {
            heard.leaks.push(format!("{}: {text}", record.target()));
        }
        // Other tests make the log long.
        if heard.kinds.len() < 10_000 {
            heard.kinds.push((record.target().to_owned(), text));
        }
    }

    fn flush(&self) {}
}

/// Listens until it is dropped. One at a time.
pub(crate) struct Log;

impl Log {
    pub(crate) fn listen(words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let heard = Heard {
            words,
            ..Heard::default()
        };
        *LOGGER.0.lock().unwrap() = Some(heard);
        let _ = log::set_logger(&LOGGER); // fails the second time
        log::set_max_level(LevelFilter::Debug);
        Self
    }

    /// Whether something like this was logged.
    pub(crate) fn has(&self, target: &str, said: &str) -> bool {
        let heard = LOGGER.0.lock().unwrap();
        let mut kinds = heard.iter().flat_map(|heard| &heard.kinds);
        kinds.any(|(by, text)| by == target && text.contains(said))
    }

    /// What was logged with one of the words in it.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let heard = LOGGER.0.lock().unwrap();
        heard
            .as_ref()
            .map_or_else(Vec::new, |heard| heard.leaks.clone())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        log::set_max_level(LevelFilter::Off);
        *LOGGER.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
