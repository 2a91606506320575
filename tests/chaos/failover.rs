//! A primary that dies, and the standby that takes its place.

use crate::harness::child::MINUTE;
use crate::harness::run::Run;
use crate::support::{private_server, wait_until};

/// What was confirmed is on the standby as well: its commits were waited for
/// (`synchronous_standby_names`). The clients find it by a DSN with both.
#[test]
fn the_primary_dies_and_its_standby_takes_over() {
    let primary = private_server();
    let standby = primary.standby();
    let mut client = primary.connect();
    client
        .batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        .unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    let sql = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    wait_until("the standby to be waited for", MINUTE, || {
        client.query_one(sql, &[]).unwrap().get::<_, i64>(0) == 1
    });
    drop(client);
    let mut run = Run::new(primary.dsn(), "public");
    // The leases are not waited for.
    run.may_forget_leases();
    run.set("PGQRS_DSN", of_both(primary.dsn(), standby.dsn()));
    run.with_everybody().progress(300);
    let before = run.figures();

    primary.kill();
    run.wait("somebody to notice", |now| {
        now.refused + now.unknown > before.refused + before.unknown
    });
    let mut client = standby.connect();
    client.query_one("SELECT pg_promote()", &[]).unwrap();
    drop(client);
    run.move_to(standby.dsn());
    run.progress(300);
    let audit = run.holds();
    assert!(audit.said.unknown > 0, "{audit}");
}

/// `postgresql://user@first,second/database`, for whichever takes writes.
fn of_both(first: &str, second: &str) -> String {
    let host = |dsn: &str| {
        let (_, rest) = dsn.split_once('@').unwrap();
        rest.split_once('/').unwrap().0.to_owned()
    };
    let (head, rest) = first.split_once('@').unwrap();
    let (_, database) = rest.split_once('/').unwrap();
    let (first, second) = (host(first), host(second));
    format!("{head}@{first},{second}/{database}?target_session_attrs=read-write")
}
