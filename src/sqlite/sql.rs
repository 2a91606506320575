//! Every statement that the store makes, besides `schema.sqlite.sql`. All are prepared once per
//! connection and kept there; nothing is ever put into their texts.
//!
//! `tests.rs` has SQLite explain each of them: none walks over a table or sorts, except
//! those that count or delete all there is.

/// One statement per line of the list, and the list.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$doc])* pub(super) const $name: &str = $text;)+

        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

statements! {
    /// name, now
    CREATE_QUEUE = "
        INSERT INTO pgqrs_queues (name, created_at) VALUES (?1, ?2)
        ON CONFLICT (name) DO NOTHING";

    QUEUE = "SELECT id, name, created_at FROM pgqrs_queues WHERE name = ?1";

    QUEUES = "SELECT id, name, created_at FROM pgqrs_queues ORDER BY name";

    DELETE_QUEUE = "DELETE FROM pgqrs_queues WHERE id = ?1";

    DELETE_KEYS = "DELETE FROM pgqrs_keys WHERE queue_id = ?1";

    DELETE_WORKERS = "DELETE FROM pgqrs_workers WHERE queue_id = ?1";

    /// queue, now
    COUNTS = "
        SELECT (SELECT count(*) FROM pgqrs_live WHERE queue_id = ?1 AND vt <= ?2)
                 + (SELECT count(*) FROM pgqrs_scheduled WHERE queue_id = ?1 AND vt <= ?2),
               (SELECT count(*) FROM pgqrs_live WHERE queue_id = ?1 AND vt > ?2),
               (SELECT count(*) FROM pgqrs_scheduled WHERE queue_id = ?1 AND vt > ?2),
               (SELECT count(*) FROM pgqrs_done WHERE queue_id = ?1),
               (SELECT count(*) FROM pgqrs_dead WHERE queue_id = ?1)
        FROM pgqrs_queues WHERE id = ?1";

    /// queue, and vt from where to where. Bodies first: it is the state that says which.
    PURGE_LIVE_BODIES = "
        DELETE FROM pgqrs_messages
        WHERE id IN (SELECT id FROM pgqrs_live WHERE queue_id = ?1 AND vt BETWEEN ?2 AND ?3)";

    PURGE_LIVE = "DELETE FROM pgqrs_live WHERE queue_id = ?1 AND vt BETWEEN ?2 AND ?3";

    PURGE_SCHEDULED_BODIES = "
        DELETE FROM pgqrs_messages
        WHERE id IN (SELECT id FROM pgqrs_scheduled WHERE queue_id = ?1 AND vt BETWEEN ?2 AND ?3)";

    PURGE_SCHEDULED = "DELETE FROM pgqrs_scheduled WHERE queue_id = ?1 AND vt BETWEEN ?2 AND ?3";

    PURGE_DONE_BODIES = "
        DELETE FROM pgqrs_messages WHERE id IN (SELECT id FROM pgqrs_done WHERE queue_id = ?1)";

    PURGE_DONE = "DELETE FROM pgqrs_done WHERE queue_id = ?1";

    PURGE_DEAD_BODIES = "
        DELETE FROM pgqrs_messages WHERE id IN (SELECT id FROM pgqrs_dead WHERE queue_id = ?1)";

    PURGE_DEAD = "DELETE FROM pgqrs_dead WHERE queue_id = ?1";

    /// queue, not seen since when
    FORGET_WORKERS = "DELETE FROM pgqrs_workers WHERE queue_id = ?1 AND seen_at < ?2";

    /// queue, name, now. No row if there is no such queue.
    REGISTER_WORKER = "
        INSERT INTO pgqrs_workers (queue_id, name, started_at, seen_at)
        SELECT id, ?2, ?3, ?3 FROM pgqrs_queues WHERE id = ?1
        RETURNING id";

    /// worker, now, not seen since when
    SEE_WORKER = "UPDATE pgqrs_workers SET seen_at = ?2 WHERE id = ?1 AND seen_at < ?3";

    /// Takes the place of the writer.
    WRITE_NOTHING = "UPDATE pgqrs_store SET last_message = last_message WHERE false";

    /// How many ids. No row if there is no such queue.
    DRAW_IDS = "
        UPDATE pgqrs_store SET last_message = last_message + ?2
        WHERE EXISTS (SELECT 1 FROM pgqrs_queues WHERE id = ?1)
        RETURNING last_message";

    /// queue, key, now: what it stands for, while it does.
    KEY = "
        SELECT id, enqueued_at FROM pgqrs_keys
        WHERE queue_id = ?1 AND key = ?2 AND expires_at > ?3";

    /// queue, key, id, now, until. One that is there already is free again.
    PUT_KEY = "
        INSERT INTO pgqrs_keys (queue_id, key, id, enqueued_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (queue_id, key) DO UPDATE
        SET id = excluded.id, enqueued_at = excluded.enqueued_at, expires_at = excluded.expires_at";

    /// queue, now, how many
    FORGET_KEYS = "
        DELETE FROM pgqrs_keys
        WHERE queue_id = ?1 AND key IN (
            SELECT key FROM pgqrs_keys
            WHERE queue_id = ?1 AND expires_at <= ?2
            ORDER BY expires_at LIMIT ?3)";

    /// id, queue, now, payload
    PUT_BODY = "
        INSERT INTO pgqrs_messages (id, queue_id, enqueued_at, payload) VALUES (?1, ?2, ?3, ?4)";

    /// queue, id. Ready at once, whatever becomes of the clock.
    PUT_READY = "INSERT INTO pgqrs_live (queue_id, id, vt) VALUES (?1, ?2, 0)";

    /// queue, id, vt, worker, read_ct, attempt
    PUT_LEASED = "
        INSERT INTO pgqrs_live (queue_id, id, vt, worker, read_ct, attempt)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

    /// queue, id, vt, read_ct, attempt
    PUT_SCHEDULED = "
        INSERT INTO pgqrs_scheduled (queue_id, id, vt, read_ct, attempt) VALUES (?1, ?2, ?3, ?4, ?5)";

    /// queue, id, now, read_ct, attempt
    PUT_DONE = "
        INSERT INTO pgqrs_done (queue_id, id, archived_at, read_ct, attempt)
        VALUES (?1, ?2, ?3, ?4, ?5)";

    /// queue, id, now, read_ct, attempt, error
    PUT_DEAD = "
        INSERT INTO pgqrs_dead (queue_id, id, died_at, read_ct, attempt, error)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

    FRONT = "SELECT front, front_vt FROM pgqrs_queues WHERE id = ?1";

    /// queue, front, front_vt
    MOVE_FRONT = "UPDATE pgqrs_queues SET front = ?2, front_vt = ?3 WHERE id = ?1";

    /// queue, now: whether a dequeue would have to look; when the next scheduled message is
    /// due; and from when on a lease may have run out.
    PEEK = "
        SELECT EXISTS (SELECT 1 FROM pgqrs_live
                       WHERE queue_id = ?1 AND id > q.front AND vt <= ?2),
               (SELECT min(vt) FROM pgqrs_scheduled WHERE queue_id = ?1),
               front_vt
        FROM pgqrs_queues q WHERE id = ?1";

    /// queue, now, limit
    DUE = "
        SELECT vt, id, read_ct, attempt FROM pgqrs_scheduled
        WHERE queue_id = ?1 AND vt <= ?2
        ORDER BY vt, id LIMIT ?3";

    /// queue, and the last one that is taken
    TAKE_DUE = "DELETE FROM pgqrs_scheduled WHERE queue_id = ?1 AND (vt, id) <= (?2, ?3)";

    /// queue, after which id. Walked over for as long as there is need.
    LIVE = "
        SELECT id, vt, read_ct, attempt FROM pgqrs_live
        WHERE queue_id = ?1 AND id > ?2
        ORDER BY id";

    /// queue, from id, to id, now, until, worker: what is ready from the one to the other.
    LEASE = "
        UPDATE pgqrs_live SET vt = ?5, worker = ?6, read_ct = read_ct + 1, attempt = attempt + 1
        WHERE queue_id = ?1 AND id BETWEEN ?2 AND ?3 AND vt <= ?4";

    BODY = "SELECT enqueued_at, payload FROM pgqrs_messages WHERE id = ?1";

    /// from id, to id
    BODIES = "SELECT id, enqueued_at, payload FROM pgqrs_messages WHERE id BETWEEN ?1 AND ?2";

    DELETE_BODY = "DELETE FROM pgqrs_messages WHERE id = ?1";

    /// queue, id, worker, read_ct or -1 for any, until: a delivery is its owner's only.
    EXTEND = "
        UPDATE pgqrs_live SET vt = max(vt, ?5)
        WHERE queue_id = ?1 AND id = ?2 AND worker = ?3 AND ?4 IN (-1, read_ct)";

    /// The same, to look whether it is. (`RETURNING` of a DELETE would make a table for its one
    /// row each time.)
    OWNED = "
        SELECT read_ct, attempt FROM pgqrs_live
        WHERE queue_id = ?1 AND id = ?2 AND worker = ?3 AND ?4 IN (-1, read_ct)";

    TAKE = "DELETE FROM pgqrs_live WHERE queue_id = ?1 AND id = ?2";

    /// queue, from id, to id
    HELD = "
        SELECT id, worker, read_ct FROM pgqrs_live
        WHERE queue_id = ?1 AND id BETWEEN ?2 AND ?3
        ORDER BY id";

    /// queue, from id, to id, now
    ARCHIVE_STRETCH = "
        INSERT INTO pgqrs_done (queue_id, id, archived_at, read_ct, attempt)
        SELECT queue_id, id, ?4, read_ct, attempt FROM pgqrs_live
        WHERE queue_id = ?1 AND id BETWEEN ?2 AND ?3";

    TAKE_STRETCH = "DELETE FROM pgqrs_live WHERE queue_id = ?1 AND id BETWEEN ?2 AND ?3";
}

// What is not prepared: transactions, and what is asked of a database before it is known to be
// ours.

/// Takes the only writer's place at once, and not at the first write: there is no second writer
/// to lose against by then.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";
pub(super) const SAVEPOINT: &str = "SAVEPOINT pgqrs";
pub(super) const RELEASE: &str = "RELEASE pgqrs";
pub(super) const UNDO: &str = "ROLLBACK TO pgqrs; RELEASE pgqrs";

/// Every commit is on the disk when it returns.
pub(super) const FLUSHED: &str = "PRAGMA synchronous = FULL";
/// A commit is on the disk with the next one that is flushed.
pub(super) const NOT_FLUSHED: &str = "PRAGMA synchronous = NORMAL";

/// Whether another connection has committed: the number changes then.
pub(super) const DATA_VERSION: &str = "PRAGMA data_version";

/// Answers with the mode that it is in then.
pub(super) const WAL: &str = "PRAGMA journal_mode = WAL";

/// Settings of the connection that writes. A flush reaches the disk itself also on macOS; the log is copied back
/// every 16 MiB, by when most pages in it were written several times; and is not left larger
/// than four times that. The cache is small, as each commit goes through a list of its size (of
/// 16 MiB that took a quarter of all the time), and a queue works on few pages.
pub(super) const ON_OPEN: &str = "
    PRAGMA synchronous = NORMAL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA wal_autocheckpoint = 4096;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -4096;
    PRAGMA temp_store = MEMORY";

/// What there is in the database, and whether it is ours.
pub(super) const TABLES: &str = "
    SELECT count(*), count(*) FILTER (WHERE name = 'pgqrs_store') FROM sqlite_schema";

pub(super) const VERSION: &str = "SELECT schema_version FROM pgqrs_store";

/// For tests, so outside the list: these walk over all there is. ?1 is by how much.
pub(super) const ADVANCE: [&str; 5] = [
    "UPDATE pgqrs_live SET vt = vt - ?1",
    "UPDATE pgqrs_scheduled SET vt = vt - ?1",
    "UPDATE pgqrs_messages SET enqueued_at = enqueued_at - ?1",
    "UPDATE pgqrs_keys SET enqueued_at = enqueued_at - ?1, expires_at = expires_at - ?1",
    "UPDATE pgqrs_queues SET front_vt = front_vt - ?1 WHERE front_vt < 9223372036854775807",
];
