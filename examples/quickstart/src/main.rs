//! Writes the SHA-256 of each file below a folder to quickstart.sha256: one message per file, on
//! four threads. Kill it in the middle and run it again: it goes on with what is left.

use pgqrs::{Context, Failure, Handled, Producer, WorkerPool};
use sha2::{Digest, Sha256};
use std::io::{IsTerminal, Write, stderr};
use std::{env, error::Error, fs, path::Path, sync::Arc, time::Duration};
const SUMS: &str = "quickstart.sha256";

/// Handles one message: a file's path. Errors are retried, but for a file that cannot be read.
fn hash(path: String, _: &Context<'_>) -> Handled {
    let content = fs::read(&path).inspect_err(|error| eprintln!("{path}: {error}"));
    let sum = Sha256::digest(content.map_err(Failure::dead_letter)?);
    let mut sums = fs::File::options().create(true).append(true).open(SUMS)?;
    Ok(sums.write_all(format!("{}  {path}\n", hex::encode(sum)).as_bytes())?)
}

/// The files below a folder, except our own: reading SQLite's would make it lose its locks.
fn files(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let dsn = env::var("PGQRS_DSN").unwrap_or_default();
    let db = dsn.strip_prefix("sqlite://").unwrap_or("quickstart.db");
    let own = ["", "-wal", "-shm", "-turn"].map(|end| fs::canonicalize(format!("{db}{end}")).ok());
    let entries: Result<Vec<_>, _> = walkdir::WalkDir::new(folder).into_iter().collect();
    let files = entries?.into_iter().filter(|e| e.file_type().is_file());
    let others = files.filter(|e| e.file_name() != SUMS && !own.contains(&Some(e.path().into())));
    Ok(others.map(|e| e.path().display().to_string()).collect())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).unwrap_or_else(|| "src".into());
    let folder = fs::canonicalize(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let store = match env::var_os("PGQRS_DSN") {
        None => pgqrs::connect("sqlite://quickstart.db")?,
        Some(_) => pgqrs::connect_from_env()?,
    };
    store.install()?; // creates the tables, unless they are there
    store.create_queue("quickstart")?;
    if store.counts("quickstart")?.unfinished() > 0 {
        println!("going on with the files that an earlier run left; run again for others");
    } else {
        fs::write(SUMS, "")?;
        Producer::new(&store, "quickstart")?.batch_enqueue(files(&folder)?)?; // all, or none
    }
    let all = store.counts("quickstart")?.unfinished();
    println!("hashing {all} files");
    let pool = WorkerPool::builder(Arc::clone(&store), "quickstart").threads(4);
    let pool = pool.handle(hash).start()?;
    let mut left = all;
    while left > 0 && !pool.stop_handle().wait_timeout(Duration::from_millis(100)) {
        left = store.counts("quickstart")?.unfinished();
        if stderr().is_terminal() {
            eprint!("\r{} of {all} files ", all.saturating_sub(left));
        }
    }
    println!(
        "\n{}\nto check: sha256sum -c {SUMS}",
        pool.shutdown(Duration::MAX)?
    );
    Ok(())
}
