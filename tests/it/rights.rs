//! `roles.sql`: all the rights that it gives, and who may run it, and how often.

use std::process::Command;

use pgqrs::{Consumer, Producer, Store};
use postgres::Client;

use crate::logins::ROLES;
use crate::pg::Pg;
use crate::roles::{ALL_VIEWS, TABLES, denied, dequeue, writes_to_no_table};

/// Every right on every object, in one list: a new function or table is refused to everybody
/// until somebody has thought about it here.
#[test]
fn these_are_all_the_rights_there_are() {
    let pg = Pg::with_roles();
    let sql = "
        SELECT a.grantee || ' ' || a.privilege_type || ' ' || a.object FROM (
            SELECT x.grantee, x.privilege_type, p.proname AS object
            FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
            WHERE p.pronamespace = n.oid AND x.grantee <> p.proowner
            UNION ALL
            SELECT x.grantee, x.privilege_type, c.relname
            FROM pg_class c, aclexplode(c.relacl) x
            WHERE c.relnamespace = n.oid AND x.grantee <> c.relowner
            UNION ALL
            SELECT x.grantee, x.privilege_type, c.relname || '.' || t.attname
            FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) x
            WHERE c.relnamespace = n.oid
            UNION ALL
            SELECT x.grantee, x.privilege_type, 'the schema' FROM aclexplode(n.nspacl) x
            WHERE x.grantee <> n.nspowner
        ) a (grantee_id, privilege_type, object),
        LATERAL (SELECT coalesce((SELECT rolname FROM pg_roles WHERE oid = grantee_id), 'PUBLIC')) g (grantee)";
    let sql = sql.replace("a.grantee ||", "g.grantee ||");
    let sql = format!(
        "SELECT coalesce(array_agg(line ORDER BY line COLLATE \"C\"), '{{}}') FROM pg_namespace n, LATERAL ({sql}) l (line)
         WHERE nspname = current_schema()"
    );
    let rights: Vec<String> = pg.value(&sql);
    let mut expected: Vec<String> = Vec::new();
    let mut give = |group: &str, right: &str, objects: &[&str]| {
        expected.extend(
            objects
                .iter()
                .map(|object| format!("{group} {right} {object}")),
        );
    };
    for group in ["pgqrs_consumer", "pgqrs_operator", "pgqrs_producer"] {
        give(group, "USAGE", &["the schema"]);
        give(group, "EXECUTE", &["pgqrs_schema_version"]);
        give(group, "SELECT", &["pgqrs_queues"]);
    }
    give(
        "pgqrs_producer",
        "EXECUTE",
        &["pgqrs_enqueue", "pgqrs_enqueue_batch", "pgqrs_enqueue_once"],
    );
    give(
        "pgqrs_consumer",
        "EXECUTE",
        &[
            "pgqrs_archive",
            "pgqrs_dead_letter",
            "pgqrs_delete",
            "pgqrs_dequeue",
            "pgqrs_extend_visibility",
            "pgqrs_register_worker",
            "pgqrs_release",
            "pgqrs_upcoming",
            "pgqrs_wait",
            "pgqrs_wait_no_more",
        ],
    );
    let to_count = [
        "pgqrs_live.queue_id",
        "pgqrs_live.vt",
        "pgqrs_scheduled.queue_id",
        "pgqrs_scheduled.vt",
        "pgqrs_done.queue_id",
        "pgqrs_dead.queue_id",
    ];
    give("pgqrs_consumer", "SELECT", &to_count);
    let tables = TABLES.map(|table| format!("pgqrs_{table}"));
    let tables = tables.each_ref().map(String::as_str);
    give("pgqrs_operator", "SELECT", &tables[1..]);
    give("pgqrs_operator", "SELECT", &ALL_VIEWS);
    give("pgqrs_operator", "DELETE", &tables);
    give("pgqrs_operator", "INSERT", &["pgqrs_queues.name"]);
    expected.sort();
    assert_eq!(rights, expected);
}

/// A function with its owner's rights must find what its owner meant.
#[test]
fn the_owners_rights_come_with_a_search_path_of_their_own() {
    let pg = Pg::with_roles();
    let others: Vec<String> = pg.value(
        "SELECT array_agg(proname::text ORDER BY proname) FROM pg_proc
         WHERE pronamespace = current_schema()::regnamespace AND NOT prosecdef",
    );
    // None of these does anything that needs a right.
    assert_eq!(
        others,
        [
            "pgqrs_base",
            "pgqrs_channel",
            "pgqrs_close",
            "pgqrs_is_waited_for",
            "pgqrs_place",
            "pgqrs_schema_version",
            "pgqrs_take_owned",
            "pgqrs_wait_key"
        ]
    );
    let bare: i64 = pg.value(
        "SELECT count(*) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND prosecdef
           AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search\\_path=%, pg\\_temp')",
    );
    assert_eq!(bare, 0);

    // A producer's own tables do not get in the way.
    let login = pg.login("p", &["pgqrs_producer"]);
    let mut client = login.client();
    client
        .batch_execute(
            "CREATE TEMPORARY TABLE pgqrs_queues (id bigint, name text);
             CREATE TEMPORARY TABLE pgqrs_live (queue_id bigint, id bigint, vt timestamptz);
             CREATE TEMPORARY TABLE pgqrs_messages (queue_id bigint, id bigint, payload json)",
        )
        .unwrap();
    let schema = pg.schema.name();
    client
        .batch_execute(&format!(
            "SET search_path TO pg_temp, \"{schema}\"; SELECT pgqrs_enqueue('tasks', '1')"
        ))
        .unwrap();
    // Not left to the end of the session, which is not waited for.
    client.batch_execute("DISCARD TEMP").unwrap();
    assert_eq!(pg.store.counts("tasks").unwrap().ready, 1);
}

#[test]
fn what_was_given_by_others_is_taken_back() {
    let pg = Pg::with_roles();
    let mut client = pg.client();
    let schema = pg.schema.name();
    client
        .batch_execute(&format!(
            "GRANT ALL ON SCHEMA \"{schema}\" TO PUBLIC;
             GRANT ALL ON pgqrs_messages TO PUBLIC, pgqrs_producer;
             GRANT UPDATE (payload) ON pgqrs_messages TO pgqrs_consumer;
             GRANT EXECUTE ON FUNCTION pgqrs_dequeue TO PUBLIC, pgqrs_producer"
        ))
        .unwrap();
    client.batch_execute(ROLES).unwrap();
    let login = pg.login("b", &["pgqrs_producer", "pgqrs_consumer"]);
    writes_to_no_table(&mut login.client());
    let login = pg.login("p", &["pgqrs_producer"]);
    denied(dequeue(&login.store(), 1, 1), "function pgqrs_dequeue");
}

/// What another role creates in the schema may be called by the functions, with their owner's
/// rights, before what is meant.
#[test]
fn the_functions_get_no_rights_while_others_may_create_beside_them() {
    let pg = Pg::with_tasks();
    let mut client = pg.client();
    let (m, n) = (pg.login("m", &[]), pg.login("n", &[]));
    let schema = pg.schema.name();
    let give = format!(
        "GRANT CREATE ON SCHEMA \"{schema}\" TO PUBLIC, \"{}\", \"{}\"; GRANT USAGE ON SCHEMA \"{schema}\" TO PUBLIC",
        n.name, m.name
    );
    client.batch_execute(&give).unwrap();
    let error = client.batch_execute(ROLES).unwrap_err();
    let error = error.as_db_error().unwrap();
    let names = format!("{}, {}", m.name, n.name);
    let said = format!("{names} may create in schema {schema}, so its functions must not get");
    assert!(error.message().starts_with(&said), "{error}");
    let take = format!("REVOKE CREATE ON SCHEMA {schema} FROM {names}");
    let hint = error.hint().unwrap();
    assert!(
        hint.starts_with(&format!("Have its owner {take};")),
        "{hint}"
    );
    let sql = "SELECT count(*) FROM pg_proc
               WHERE pronamespace = current_schema()::regnamespace AND prosecdef";
    assert_eq!(pg.value::<i64>(sql), 0);

    // Nor while the schema is somebody else's, who may at any time.
    client.batch_execute(&take).unwrap();
    let give = format!("ALTER SCHEMA \"{schema}\" OWNER TO \"{}\"", m.name);
    client.batch_execute(&give).unwrap();
    let error = client.batch_execute(ROLES).unwrap_err();
    let error = error.as_db_error().unwrap();
    let said = format!("{} may create in schema {schema}", m.name);
    assert!(error.message().starts_with(&said), "{error}");
    let back = format!("ALTER SCHEMA \"{schema}\" OWNER TO CURRENT_USER");
    client.batch_execute(&back).unwrap();
    assert_eq!(pg.value::<i64>(sql), 0);

    client.batch_execute(ROLES).unwrap();
    assert!(pg.value::<i64>(sql) > 0);
}

/// As people run it: with psql where there is one, twice, and what it says is nothing.
#[test]
fn psql_runs_it_as_often_as_one_likes() {
    let pg = Pg::with_tasks();
    assert!(!ROLES.lines().any(|line| line.starts_with('\\')));
    for _ in 0..2 {
        let psql = Command::new("psql")
            .args([pg.schema.dsn(), "-q", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../roles.sql"))
            .env("PGOPTIONS", format!("-c search_path={}", pg.schema.name()))
            .output();
        match psql {
            Ok(output) => {
                assert!(output.status.success(), "{output:?}");
                assert_eq!(String::from_utf8_lossy(&output.stderr), "");
            }
            Err(_) => pg.client().batch_execute(ROLES).unwrap(),
        }
        let login = pg.login("p", &["pgqrs_producer"]);
        let store = login.store();
        Producer::new(&store, "tasks")
            .unwrap()
            .enqueue("a")
            .unwrap();
        denied(dequeue(&store, 1, 1), "function pgqrs_dequeue");
    }
    // The owner's own work goes on as before.
    let consumer = Consumer::new(&pg.store, "tasks").unwrap();
    assert_eq!(
        consumer.archive_many(&consumer.dequeue().unwrap()).unwrap(),
        [true; 2]
    );
}

#[test]
fn it_says_where_it_should_have_been_run_and_by_whom() {
    let pg = Pg::with_roles();
    let said = |client: &mut Client| {
        let error = client.batch_execute(ROLES).unwrap_err();
        error.as_db_error().unwrap().message().to_owned()
    };
    let mut client = pg.client();
    client
        .batch_execute("SET search_path TO pg_catalog")
        .unwrap();
    assert_eq!(
        said(&mut client),
        "pgqrs is not installed in schema pg_catalog"
    );
    client.batch_execute("SET search_path TO nowhere").unwrap();
    assert_eq!(said(&mut client), "pgqrs is not installed in schema (none)");

    let login = pg.login("o", &["pgqrs_operator"]);
    assert!(said(&mut login.client()).contains("permission denied"));

    // The tables' owner, in somebody else's schema that is open to all: as `public` was before
    // PostgreSQL 15.
    let owner = pg.login("w", &[]);
    let (name, schema) = (&owner.name, pg.schema.name());
    let mut client = pg.client();
    let theirs = format!(
        "GRANT CREATE, USAGE ON SCHEMA \"{schema}\" TO PUBLIC;
         DO $$ DECLARE _it record; BEGIN
             FOR _it IN SELECT oid::regclass FROM pg_class
                        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v') LOOP
                 EXECUTE format('ALTER TABLE %s OWNER TO %I', _it.oid, '{name}');
             END LOOP;
             FOR _it IN SELECT oid::regprocedure FROM pg_proc
                        WHERE pronamespace = current_schema()::regnamespace LOOP
                 EXECUTE format('ALTER FUNCTION %s OWNER TO %I', _it.oid, '{name}');
             END LOOP;
         END $$"
    );
    client.batch_execute(&theirs).unwrap();
    assert!(said(&mut owner.client()).starts_with("PUBLIC may create in schema"));
    // The owner itself may.
    let close = format!(
        "REVOKE CREATE ON SCHEMA \"{schema}\" FROM PUBLIC; GRANT CREATE ON SCHEMA \"{schema}\" TO \"{name}\""
    );
    client.batch_execute(&close).unwrap();
    owner.client().batch_execute(ROLES).unwrap();

    // Their functions do it with their rights, which are not a superuser's.
    let login = pg.login("p", &["pgqrs_producer"]);
    let store = login.store();
    Producer::new(&store, "tasks")
        .unwrap()
        .enqueue("a")
        .unwrap();
}
