//! The schema changes under load.
//!
//! There is one version of it so far, so what an upgrade does is done to that one: every function
//! is replaced, and tables get columns, in one transaction, while everybody works. Once there is a
//! second version, [`upgrade`] is to be `install` of that. The processes of the older version are there
//! already: build its program `chaos_client` (`-p pgqrs-tests`), and set `PGQRS_OLDER_CLIENT` to where that is.

use std::env;
use std::path::Path;

use postgres::Client;
use postgres::error::SqlState;

use crate::CLIENT;
use pgqrs_test_support::{Schema, server};
use pgqrs_tests::chaos::run::Run;

/// Replaces the schema's functions by themselves, and gives tables a column. It wants its locks in
/// an order of its own, so it is one of those who have to try again.
fn upgrade(client: &mut Client, round: usize) {
    while let Err(error) = try_to_upgrade(client, round) {
        let locked = error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED);
        assert!(locked, "{error:?}");
    }
}

fn try_to_upgrade(client: &mut Client, round: usize) -> Result<(), postgres::Error> {
    let definitions = "
        SELECT pg_get_functiondef(p.oid)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = current_schema() AND starts_with(p.proname, 'pgqrs_')";
    let mut tx = client.transaction()?;
    let rows = tx.query(definitions, &[])?;
    assert!(rows.len() > 10, "{}", rows.len());
    for table in ["pgqrs_messages", "pgqrs_live", "pgqrs_done"] {
        let sql = format!("ALTER TABLE {table} ADD COLUMN new_{round} integer NOT NULL DEFAULT 0");
        tx.batch_execute(&sql)?;
    }
    for row in rows {
        tx.batch_execute(row.get(0))?;
    }
    tx.commit()
}

#[test]
fn the_schema_is_upgraded_under_load() {
    let schema = Schema::new();
    let mut run = Run::new(CLIENT, server().dsn(), schema.name());
    run.with_everybody();
    if let Some(older) = env::var_os("PGQRS_OLDER_CLIENT") {
        run.with_everybody_of(Path::new(&older));
    }
    for round in 0..4 {
        run.progress(150);
        upgrade(&mut run.client(), round);
        // As a program of the same version does at every start.
        run.install();
    }
    run.progress(150);
    let audit = run.holds();
    assert_eq!(audit.said.unknown, 0, "{audit}");
}
