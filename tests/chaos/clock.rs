//! A client whose clock jumps: the server's decides.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::CLIENT;
use pgqrs_test_support::{Schema, server};
use pgqrs_tests::chaos::child::Role;
use pgqrs_tests::chaos::errand::{ERRANDS, PLAIN};
use pgqrs_tests::chaos::run::Run;

/// The library that answers for the clock, of Debian's package `faketime`.
fn library() -> PathBuf {
    let places = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/opt/homebrew/lib",
    ];
    let dirs = places.iter().map(PathBuf::from).chain(
        fs::read_dir("/usr/lib")
            .into_iter()
            .flatten()
            .map_while(Result::ok)
            .map(|entry| entry.path()),
    );
    let names = dirs.map(|dir| dir.join("faketime/libfaketimeMT.so.1"));
    let mut found = names.filter(|path| path.is_file());
    found.next().expect(
        "this test needs libfaketime (Debian: apt-get install faketime; sh tests/setup.sh does it)",
    )
}

/// Has a program read the time of day from what the file says.
fn fake(command: &mut Command, file: &Path) {
    command
        .env("LD_PRELOAD", library())
        .env("FAKETIME_TIMESTAMP_FILE", file)
        .env("FAKETIME_NO_CACHE", "1")
        // As in life: it is the time of day that is set.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

fn set(file: &Path, offset: &str) {
    let new = file.with_extension("new");
    fs::write(&new, format!("{offset}\n")).unwrap();
    fs::rename(new, file).unwrap();
}

/// What `date` takes for the time, in seconds.
fn date(file: &Path) -> i64 {
    let mut command = Command::new("date");
    command.arg("+%s");
    fake(&mut command, file);
    let said = command.output().unwrap().stdout;
    String::from_utf8(said).unwrap().trim().parse().unwrap()
}

#[test]
fn the_clients_clock_jumps_by_an_hour() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clock");
    set(&file, "+0");
    let schema = Schema::new();
    let mut run = Run::new(CLIENT, server().dsn(), schema.name());
    run.calm();
    for (role, queue) in [
        (Role::Producer, ERRANDS),
        (Role::Producer, PLAIN),
        (Role::Worker, ERRANDS),
        (Role::Worker, ERRANDS),
        (Role::Consumer, PLAIN),
    ] {
        run.start_as(role, queue, |command| fake(command, &file));
    }
    for (offset, hours) in [("+1h", 1), ("-1h", -1), ("+1h", 1), ("+0", 0)] {
        run.progress(150);
        set(&file, offset);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let jumped = date(&file) - i64::try_from(now.as_secs()).unwrap();
        assert!((jumped - hours * 3_600).abs() < 60, "{offset}: {jumped}");
    }
    run.progress(150);
    for by in ["1", "-2", "2", "-1"] {
        assert!(run.has_complained(&format!("the clock has jumped by {by} hours")));
    }
    let audit = run.holds();
    assert_eq!(audit.said.lapsed, 0, "{audit}");
    assert_eq!(audit.said.refused + audit.said.unknown, 0, "{audit}");
}
