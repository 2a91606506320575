//! Writes the SHA-256 of each file below a folder to quickstart.sha256: one message per file, on
//! four threads. Kill it in the middle and run it again: it goes on with what is left.

use std::io::{IsTerminal, Write, stderr};
use std::{env, error::Error, fs, path::Path, sync::Arc, time::Duration};

use pgqrs::{Context, Failure, Handled, Producer, WorkerPool};
use sha2::{Digest, Sha256};

const SUMS: &str = "quickstart.sha256";

/// Handles one message, a file's path. Errors are retried, but for a file that cannot be read.
fn hash(path: String, _: &Context<'_>) -> Handled {
    let unreadable = |error| Failure::dead_letter(format!("{path}: {error}"));
    let sum = Sha256::digest(fs::read(&path).map_err(unreadable)?);
    let mut sums = fs::File::options().create(true).append(true).open(SUMS)?;
    Ok(sums.write_all(format!("{}  {path}\n", hex::encode(sum)).as_bytes())?)
}

/// The files below a folder, but for our own: SQLite loses its locks if we read and close its.
fn files(folder: &Path, database: &str) -> Vec<String> {
    let own = ["", "-wal", "-shm", "-turn"].map(|end| fs::canonicalize(format!("{database}{end}")));
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).into_iter().flatten() {
        let ours = entry.file_name() == SUMS || own.iter().flatten().any(|own| own == entry.path());
        if entry.file_type().is_file() && !ours {
            files.push(entry.path().to_string_lossy().into_owned());
        }
    }
    files
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).unwrap_or_else(|| "src".to_owned());
    let folder = fs::canonicalize(&folder).map_err(|error| format!("{folder}: {error}"))?;
    let dsn = env::var("PGQRS_DSN").unwrap_or_else(|_| "sqlite://quickstart.db".to_owned());
    let store = pgqrs::connect(&dsn)?;
    store.install()?; // creates the tables, unless they are there
    store.create_queue("quickstart")?;

    if store.counts("quickstart")?.unfinished() == 0 {
        let files = files(&folder, dsn.trim_start_matches("sqlite://"));
        Producer::new(&store, "quickstart")?.batch_enqueue(files)?; // all of them, or none
    } // else go on with those that a killed run left
    let all = store.counts("quickstart")?.unfinished();
    println!("hashing {all} files");
    let pool = WorkerPool::builder(Arc::clone(&store), "quickstart").threads(4);
    let pool = pool.handle(hash).start()?;
    while !pool.stop_handle().wait_timeout(Duration::from_millis(100)) {
        let left = store.counts("quickstart")?.unfinished();
        if stderr().is_terminal() {
            eprint!("\r{} of {all} files", all.saturating_sub(left));
        }
        if left == 0 {
            pool.stop();
        }
    }
    println!("\n{}\nto check the sums: sha256sum -c {SUMS}", pool.join()?);
    Ok(())
}
