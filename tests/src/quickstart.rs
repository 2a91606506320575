//! The example `quickstart`, killed in the middle.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use pgqrs::Store;

use pgqrs_test_support::wait_until;

const FILES: usize = 20_000;
const DEADLINE: Duration = Duration::from_secs(120);

/// Has it work in the store, to which `at` points it, until it is killed, and once more.
pub fn is_finished_by_the_next_one(program: &str, store: &dyn Store, at: impl Fn(&mut Command)) {
    let files = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        fs::write(files.path().join(number.to_string()), "one line\n").unwrap();
    }
    store.create_queue("quickstart").unwrap();
    let counts = || store.counts("quickstart").unwrap();
    let run = || {
        let mut command = Command::new(program);
        at(command.arg(files.path()).stdout(Stdio::piped()));
        command.spawn().unwrap()
    };

    let mut killed = run();
    wait_until("the first files to be archived", DEADLINE, || {
        counts().archived > 0
    });
    killed.kill().unwrap(); // SIGKILL
    killed.wait().unwrap();
    let left = counts();
    assert!(
        left.unfinished() > 0,
        "it was too quick to be killed in the middle: {left:?}"
    );

    let output = run().wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("finishing them first"), "{text}");
    assert!(text.contains(&format!("{FILES} files, ")), "{text}");
    assert!(text.contains("it adds up"), "{text}");
    let counts = counts();
    assert_eq!(counts.unfinished() + counts.dead, 0);
    assert_eq!(counts.archived, left.total() + FILES as u64);
}
