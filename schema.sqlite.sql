-- pgqrs, schema version 1 for SQLite: a message queue in a file (SQLite 3.37 or newer).
--
-- SqliteStore::open() runs this in a file that it makes, and install() in a database that
-- has other tables already. By hand, in a database whose journal is WAL:
--   sqlite3 -bail queue.db 'PRAGMA journal_mode = wal' '.read schema.sqlite.sql'
--
-- The same design as in schema.sql: a message's body is written once and never moves; its
-- state is one narrow row in exactly one of four tables.
--
--   enqueue ---------> pgqrs_live -- archive ------> pgqrs_done
--                       ^     |  \-- dead_letter --> pgqrs_dead
--              dequeue, |     |   \- delete -------> (body and state are gone)
--              when due |     v
--   enqueue_delayed -> pgqrs_scheduled <- release, retry
--
-- Every moment is a number of microseconds since 1970, UTC, by the clock of the machine.
-- SQLite has one writer at a time: what a transaction reads, nobody else changes before it
-- ends, so that ids ascend in the order of the commits and nothing needs to be locked.

------------------------------------------------------------------------------ tables

-- One row. AUTOINCREMENT would be looked up and written for each message, this is once a
-- batch; and as that, it gives no id out twice.
CREATE TABLE pgqrs_store (
    schema_version INTEGER NOT NULL,
    last_message   INTEGER NOT NULL         -- the highest id that was ever given to a message
) STRICT;
INSERT INTO pgqrs_store VALUES (1, 0);

CREATE TABLE pgqrs_queues (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- queue_id everywhere else; never used twice
    name       TEXT NOT NULL UNIQUE                -- what programs call it
               CHECK (length(name) BETWEEN 1 AND 63 AND name NOT GLOB '*[^A-Za-z0-9_.-]*'),
    created_at INTEGER NOT NULL,
    -- Where a dequeue begins: nothing in pgqrs_live up to the id `front` is ready before
    -- `front_vt`. So it does not walk over what is leased to others; only once from front_vt on,
    -- when one looks from the start, and finds out both anew.
    front      INTEGER NOT NULL DEFAULT 0,
    front_vt   INTEGER NOT NULL DEFAULT 9223372036854775807
) STRICT;

-- For people: who holds this lease? No promise of the queue depends on a row here. Rows not
-- seen for a day go away when the next consumer of the queue registers.
CREATE TABLE pgqrs_workers (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: part of every receipt
    queue_id   INTEGER NOT NULL,
    name       TEXT NOT NULL,                      -- "program:pid" unless the consumer is given one
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL                    -- to the hour
) STRICT;
CREATE INDEX pgqrs_workers_queue ON pgqrs_workers (queue_id);

-- The bodies. Written by enqueue, read by dequeue, never updated.
CREATE TABLE pgqrs_messages (
    id          INTEGER PRIMARY KEY,               -- in enqueue order
    queue_id    INTEGER NOT NULL,
    enqueued_at INTEGER NOT NULL,
    payload     TEXT NOT NULL                      -- JSON
) STRICT;

-- Ready and leased messages: ready when vt is past, leased until then. A lease changes the
-- row where it is; no index on anything that it changes.
CREATE TABLE pgqrs_live (
    queue_id INTEGER NOT NULL,
    id       INTEGER NOT NULL,
    vt       INTEGER NOT NULL,                     -- visible from here on; 0: since it was enqueued, ...
                                                   -- ... to come: leased until then
    worker   INTEGER,                              -- who leased it last; null: nobody yet
    read_ct  INTEGER NOT NULL DEFAULT 0,           -- deliveries so far; never goes down
    attempt  INTEGER NOT NULL DEFAULT 0,           -- deliveries that count against the retries
    PRIMARY KEY (queue_id, id)
) STRICT, WITHOUT ROWID;

-- Messages that wait for a time. The key is the order in which they come due.
CREATE TABLE pgqrs_scheduled (
    queue_id INTEGER NOT NULL,
    vt       INTEGER NOT NULL,                     -- due from here on
    id       INTEGER NOT NULL,
    read_ct  INTEGER NOT NULL DEFAULT 0,           -- both as in pgqrs_live, kept for the way back
    attempt  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (queue_id, vt, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE pgqrs_done (
    queue_id    INTEGER NOT NULL,
    id          INTEGER NOT NULL,
    archived_at INTEGER NOT NULL,
    read_ct     INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    PRIMARY KEY (queue_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE pgqrs_dead (
    queue_id INTEGER NOT NULL,
    id       INTEGER NOT NULL,
    died_at  INTEGER NOT NULL,
    read_ct  INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    error    TEXT NOT NULL,                        -- why it was given up
    PRIMARY KEY (queue_id, id)
) STRICT, WITHOUT ROWID;

-- The keys of messages that were enqueued with one, each for a while: an enqueue with one of
-- them stores nothing. Apart from the messages, as it outlives its own.
CREATE TABLE pgqrs_keys (
    queue_id    INTEGER NOT NULL,
    key         TEXT NOT NULL                      -- what its producer calls the message
                CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 255),
    id          INTEGER NOT NULL,                  -- both of the message, which may be gone by now
    enqueued_at INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,                  -- free again from here on
    PRIMARY KEY (queue_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX pgqrs_keys_expires ON pgqrs_keys (queue_id, expires_at);

------------------------------------------------------------------ views, for people

-- julianday, as older shells do not know unixepoch('subsec').
CREATE VIEW pgqrs_now AS
SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000 AS now;

CREATE VIEW pgqrs_archive AS
SELECT q.name AS queue, d.queue_id, d.id, m.payload,
       strftime('%Y-%m-%d %H:%M:%f', m.enqueued_at / 1e6, 'unixepoch') AS enqueued_at,
       strftime('%Y-%m-%d %H:%M:%f', d.archived_at / 1e6, 'unixepoch') AS archived_at,
       d.read_ct, d.attempt
FROM pgqrs_done d
JOIN pgqrs_messages m ON m.id = d.id
JOIN pgqrs_queues q ON q.id = d.queue_id;

CREATE VIEW pgqrs_dead_letters AS
SELECT q.name AS queue, d.queue_id, d.id, m.payload,
       strftime('%Y-%m-%d %H:%M:%f', m.enqueued_at / 1e6, 'unixepoch') AS enqueued_at,
       strftime('%Y-%m-%d %H:%M:%f', d.died_at / 1e6, 'unixepoch') AS died_at,
       d.read_ct, d.attempt, d.error
FROM pgqrs_dead d
JOIN pgqrs_messages m ON m.id = d.id
JOIN pgqrs_queues q ON q.id = d.queue_id;

-- Every message that is not done, with its state and who holds it.
CREATE VIEW pgqrs_queue_contents AS
SELECT q.name AS queue, s.queue_id, s.id, s.state, m.payload,
       strftime('%Y-%m-%d %H:%M:%f', m.enqueued_at / 1e6, 'unixepoch') AS enqueued_at,
       strftime('%Y-%m-%d %H:%M:%f', iif(s.vt = 0, m.enqueued_at, s.vt) / 1e6, 'unixepoch') AS vt,
       s.read_ct, s.attempt, w.name AS worker
FROM (
    SELECT queue_id, id, iif(vt <= now, 'ready', 'leased') AS state, vt, read_ct, attempt,
           iif(vt > now, worker, NULL) AS worker
    FROM pgqrs_live, pgqrs_now
    UNION ALL
    SELECT queue_id, id, iif(vt <= now, 'ready', 'scheduled'), vt, read_ct, attempt, NULL
    FROM pgqrs_scheduled, pgqrs_now
    UNION ALL
    SELECT queue_id, id, 'dead', NULL, read_ct, attempt, NULL FROM pgqrs_dead
) s
JOIN pgqrs_messages m ON m.id = s.id
JOIN pgqrs_queues q ON q.id = s.queue_id
LEFT JOIN pgqrs_workers w ON w.id = s.worker;

-- Enqueueing for people, triggers, and programs in other languages:
--   INSERT INTO pgqrs_enqueue (queue, payload) VALUES ('emails', '{"to": "ada@example.org"}');
--   INSERT INTO pgqrs_enqueue (queue, payload, delay) VALUES ('emails', '"later"', '+5 minutes');
--   INSERT INTO pgqrs_enqueue (queue, payload, key) VALUES ('emails', '"once"', 'order 17');
-- `delay` is a modifier of SQLite's date functions. With a key, nothing is stored if one was with
-- the same key within a day. Empty when it is read.
CREATE VIEW pgqrs_enqueue AS
SELECT name AS queue, '' AS payload, '' AS delay, '' AS key FROM pgqrs_queues WHERE false;

CREATE TRIGGER pgqrs_enqueue_once INSTEAD OF INSERT ON pgqrs_enqueue WHEN NEW.key IS NOT NULL
BEGIN
    DELETE FROM pgqrs_keys
    WHERE queue_id = (SELECT id FROM pgqrs_queues WHERE name = NEW.queue) AND key = NEW.key
      AND expires_at <= (SELECT now FROM pgqrs_now);
    -- The other trigger does it, and says which id it has.
    INSERT INTO pgqrs_enqueue (queue, payload, delay)
    SELECT NEW.queue, NEW.payload, NEW.delay
    WHERE NOT EXISTS (SELECT 1 FROM pgqrs_keys k JOIN pgqrs_queues q ON q.id = k.queue_id
                      WHERE q.name = NEW.queue AND k.key = NEW.key);
    INSERT INTO pgqrs_keys (queue_id, key, id, enqueued_at, expires_at)
    SELECT q.id, NEW.key, m.id, m.enqueued_at, m.enqueued_at + 86400000000
    FROM pgqrs_queues q, pgqrs_messages m
    WHERE q.name = NEW.queue AND m.id = (SELECT last_message FROM pgqrs_store)
      AND NOT EXISTS (SELECT 1 FROM pgqrs_keys WHERE queue_id = q.id AND key = NEW.key);
END;

CREATE TRIGGER pgqrs_enqueue_insert INSTEAD OF INSERT ON pgqrs_enqueue WHEN NEW.key IS NULL
BEGIN
    SELECT CASE
        WHEN NOT EXISTS (SELECT 1 FROM pgqrs_queues WHERE name = NEW.queue)
            THEN RAISE(ABORT, 'pgqrs_enqueue: there is no such queue')
        WHEN NOT coalesce(json_valid(NEW.payload), false)
            THEN RAISE(ABORT, 'pgqrs_enqueue: the payload is not JSON')
        WHEN NEW.delay IS NOT NULL AND julianday('now', NEW.delay) IS NULL
            THEN RAISE(ABORT, 'pgqrs_enqueue: the delay is not a modifier like ''+5 minutes''')
    END;
    UPDATE pgqrs_store SET last_message = last_message + 1;
    INSERT INTO pgqrs_messages (id, queue_id, enqueued_at, payload)
    SELECT last_message, q.id, now, NEW.payload
    FROM pgqrs_store, pgqrs_now, pgqrs_queues q WHERE q.name = NEW.queue;
    INSERT INTO pgqrs_live (queue_id, id, vt)
    SELECT queue_id, id, 0 FROM pgqrs_messages
    WHERE NEW.delay IS NULL AND id = (SELECT last_message FROM pgqrs_store);
    INSERT INTO pgqrs_scheduled (queue_id, vt, id)
    SELECT queue_id,
           CAST(round((julianday('now', NEW.delay) - 2440587.5) * 86400000) AS INTEGER) * 1000, id
    FROM pgqrs_messages
    WHERE NEW.delay IS NOT NULL AND id = (SELECT last_message FROM pgqrs_store);
END;
