//! Writing a ledger.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::chaos::line::Line;

/// A ledger: a file that outlives this process, however that ends. Each entry is one write of whole
/// lines, so that a SIGKILL leaves it written or not.
#[derive(Clone, Debug)]
pub(crate) struct Book(Arc<Mutex<File>>);

impl Book {
    pub(crate) fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self(Arc::new(Mutex::new(file.unwrap())))
    }

    pub(crate) fn write(&self, lines: impl IntoIterator<Item = Line>) {
        let text: String = lines.into_iter().map(|line| format!("{line}\n")).collect();
        let mut file = self.0.lock().unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}
