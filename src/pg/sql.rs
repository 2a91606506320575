//! Every statement that this crate sends, in the order of a message's life. The hot ones
//! are one call of a function in `schema.sql` each, which says what it locks and which
//! index it walks.
//!
//! `:schema` stands for the quoted name of the schema, and is the only thing ever put into
//! a statement; it is put in once, when the store is built. Spans of time travel as
//! microseconds.

use std::time::Duration;

use postgres::types::Type;

/// One statement: its text, and the types of its parameters (so that preparing it, or
/// sending it unprepared, needs no question to the server).
#[derive(Debug)]
pub(crate) struct Sql {
    pub(crate) text: &'static str,
    pub(crate) types: &'static [Type],
}

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident ($($type:ident),*) = $text:expr;)+) => {
        /// Names a statement.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::upper_case_acronyms)]
        pub(crate) enum Statement { $($(#[$doc])* $name),+ }

        /// All of them, by number.
        pub(crate) const ALL: &[Sql] = &[$(
            Sql { text: $text, types: &[$(Type::$type),*] }
        ),+];
    };
}

statements! {
    /// The version of the installed schema.
    Version() = "SELECT :schema.pgqrs_schema_version()";

    /// Inserts the queue, or changes nothing; either way returns its row.
    CreateQueue(TEXT) = "
        WITH created AS (
            INSERT INTO :schema.pgqrs_queues (name) VALUES ($1)
            ON CONFLICT (name) DO NOTHING
            RETURNING id, name, created_at
        )
        SELECT id, name, created_at FROM created
        UNION ALL
        SELECT id, name, created_at FROM :schema.pgqrs_queues WHERE name = $1
        LIMIT 1";

    /// One row at most, by the unique name.
    Queue(TEXT) = "SELECT id, name, created_at FROM :schema.pgqrs_queues WHERE name = $1";

    /// All queues; the name's collation is C.
    Queues() = "SELECT id, name, created_at FROM :schema.pgqrs_queues ORDER BY name";

    /// The first half of deleting a queue: waits until no transaction is open that has put
    /// something into it, and lets none begin. See pgqrs_enqueue_batch.
    LockQueue(INT8) = "SELECT pg_advisory_xact_lock(7737617083142869363 # $1)";

    /// Counts what stands in the way of deleting a queue.
    CountBodies(INT8) = "SELECT count(*) FROM :schema.pgqrs_messages WHERE queue_id = $1";

    /// Deletes the queue's row and its keys, and its workers by their foreign key.
    DeleteQueue(INT8) = "
        WITH keys AS (DELETE FROM :schema.pgqrs_keys WHERE queue_id = $1)
        DELETE FROM :schema.pgqrs_queues WHERE id = $1";

    /// Counts per state: ready, leased, scheduled, archived, dead. One statement, so one
    /// moment. Reads the queue's part of each key, and of the archive, which has none, every
    /// stretch that has the queue in it.
    Counts(INT8) = "
        WITH live AS (
            SELECT count(*) FILTER (WHERE vt <= statement_timestamp()) AS ready, count(*) AS total
            FROM :schema.pgqrs_live WHERE queue_id = $1
        ), scheduled AS (
            SELECT count(*) FILTER (WHERE vt <= statement_timestamp()) AS due, count(*) AS total
            FROM :schema.pgqrs_scheduled WHERE queue_id = $1
        )
        SELECT live.ready + scheduled.due, live.total - live.ready, scheduled.total - scheduled.due,
               (SELECT count(*) FROM :schema.pgqrs_done WHERE queue_id = $1),
               (SELECT count(*) FROM :schema.pgqrs_dead WHERE queue_id = $1)
        FROM live, scheduled";

    /// Deletes what is in the states that are asked for (ready, leased, scheduled,
    /// archived, dead), with the bodies; returns how many.
    Purge(INT8, BOOL, BOOL, BOOL, BOOL, BOOL) = "
        WITH live AS (
            DELETE FROM :schema.pgqrs_live
            WHERE queue_id = $1 AND CASE WHEN vt <= statement_timestamp() THEN $2 ELSE $3 END
            RETURNING id
        ), scheduled AS (
            DELETE FROM :schema.pgqrs_scheduled
            WHERE queue_id = $1 AND CASE WHEN vt <= statement_timestamp() THEN $2 ELSE $4 END
            RETURNING id
        ), done AS (
            DELETE FROM :schema.pgqrs_done WHERE queue_id = $1 AND $5 RETURNING id
        ), dead AS (
            DELETE FROM :schema.pgqrs_dead WHERE queue_id = $1 AND $6 RETURNING id
        ), bodies AS (
            DELETE FROM :schema.pgqrs_messages
            WHERE queue_id = $1 AND id IN (
                SELECT id FROM live UNION ALL SELECT id FROM scheduled
                UNION ALL SELECT id FROM done UNION ALL SELECT id FROM dead)
            RETURNING id
        )
        SELECT count(*) FROM bodies";

    /// Registers a consumer. No row if there is no such queue.
    RegisterWorker(INT8, TEXT) = "
        SELECT id FROM :schema.pgqrs_register_worker($1, $2) AS id WHERE id IS NOT NULL";

    /// queue, payloads, delay (null: ready at once). Returns ids, in order, and the times.
    Enqueue(INT8, JSON_ARRAY, INT8) = "
        SELECT ids, enqueued_at, vt
        FROM :schema.pgqrs_enqueue_batch($1, $2, $3 * interval '1 microsecond')";

    /// queue, payloads, keys (null: none), for how long keys are remembered, delay. Returns ids,
    /// in order, and the times of each.
    EnqueueOnce(INT8, JSON_ARRAY, TEXT_ARRAY, INT8, INT8) = "
        SELECT ids, enqueued_at, vt
        FROM :schema.pgqrs_enqueue_once($1, $2, $3, $4 * interval '1 microsecond',
                                        $5 * interval '1 microsecond')";

    /// queue, worker, limit, lock time, after which id, whether to look for due ones.
    ///
    /// Commits asynchronously: a lease that is lost in a crash of the server only means that
    /// the message is handed out again, and the next synchronous commit (an enqueue, an
    /// archive) flushes it anyway. Set here and not in the function: this statement is a
    /// transaction of its own, a psql user's may not be.
    Dequeue(INT8, INT8, INT4, INT8, INT8, BOOL) = "
        SELECT d.id, d.enqueued_at, d.vt, d.read_ct, d.attempt, d.payload, d.due_at
        FROM set_config('synchronous_commit', 'off', true),
             :schema.pgqrs_dequeue($1, $2, $3, $4 * interval '1 microsecond', $5, $6) d";

    /// queue, ids, workers, read_cts, span. This and the following: as schema.sql says of
    /// receipts, ids ascending and unique; they return the ids that were changed.
    ExtendVisibility(INT8, INT8_ARRAY, INT8_ARRAY, INT4_ARRAY, INT8) = "
        SELECT :schema.pgqrs_extend_visibility($1, $2, $3, $4, $5 * interval '1 microsecond')";

    /// queue, ids, workers, read_cts.
    Archive(INT8, INT8_ARRAY, INT8_ARRAY, INT4_ARRAY) = "
        SELECT :schema.pgqrs_archive($1, $2, $3, $4)";

    /// queue, ids, workers, read_cts. As `Archive`, but waits for nobody's lock on a row for long:
    /// SHORT_LOCK_TIMEOUT in one statement.
    ArchiveUnlessLocked(INT8, INT8_ARRAY, INT8_ARRAY, INT4_ARRAY) = "
        SELECT :schema.pgqrs_archive($1, $2, $3, $4)
        FROM set_config('lock_timeout', '1s', true)";

    /// queue, ids, workers, read_cts; worker, limit, lock time, after which id, whether to look
    /// for due ones.
    ///
    /// `Archive` and then `Dequeue` in one commit, a synchronous one. The answer of the first is
    /// the first row, in the last column; the others are messages.
    ArchiveAndDequeue(INT8, INT8_ARRAY, INT8_ARRAY, INT4_ARRAY, INT8, INT4, INT8, INT8, BOOL) = "
        SELECT NULL::int8, NULL::timestamptz, NULL::timestamptz, NULL::int4, NULL::int4, NULL::json,
               NULL::timestamptz, :schema.pgqrs_archive($1, $2, $3, $4)
        UNION ALL
        SELECT d.id, d.enqueued_at, d.vt, d.read_ct, d.attempt, d.payload, d.due_at, NULL
        FROM :schema.pgqrs_dequeue($1, $5, $6, $7 * interval '1 microsecond', $8, $9) d";

    /// queue, ids, workers, read_cts.
    Delete(INT8, INT8_ARRAY, INT8_ARRAY, INT4_ARRAY) = "
        SELECT :schema.pgqrs_delete($1, $2, $3, $4)";

    /// queue, ids, workers, read_cts, delays, whether the attempt counts.
    Release(INT8, INT8_ARRAY, INT8_ARRAY, INT4_ARRAY, INT8_ARRAY, BOOL_ARRAY) = "
        SELECT :schema.pgqrs_release($1, $2, $3, $4,
            ARRAY(SELECT us * interval '1 microsecond' FROM unnest($5) AS us), $6)";

    /// Begins to wait; see pgqrs_wait in schema.sql. Microseconds until the next message is due.
    Wait(INT8) = "
        SELECT channel, (extract(epoch FROM due_in) * 1e6)::int8, unsure FROM :schema.pgqrs_wait($1)";

    /// Looks ahead while waiting; the channel stands for itself, as no row needs it.
    Upcoming(INT8) = "
        SELECT NULL::text, (extract(epoch FROM due_in) * 1e6)::int8, unsure
        FROM :schema.pgqrs_upcoming($1)";

    /// Ends the waiting.
    WaitNoMore(INT8) = "SELECT :schema.pgqrs_wait_no_more($1)";

    /// Says something to whoever listens for [`LISTEN_HELLO`].
    Hello(TEXT) = "SELECT pg_notify('pgqrs_hello', $1)";

    /// queue, ids, workers, read_cts, reasons.
    DeadLetter(INT8, INT8_ARRAY, INT8_ARRAY, INT4_ARRAY, TEXT_ARRAY) = "
        SELECT :schema.pgqrs_dead_letter($1, $2, $3, $4, $5)";
}

// Statements without parameters that are never prepared: transactions and installing.

/// Tries whether this session hears at all: behind a pooler it does not.
pub(crate) const LISTEN_HELLO: &str = "LISTEN pgqrs_hello";
pub(crate) const UNLISTEN_HELLO: &str = "UNLISTEN pgqrs_hello";

/// The beginning of a transaction of several statements. Between those we do nothing that takes
/// time; but a process can be stopped there, or its machine suspended, and what it has locked
/// would stay so, whatever its leases say: the server ends it.
pub(crate) const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '5s'";
pub(crate) const COMMIT: &str = "COMMIT";
pub(crate) const ROLLBACK: &str = "ROLLBACK";

/// One installation at a time in the whole database, until its transaction ends. The key
/// is also that of a queue with the id 0, which there is not.
pub(crate) const LOCK_INSTALL: &str = "SELECT pg_advisory_xact_lock(7737617083142869363)";

/// Whether the schema is there: CREATE SCHEMA IF NOT EXISTS asks for the right to create
/// one even if it is.
pub(crate) const HAS_SCHEMA: &str = "SELECT FROM pg_namespace WHERE nspname = $1";
pub(crate) const CREATE_SCHEMA: &str = "CREATE SCHEMA :schema";

/// Where schema.sql creates, and what its functions are bound to. Temporary tables last:
/// nobody's may stand before ours.
pub(crate) const SEARCH_PATH: &str = "SET LOCAL search_path TO :schema, pg_temp";

/// Whether the function that tells the version is there. The name as in `:schema`.
pub(crate) const HAS_VERSION: &str = "SELECT to_regprocedure($1) IS NOT NULL";

/// A queue that is being deleted waits this long for open transactions, and lets nobody
/// enqueue into it meanwhile.
pub(crate) const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '5s'";

/// Settlements of several threads in one transaction wait this long for somebody's lock.
pub(crate) const SHORT_LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '1s'";

/// The settings of a session of our own: the isolation that everything here is made for,
/// whatever the server's default, and an end of statements that take too long (the server
/// takes whole milliseconds, and 0 as "never"). A session that a pooler lends (then nothing
/// is prepared) keeps its own isolation: others would get it next.
pub(crate) fn on_connect(own: bool, statement_timeout: Option<Duration>) -> String {
    let mut text = String::new();
    if own {
        text += "SET default_transaction_isolation = 'read committed';";
    }
    if let Some(timeout) = statement_timeout {
        let millis = timeout.as_millis().clamp(1, i32::MAX as u128);
        text += &format!("SET statement_timeout = {millis};");
    }
    text
}

/// Puts the schema's quoted name into a text.
pub(crate) fn in_schema(text: &str, schema: &str) -> String {
    text.replace(":schema", schema)
}

/// Quotes an identifier.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
