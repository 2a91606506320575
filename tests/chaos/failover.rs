//! A primary that dies, and the standby that takes its place.

use crate::CLIENT;
use pgqrs_test_support::{Cluster, MINUTE, wait_until};
use pgqrs_tests::chaos::audit::Wrong;
use pgqrs_tests::chaos::run::Run;

/// A primary, and a standby that streams from it.
struct Pair {
    primary: Cluster,
    standby: Cluster,
}

impl Pair {
    fn new() -> Self {
        let primary = Cluster::of_local_programs();
        let standby = primary.standby();
        Self { primary, standby }
    }

    /// Has everybody work on whichever of the two takes writes.
    fn work(&self) -> Run {
        let mut run = Run::new(CLIENT, self.primary.dsn(), "public");
        // The leases are not waited for.
        run.may_forget_leases();
        run.set("PGQRS_DSN", of_both(self.primary.dsn(), self.standby.dsn()));
        run.with_everybody().progress(300);
        run
    }

    /// Kills the primary and promotes the standby, and waits until everybody goes on there.
    fn fail_over(&self, run: &mut Run) {
        let before = run.figures();
        self.primary.kill();
        run.wait("somebody to notice", |now| {
            now.refused + now.unknown > before.refused + before.unknown
        });
        let mut client = self.standby.connect();
        client.query_one("SELECT pg_promote()", &[]).unwrap();
        run.move_to(self.standby.dsn());
        run.progress(300);
    }
}

/// Changes a server's settings.
fn alter(server: &Cluster, setting: &str) {
    let mut client = server.connect();
    let sql = format!("ALTER SYSTEM SET {setting}");
    client.batch_execute(&sql).unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
}

/// How many standbys there are, of those that the condition picks.
fn standbys(primary: &Cluster, which: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM pg_stat_replication WHERE {which}");
    primary.connect().query_one(&sql, &[]).unwrap().get(0)
}

/// What was confirmed is on the standby as well: its commits were waited for
/// (`synchronous_standby_names`). The clients find it by a DSN with both.
#[test]
fn the_primary_dies_and_its_standby_takes_over() {
    let pair = Pair::new();
    alter(&pair.primary, "synchronous_standby_names = '*'");
    wait_until("the standby to be waited for", MINUTE, || {
        standbys(&pair.primary, "sync_state = 'sync'") == 1
    });
    let mut run = pair.work();
    pair.fail_over(&mut run);
    run.holds();
}

/// Without, what it had not received is lost: found. Not as `Lost` in each case, for new messages get the
/// lost ones' ids.
#[test]
fn a_standby_that_has_fallen_behind_takes_over() {
    let pair = Pair::new();
    let mut run = pair.work();
    alter(&pair.standby, "primary_conninfo = ''");
    wait_until("the standby to hear nothing any more", MINUTE, || {
        standbys(&pair.primary, "true") == 0
    });
    run.progress(100);
    pair.fail_over(&mut run);
    let audit = run.audit();
    println!("{audit}");
    assert!(audit.wrongs().contains(&Wrong::DoesNotAddUp), "{audit}");
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
