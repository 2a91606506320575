-- pgqrs, schema version 1: a message queue in PostgreSQL (14 or newer).
--
-- PgStore::install() runs this file once, in the schema of your choice. By hand:
--   psql -1 -v ON_ERROR_STOP=1 -f schema.sql
-- Then roles.sql, if producers, consumers and operators are to be kept apart.
-- It creates everything in the first schema of the search_path and never touches what
-- is there already: a second run stops at the first CREATE.
--
-- A message's body is written once and never moves. Its state is one narrow row in
-- exactly one of four tables, and every move is one statement:
--
--   enqueue ---------> pgqrs_live -- archive ------> pgqrs_done
--                       ^     |  \-- dead_letter --> pgqrs_dead
--              dequeue, |     |   \- delete -------> (body and state are gone)
--              when due |     v
--   enqueue_delayed -> pgqrs_scheduled <- release, retry
--
-- Every key begins with queue_id. The tables must not be partitioned: rows that were just
-- found are named by ctid, which is unique in one table only. Those that take the load
-- have no foreign keys: a check per message costs more than all the rest of an enqueue. What
-- keeps a queue from vanishing under its producers stands at pgqrs_enqueue_batch.

------------------------------------------------------------------------------ tables

CREATE TABLE pgqrs_queues (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- queue_id everywhere else
    name       text COLLATE "C" NOT NULL UNIQUE                 -- what programs call it
               CHECK (name ~ '^[A-Za-z0-9_.-]{1,63}$'),
    created_at timestamptz NOT NULL DEFAULT statement_timestamp()
);
COMMENT ON TABLE pgqrs_queues IS 'The queues. A queue exists from create_queue to delete_queue.';

-- For people: who holds this lease? No promise of the queue depends on a row here. Rows
-- not seen for a day go away when the next consumer of the queue registers.
CREATE TABLE pgqrs_workers (
    queue_id   bigint NOT NULL REFERENCES pgqrs_queues (id) ON DELETE CASCADE,
    id         bigint GENERATED ALWAYS AS IDENTITY,             -- never used twice: part of every receipt
    name       text NOT NULL,                                   -- "program:pid" unless the consumer is given one
    started_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    seen_at    timestamptz NOT NULL DEFAULT statement_timestamp(), -- to the hour
    PRIMARY KEY (queue_id, id)
);
COMMENT ON TABLE pgqrs_workers IS 'One row per consumer, for people; safe to delete at any time.';

-- The bodies. Written by enqueue, read by dequeue, never updated: a payload is copied
-- once, into the table and into the write-ahead log, and no later step copies it again.
-- Default fillfactor (100) for that reason. A payload over about 2 kB goes to the TOAST
-- table, compressed, so that a page of this table still holds several messages. json, and
-- not jsonb, which would be taken apart on the way in and put together on the way out.
CREATE TABLE pgqrs_messages (
    queue_id    bigint NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,            -- in enqueue order; gaps are normal
    enqueued_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    payload     json NOT NULL,                                  -- at most 1 MiB unless the client allows more
    PRIMARY KEY (queue_id, id)
);
COMMENT ON TABLE pgqrs_messages IS 'Every message''s body, in whatever state; immutable.';

-- lz4 instead of pglz, where the server was built with it: half the CPU for the same size.
DO $$
BEGIN
    ALTER TABLE pgqrs_messages ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL; -- pglz will do
END
$$;

-- Ready and leased messages: ready when vt is past, leased until then. No index on
-- anything that a lease changes, and half of each page left free for the new version of
-- a row (the other half of its life): so that a lease is a heap-only update, which
-- writes no index entry and whose remains the next visitor of the page removes.
-- An emptied queue keeps its pages (vacuum_truncate off): giving them back would take a
-- lock that stops every consumer, and the next backlog wants them again.
CREATE TABLE pgqrs_live (
    queue_id bigint NOT NULL,
    id       bigint NOT NULL,
    vt       timestamptz NOT NULL           -- visible from here on; in the future: leased until then
             CHECK (isfinite(vt)),          -- (clients have no date for infinity)
    worker   bigint NOT NULL DEFAULT 0,     -- who leased it last; 0: nobody yet (null would make
                                            -- the row shorter, and a lease not fit in its page)
    read_ct  integer NOT NULL DEFAULT 0,    -- deliveries so far; never goes down
    attempt  integer NOT NULL DEFAULT 0,    -- deliveries that count against the retries
    PRIMARY KEY (queue_id, id)
) WITH (
    fillfactor = 50,
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 10000,    -- every message dies here: vacuum by churn,
    autovacuum_vacuum_scale_factor = 0.1    -- not only by share of what is left
);
COMMENT ON TABLE pgqrs_live IS 'State of ready (vt past) and leased (vt to come) messages.';

-- Messages that wait for a time. The key is the order in which they come due.
CREATE TABLE pgqrs_scheduled (
    queue_id bigint NOT NULL,
    vt       timestamptz NOT NULL           -- due from here on
             CHECK (isfinite(vt)),
    id       bigint NOT NULL,
    read_ct  integer NOT NULL DEFAULT 0,    -- both as in pgqrs_live, kept for the way back
    attempt  integer NOT NULL DEFAULT 0,
    PRIMARY KEY (queue_id, vt, id)
) WITH (vacuum_truncate = off);
COMMENT ON TABLE pgqrs_scheduled IS 'State of delayed, released and retried messages.';

-- No key: it would be a third of the work of an archive, and nothing but an archive writes
-- here, which takes the message out of pgqrs_live in the same statement. Most ids come nearly
-- in order, so a summary of each stretch of pages, with room for a dozen that do not, is
-- enough to find one.
CREATE TABLE pgqrs_done (
    queue_id    bigint NOT NULL,
    id          bigint NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    read_ct     integer NOT NULL,
    attempt     integer NOT NULL
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05); -- vacuum is what summarizes
CREATE INDEX pgqrs_done_brin ON pgqrs_done
    USING brin (queue_id int8_minmax_multi_ops, id int8_minmax_multi_ops) WITH (pages_per_range = 32);
-- Or a purge would fail where tables are published. (A subscriber looks for each row by reading
-- its copy: do not purge a large archive there, truncate it.)
ALTER TABLE pgqrs_done REPLICA IDENTITY FULL;
COMMENT ON TABLE pgqrs_done IS 'State of archived messages: done, kept for audit.';

CREATE TABLE pgqrs_dead (
    queue_id bigint NOT NULL,
    id       bigint NOT NULL,
    died_at  timestamptz NOT NULL DEFAULT statement_timestamp(),
    read_ct  integer NOT NULL,
    attempt  integer NOT NULL,
    error    text NOT NULL,                 -- why it was given up
    PRIMARY KEY (queue_id, id)
);
COMMENT ON TABLE pgqrs_dead IS 'State of dead letters: given up, kept with the last error.';

-- The keys of messages that were enqueued with one, each for a while. Apart from the messages, as
-- it outlives its own; a message without one has nothing to do with this table. No foreign key:
-- who deletes a queue deletes them, while the queue's lock keeps everybody else from adding some.
CREATE TABLE pgqrs_keys (
    queue_id    bigint NOT NULL,
    key         text COLLATE "C" NOT NULL   -- what its producer calls the message
                CHECK (octet_length(key) BETWEEN 1 AND 255),
    id          bigint NOT NULL,            -- both of the message, which may be gone by now
    enqueued_at timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,       -- free again from here on
    PRIMARY KEY (queue_id, key)
) WITH (vacuum_truncate = off);
CREATE INDEX pgqrs_keys_expires_key ON pgqrs_keys (queue_id, expires_at); -- the order in which they go
COMMENT ON TABLE pgqrs_keys IS 'Keys of messages, remembered for a while: an enqueue with one of them stores nothing.';

------------------------------------------------------------------ views, for people

CREATE VIEW pgqrs_archive AS
SELECT q.name AS queue, d.queue_id, d.id, m.payload, m.enqueued_at, d.archived_at, d.read_ct, d.attempt
FROM pgqrs_done d
JOIN pgqrs_messages m USING (queue_id, id)
JOIN pgqrs_queues q ON q.id = d.queue_id;
COMMENT ON VIEW pgqrs_archive IS 'What was archived, payload included.';

CREATE VIEW pgqrs_dead_letters AS
SELECT q.name AS queue, d.queue_id, d.id, m.payload, m.enqueued_at, d.died_at, d.read_ct, d.attempt, d.error
FROM pgqrs_dead d
JOIN pgqrs_messages m USING (queue_id, id)
JOIN pgqrs_queues q ON q.id = d.queue_id;
COMMENT ON VIEW pgqrs_dead_letters IS 'The dead letters, with payload and error.';

CREATE VIEW pgqrs_queue_contents AS
SELECT q.name AS queue, s.queue_id, s.id, s.state, m.payload, m.enqueued_at, s.vt, s.read_ct, s.attempt,
       w.name AS worker
FROM (
    SELECT queue_id, id, CASE WHEN vt <= statement_timestamp() THEN 'ready' ELSE 'leased' END AS state,
           vt, read_ct, attempt, CASE WHEN vt > statement_timestamp() THEN worker END AS worker
    FROM pgqrs_live
    UNION ALL
    SELECT queue_id, id, CASE WHEN vt <= statement_timestamp() THEN 'ready' ELSE 'scheduled' END,
           vt, read_ct, attempt, NULL
    FROM pgqrs_scheduled
    UNION ALL
    SELECT queue_id, id, 'dead', NULL, read_ct, attempt, NULL
    FROM pgqrs_dead
) s
JOIN pgqrs_messages m USING (queue_id, id)
JOIN pgqrs_queues q ON q.id = s.queue_id
LEFT JOIN pgqrs_workers w ON w.queue_id = s.queue_id AND w.id = s.worker;
COMMENT ON VIEW pgqrs_queue_contents IS 'Every message that is not done, with its state and who holds it.';

-------------------------------------------------------------------------- functions
--
-- The hot path. Functions, because a function carries its settings with it (they are at
-- the end of this file): through a pooler, in a transaction of the caller's own, from psql
-- and from triggers.
--
-- Nothing here needs statistics, and no join is left for the planner to turn around: rows
-- are named by a range of their key, or one by one by all of it, in a LATERAL that stays one
-- (by its OFFSET 0, or its lock); and once found, by ctid.
--
-- Ids that lie close together, as those of most batches do, are read and settled as one
-- range of the key: one descent into the index instead of one each. "Close" is four
-- places per id.
--
-- A receipt is (id, worker, read_ct). The functions that take receipts take them as three
-- arrays, ids ascending and unique; a read_ct of -1 stands for "whichever, if it is this
-- worker's". They change only what the receipt still owns and answer with the ids of that, in any
-- order.
--
-- width_bucket(id, ids) finds the place of an id in a sorted array by bisection. The
-- arrays stand in sub-selects, (SELECT _ids): a variable's array is in a form that
-- width_bucket would convert again for every row, a sub-select's was converted once. Where
-- no id is left out, as in most batches, the place is a subtraction: a bisection for each of
-- the arrays would be a tenth of the work.

-- Whether one range of the key is the way to read these ids (ascending).
CREATE FUNCTION pgqrs_close(_ids bigint[]) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT _ids[cardinality(_ids)]::float8 - _ids[1] < 4 * cardinality(_ids) -- float8: no overflow
$$;

-- The first of ids that are close, if none is left out between it and the last. Else null.
CREATE FUNCTION pgqrs_base(_ids bigint[]) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN _ids[cardinality(_ids)] - _ids[1] = cardinality(_ids) - 1 THEN _ids[1] END
$$;

-- The place of an id between the first and the last of _ids, or where it would be.
CREATE FUNCTION pgqrs_place(_id bigint, _ids bigint[], _base bigint) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN _base IS NULL THEN width_bucket(_id, _ids) ELSE (_id - _base)::integer + 1 END
$$;

-- Waiting
--
-- NOTIFY takes a lock that the whole database shares until the transaction has
-- ended, flush included, so nobody is notified unless somebody waits. A waiting session says
-- so by an advisory lock, shared by all who wait for that queue (pgqrs_wait): no row is
-- written, and nothing is left behind when it dies. Whoever makes a message ready tries to
-- get that lock alone, and gives it back at once if it could: then nobody waits.
--
-- Nobody is overlooked. Who enqueues holds the queue's other lock (of pgqrs_enqueue_batch)
-- from before this question until its commit, and who releases one of its own (as that one
-- would deadlock with delete_queue); who begins to wait first takes the one, and then asks for
-- the others: so either is seen by the other.

-- What stands for waiting on a queue, of this schema and no other.
CREATE FUNCTION pgqrs_wait_key(_queue_id bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT ('pgqrs_queues'::regclass::oid::bigint << 32) # _queue_id
$$;

CREATE FUNCTION pgqrs_channel(_queue_id bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'pgqrs_' || 'pgqrs_queues'::regclass::oid::text || '_' || _queue_id::text
$$;

CREATE FUNCTION pgqrs_is_waited_for(_queue_id bigint) RETURNS boolean LANGUAGE sql AS $$
    SELECT CASE WHEN pg_try_advisory_lock(pgqrs_wait_key(_queue_id))
                THEN NOT pg_advisory_unlock(pgqrs_wait_key(_queue_id)) ELSE true END
$$;

-- What is to come: in how long the next scheduled message is due, and whether a
-- transaction is open that may have enqueued before it could know that anybody waits.
CREATE FUNCTION pgqrs_upcoming(_queue_id bigint, OUT due_in interval, OUT unsure boolean)
LANGUAGE plpgsql AS $$
BEGIN
    unsure := NOT pg_try_advisory_xact_lock(7737617083142869363 # _queue_id)
              OR NOT pg_try_advisory_xact_lock(3141592653589793238 # _queue_id);
    due_in := (SELECT vt FROM pgqrs_scheduled
               WHERE queue_id = _queue_id AND vt > statement_timestamp()
               ORDER BY queue_id, vt LIMIT 1) - clock_timestamp();
END
$$;

-- Has this session notified of what becomes ready in the queue, on the channel that is
-- returned, by 'ready'. After 'scheduled' pgqrs_upcoming says when: the notification comes
-- at the commit, which may be long after the enqueue.
CREATE FUNCTION pgqrs_wait(_queue_id bigint, OUT channel text, OUT due_in interval, OUT unsure boolean)
LANGUAGE plpgsql AS $$
BEGIN
    channel := pgqrs_channel(_queue_id);
    EXECUTE format('LISTEN %I', channel);
    PERFORM pg_advisory_lock_shared(pgqrs_wait_key(_queue_id));
    SELECT u.due_in, u.unsure INTO pgqrs_wait.due_in, pgqrs_wait.unsure FROM pgqrs_upcoming(_queue_id) u;
END
$$;

-- The opposite.
CREATE FUNCTION pgqrs_wait_no_more(_queue_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_unlock_shared(pgqrs_wait_key(_queue_id));
    EXECUTE format('UNLISTEN %I', pgqrs_channel(_queue_id));
END
$$;

-- Stores the payloads in order and makes them ready, or due after _delay if that is
-- given. An unknown queue is an error (SQLSTATE PQ001).
--
-- The advisory lock is what keeps a queue from being deleted under its producers: they
-- share it to the end of their transaction, delete_queue wants it alone. So a queue is
-- deleted before this function sees it, or after these messages are committed (and then it
-- is not empty). The key is a number of ours, xor the queue's.
CREATE FUNCTION pgqrs_enqueue_batch(_queue_id bigint, _payloads json[], _delay interval DEFAULT NULL,
                                    OUT ids bigint[], OUT enqueued_at timestamptz, OUT vt timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7737617083142869363 # _queue_id);
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        -- An older snapshot may still see a queue that is gone: this fails then (40001).
        PERFORM FROM pgqrs_queues WHERE id = _queue_id FOR KEY SHARE;
    END IF;
    IF NOT EXISTS (SELECT FROM pgqrs_queues WHERE id = _queue_id) THEN
        RAISE EXCEPTION 'there is no queue with id %', _queue_id USING ERRCODE = 'PQ001';
    END IF;
    enqueued_at := statement_timestamp();
    vt := enqueued_at + coalesce(_delay, interval '0');
    -- unnest keeps the order, and ids are drawn in the order of insertion.
    IF _delay IS NULL THEN
        WITH body AS (
            INSERT INTO pgqrs_messages (queue_id, enqueued_at, payload)
            SELECT _queue_id, pgqrs_enqueue_batch.enqueued_at, payload FROM unnest(_payloads) AS payload
            RETURNING id
        ), state AS (
            INSERT INTO pgqrs_live (queue_id, id, vt)
            SELECT _queue_id, id, pgqrs_enqueue_batch.vt FROM body
        )
        SELECT array_agg(id) INTO pgqrs_enqueue_batch.ids FROM body;
    ELSE
        WITH body AS (
            INSERT INTO pgqrs_messages (queue_id, enqueued_at, payload)
            SELECT _queue_id, pgqrs_enqueue_batch.enqueued_at, payload FROM unnest(_payloads) AS payload
            RETURNING id
        ), state AS (
            INSERT INTO pgqrs_scheduled (queue_id, vt, id)
            SELECT _queue_id, pgqrs_enqueue_batch.vt, id FROM body
        )
        SELECT array_agg(id) INTO pgqrs_enqueue_batch.ids FROM body;
    END IF;
    IF pgqrs_is_waited_for(_queue_id) THEN
        PERFORM pg_notify(pgqrs_channel(_queue_id), CASE WHEN _delay IS NULL THEN 'ready' ELSE 'scheduled' END);
    END IF;
END
$$;

-- The same for messages of which some have a key (null: none): those whose key is not free are
-- not stored, and answered with the id and the time of the first. vt is _delay after that.
--
-- A key that another transaction is just using is waited for. In the keys' order, so that nobody
-- waits in a circle; and only then is it known who was first: so the rows are put in, or locked,
-- by one statement, and read by the next, whose snapshot has them. (Above READ COMMITTED, where
-- it has not, the first fails: 40001.) The ids are drawn before, to go in with the keys; those of
-- repeats are never used.
--
-- Keys that are free again are removed along the way, for every 64 messages (on average: which
-- calls do it is left to chance) 128, and two for each message of the call: so they go at least
-- twice as fast as they come. Each session goes on where it ended the last time, or a walk from
-- the start would lead over all that vacuum cannot remove while somebody holds an old snapshot.
-- What is in use just then is skipped, and left to a session that begins.
CREATE FUNCTION pgqrs_enqueue_once(_queue_id bigint, _payloads json[], _keys text[], _retention interval,
                                   _delay interval DEFAULT NULL,
                                   OUT ids bigint[], OUT enqueued_at timestamptz[], OUT vt timestamptz[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _count integer := cardinality(_payloads);
    _sequence regclass := pg_get_serial_sequence('pgqrs_messages', 'id');
    _now timestamptz := statement_timestamp();
    _drawn bigint[];
    _stored integer;
    _swept text := 'pgqrs.swept_' || 'pgqrs_keys'::regclass::oid::text || '_' || _queue_id::text;
    _from timestamptz;
    _to timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7737617083142869363 # _queue_id); -- this far as above
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM pgqrs_queues WHERE id = _queue_id FOR KEY SHARE;
    END IF;
    IF NOT EXISTS (SELECT FROM pgqrs_queues WHERE id = _queue_id) THEN
        RAISE EXCEPTION 'there is no queue with id %', _queue_id USING ERRCODE = 'PQ001';
    END IF;
    SELECT array_agg(nextval(_sequence)) INTO _drawn FROM generate_series(1, _count);

    -- Twice in one batch: the first counts, which has the lowest id.
    INSERT INTO pgqrs_keys AS k (queue_id, key, id, enqueued_at, expires_at)
    SELECT _queue_id, key, min(id), _now, _now + _retention
    FROM (SELECT key COLLATE "C" AS key, id FROM unnest(_keys, _drawn) AS n (key, id)) n
    WHERE key IS NOT NULL
    GROUP BY key
    ORDER BY key
    ON CONFLICT (queue_id, key) DO UPDATE
    SET id = excluded.id, enqueued_at = excluded.enqueued_at, expires_at = excluded.expires_at
    WHERE k.expires_at <= _now;
    GET DIAGNOSTICS _stored = ROW_COUNT;

    IF _stored = _count THEN -- all have keys, and all of these were free
        ids := _drawn;
        enqueued_at := array_fill(_now, ARRAY[_count]);
    ELSE
        SELECT array_agg(coalesce(k.id, n.id) ORDER BY place), array_agg(coalesce(k.enqueued_at, _now) ORDER BY place)
        INTO pgqrs_enqueue_once.ids, pgqrs_enqueue_once.enqueued_at
        FROM unnest(_keys, _drawn) WITH ORDINALITY AS n (key, id, place)
        LEFT JOIN LATERAL (
            SELECT id, enqueued_at FROM pgqrs_keys
            WHERE queue_id = _queue_id AND key = n.key OFFSET 0) k ON true;
    END IF;
    vt := ARRAY(SELECT enqueued_at + coalesce(_delay, interval '0')
                FROM unnest(pgqrs_enqueue_once.enqueued_at) AS enqueued_at);

    IF _delay IS NULL THEN
        WITH body AS (
            INSERT INTO pgqrs_messages (queue_id, id, enqueued_at, payload) OVERRIDING SYSTEM VALUE
            SELECT _queue_id, id, _now, payload
            FROM unnest(_payloads, pgqrs_enqueue_once.ids, _drawn) AS n (payload, id, drawn)
            WHERE id = drawn
            RETURNING id
        )
        INSERT INTO pgqrs_live (queue_id, id, vt) SELECT _queue_id, id, _now FROM body;
    ELSE
        WITH body AS (
            INSERT INTO pgqrs_messages (queue_id, id, enqueued_at, payload) OVERRIDING SYSTEM VALUE
            SELECT _queue_id, id, _now, payload
            FROM unnest(_payloads, pgqrs_enqueue_once.ids, _drawn) AS n (payload, id, drawn)
            WHERE id = drawn
            RETURNING id
        )
        INSERT INTO pgqrs_scheduled (queue_id, vt, id) SELECT _queue_id, _now + _delay, id FROM body;
    END IF;
    GET DIAGNOSTICS _stored = ROW_COUNT;

    IF random() * 64 < _count THEN
        _from := timestamptz 'epoch' + nullif(current_setting(_swept, true), '')::bigint * interval '1 microsecond';
        WITH gone AS (
            DELETE FROM pgqrs_keys
            WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM pgqrs_keys
                WHERE queue_id = _queue_id AND expires_at >= coalesce(_from, '-infinity') AND expires_at <= _now
                ORDER BY queue_id, expires_at
                LIMIT 128 + 2 * _count FOR UPDATE SKIP LOCKED))
            RETURNING expires_at
        )
        SELECT max(expires_at) INTO _to FROM gone;
        IF _to IS NOT NULL THEN
            PERFORM set_config(_swept, (extract(epoch FROM _to) * 1000000)::bigint::text, false);
        END IF;
    END IF;
    IF _stored > 0 AND pgqrs_is_waited_for(_queue_id) THEN
        PERFORM pg_notify(pgqrs_channel(_queue_id), CASE WHEN _delay IS NULL THEN 'ready' ELSE 'scheduled' END);
    END IF;
END
$$;

-- For people and triggers: one message, the queue by its name; with a key, once.
CREATE FUNCTION pgqrs_enqueue(_queue text, _payload jsonb, _delay interval DEFAULT NULL, _key text DEFAULT NULL,
                              _retention interval DEFAULT interval '1 day')
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    _queue_id bigint := (SELECT id FROM pgqrs_queues WHERE name = _queue);
BEGIN
    IF _queue_id IS NULL THEN
        RAISE EXCEPTION 'there is no queue named %', _queue USING ERRCODE = 'PQ001';
    END IF;
    IF _key IS NOT NULL THEN
        RETURN (SELECT ids[1] FROM pgqrs_enqueue_once(_queue_id, ARRAY[_payload::json], ARRAY[_key], _retention, _delay));
    END IF;
    RETURN (SELECT ids[1] FROM pgqrs_enqueue_batch(_queue_id, ARRAY[_payload::json], _delay));
END
$$;

-- Registers a consumer, and forgets those of its queue that were not seen for a day. Null if
-- there is no such queue. A function, so that consumers need no right on any table.
CREATE FUNCTION pgqrs_register_worker(_queue_id bigint, _name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    _id bigint;
BEGIN
    DELETE FROM pgqrs_workers
    WHERE queue_id = _queue_id AND seen_at < statement_timestamp() - interval '1 day';
    INSERT INTO pgqrs_workers (queue_id, name) SELECT id, _name FROM pgqrs_queues WHERE id = _queue_id
    RETURNING id INTO _id;
    RETURN _id;
END
$$;

-- Leases up to _limit messages for _lock. First, if _due, the scheduled ones that have
-- come due (they get a row in pgqrs_live; due_at says when they were due), then ready
-- ones with an id over _after, oldest first. skip locked: consumers never wait for one
-- another. no key update: see pgqrs_extend_visibility. The rows come unsorted. An unknown
-- queue is an error, told by an empty answer.
--
-- Picked by ctid: the rows are found and locked once, and at most _limit of them.
CREATE FUNCTION pgqrs_dequeue(_queue_id bigint, _worker bigint, _limit integer, _lock interval,
                              _after bigint DEFAULT 0, _due boolean DEFAULT true)
RETURNS TABLE (id bigint, enqueued_at timestamptz, vt timestamptz, read_ct integer, attempt integer,
               payload json, due_at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _got integer := 0;
    _ctids tid[];
    _ids bigint[];
    _read_cts integer[];
    _attempts integer[];
    _base bigint;
BEGIN
    IF _limit IS NULL OR _limit < 1 THEN
        RAISE EXCEPTION 'the limit is %, and must be at least 1', _limit
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF _due THEN
        RETURN QUERY
        WITH due AS (
            DELETE FROM pgqrs_scheduled
            WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM pgqrs_scheduled
                WHERE queue_id = _queue_id AND vt <= statement_timestamp()
                ORDER BY queue_id, vt, id
                LIMIT _limit FOR UPDATE SKIP LOCKED))
            RETURNING id, vt, read_ct, attempt
        ), leased AS (
            INSERT INTO pgqrs_live (queue_id, id, vt, worker, read_ct, attempt)
            SELECT _queue_id, id, statement_timestamp() + _lock, _worker, read_ct + 1, attempt + 1
            FROM due
        )
        SELECT d.id, m.enqueued_at, statement_timestamp() + _lock, d.read_ct + 1, d.attempt + 1, m.payload, d.vt
        FROM due d, LATERAL (
            SELECT enqueued_at, payload FROM pgqrs_messages
            WHERE queue_id = _queue_id AND id = d.id OFFSET 0) m;
        GET DIAGNOSTICS _got = ROW_COUNT;
        -- Looked for due messages: a good moment to be seen, once an hour.
        UPDATE pgqrs_workers SET seen_at = statement_timestamp()
        WHERE queue_id = _queue_id AND id = _worker AND seen_at < statement_timestamp() - interval '1 hour';
        IF _got >= _limit THEN
            RETURN;
        END IF;
    END IF;

    SELECT array_agg(ctid), array_agg(id), array_agg(read_ct + 1), array_agg(attempt + 1)
    INTO _ctids, _ids, _read_cts, _attempts
    FROM (
        SELECT ctid, id, read_ct, attempt FROM pgqrs_live
        WHERE queue_id = _queue_id AND id > _after AND vt <= statement_timestamp()
        ORDER BY queue_id, id
        LIMIT _limit - _got FOR NO KEY UPDATE SKIP LOCKED
    ) ready;
    IF _ids IS NULL THEN
        IF _got = 0 AND NOT EXISTS (SELECT FROM pgqrs_queues WHERE id = _queue_id) THEN
            RAISE EXCEPTION 'there is no queue with id %', _queue_id USING ERRCODE = 'PQ001';
        END IF;
        RETURN;
    END IF;

    UPDATE pgqrs_live
    SET vt = statement_timestamp() + _lock, worker = _worker, read_ct = read_ct + 1, attempt = attempt + 1
    WHERE ctid = ANY (_ctids);

    IF pgqrs_close(_ids) THEN
        _base := pgqrs_base(_ids);
        RETURN QUERY
        SELECT id, enqueued_at, statement_timestamp() + _lock,
               (SELECT _read_cts)[pgqrs_place(id, (SELECT _ids), _base)],
               (SELECT _attempts)[pgqrs_place(id, (SELECT _ids), _base)],
               payload, NULL::timestamptz
        FROM pgqrs_messages
        WHERE queue_id = _queue_id AND id BETWEEN _ids[1] AND _ids[cardinality(_ids)]
          AND id = (SELECT _ids)[pgqrs_place(id, (SELECT _ids), _base)];
    ELSE
        RETURN QUERY
        SELECT l.id, m.enqueued_at, statement_timestamp() + _lock, l.read_ct, l.attempt,
               m.payload, NULL::timestamptz
        FROM unnest(_ids, _read_cts, _attempts) AS l (id, read_ct, attempt), LATERAL (
            SELECT enqueued_at, payload FROM pgqrs_messages
            WHERE queue_id = _queue_id AND id = l.id OFFSET 0) m;
    END IF;
END
$$;

-- Moves the end of the leases to _by from now; never to an earlier time than it was. Returns
-- the ids that are still owned. Made once for many dequeues, if at all: always reads one by one.
--
-- What somebody else has locked is told apart by the strength of the lock. Who settles or
-- purges deletes, which excludes even "key share": a transaction may be open in which its
-- consumer settles the message, for as long as it likes, so the lease is answered for as its
-- owner's and left as it is. Who leases or extends only updates, and is soon done: tried again
-- until then, so that nobody is told of a lease that another is just taking over. But not for
-- longer than a tenth of _by, as all other leases wait for the commit. Whoever then still holds
-- the lock may be taking over what has run out.
--
-- Never waits for a lock, so that it is in nobody's circle.
CREATE FUNCTION pgqrs_extend_visibility(_queue_id bigint, _ids bigint[], _workers bigint[], _read_cts integer[],
                                        _by interval)
RETURNS bigint[] LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _until timestamptz := statement_timestamp() + least(_by / 10, interval '10 s');
    _left bigint[]; -- who is to be tried: null at first is all, at the end nobody
    _ctids tid[];
    _free bigint[];
    _extended bigint[] := '{}';
BEGIN
    LOOP
        SELECT array_agg(ctid), array_agg(id) INTO _ctids, _free
        FROM unnest(_ids, _workers, _read_cts) AS r (id, worker, read_ct), LATERAL (
            SELECT ctid FROM pgqrs_live
            WHERE queue_id = _queue_id AND id = r.id
              AND nullif(worker, 0) = r.worker AND r.read_ct IN (-1, read_ct)
            FOR NO KEY UPDATE SKIP LOCKED) free
        WHERE _left IS NULL OR id = ANY (_left);
        UPDATE pgqrs_live SET vt = greatest(vt, statement_timestamp() + _by)
        WHERE ctid = ANY (_ctids);
        _extended := _extended || _free;
        EXIT WHEN cardinality(_extended) = cardinality(_ids);

        SELECT array_agg(id) INTO _left
        FROM unnest(_ids, _workers, _read_cts) AS r (id, worker, read_ct), LATERAL (
            SELECT FROM pgqrs_live
            WHERE queue_id = _queue_id AND id = r.id
              AND nullif(worker, 0) = r.worker AND r.read_ct IN (-1, read_ct)
            FOR KEY SHARE SKIP LOCKED) busy
        WHERE NOT id = ANY (_extended);
        EXIT WHEN _left IS NULL OR clock_timestamp() > _until;
        PERFORM pg_sleep(0.001);
    END LOOP;
    RETURN ARRAY(
        SELECT id
        FROM unnest(_ids, _workers, _read_cts) AS r (id, worker, read_ct), LATERAL (
            SELECT vt FROM pgqrs_live
            WHERE queue_id = _queue_id AND id = r.id
              AND nullif(worker, 0) = r.worker AND r.read_ct IN (-1, read_ct) OFFSET 0) owned
        WHERE _left IS NULL OR NOT id = ANY (_left) OR id = ANY (_extended) OR vt > clock_timestamp());
END
$$;

-- Takes the rows that the receipts own out of pgqrs_live. Only for the four functions
-- below, which put them somewhere else, and whose settings hold in here as well.
CREATE FUNCTION pgqrs_take_owned(_queue_id bigint, _ids bigint[], _workers bigint[], _read_cts integer[])
RETURNS TABLE (id bigint, read_ct integer, attempt integer) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _base bigint;
    _ctids tid[];
BEGIN
    IF pgqrs_close(_ids) THEN
        _base := pgqrs_base(_ids);
        RETURN QUERY
        DELETE FROM pgqrs_live
        WHERE queue_id = _queue_id AND id BETWEEN _ids[1] AND _ids[cardinality(_ids)]
          AND id = (SELECT _ids)[pgqrs_place(id, (SELECT _ids), _base)]
          AND nullif(worker, 0) = (SELECT _workers)[pgqrs_place(id, (SELECT _ids), _base)]
          AND (SELECT _read_cts)[pgqrs_place(id, (SELECT _ids), _base)] IN (-1, read_ct)
        RETURNING id, read_ct, attempt;
    ELSE
        -- Apart from the DELETE, whose snapshot would not have the version of a row that was
        -- waited for.
        SELECT array_agg(ctid) INTO _ctids
        FROM unnest(_ids, _workers, _read_cts) AS r (id, worker, read_ct), LATERAL (
            SELECT ctid FROM pgqrs_live
            WHERE queue_id = _queue_id AND id = r.id
              AND nullif(worker, 0) = r.worker AND r.read_ct IN (-1, read_ct)
            FOR UPDATE) owned;
        RETURN QUERY
        DELETE FROM pgqrs_live WHERE ctid = ANY (_ctids) RETURNING id, read_ct, attempt;
    END IF;
END
$$;

-- Done, and kept: to pgqrs_done.
CREATE FUNCTION pgqrs_archive(_queue_id bigint, _ids bigint[], _workers bigint[], _read_cts integer[])
RETURNS bigint[] LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _changed bigint[];
BEGIN
    WITH done AS (
        INSERT INTO pgqrs_done (queue_id, id, read_ct, attempt)
        SELECT _queue_id, id, read_ct, attempt
        FROM pgqrs_take_owned(_queue_id, _ids, _workers, _read_cts)
        RETURNING id
    )
    SELECT array_agg(id) INTO _changed FROM done;
    RETURN _changed;
END
$$;

-- Done, and forgotten: state and body.
CREATE FUNCTION pgqrs_delete(_queue_id bigint, _ids bigint[], _workers bigint[], _read_cts integer[])
RETURNS bigint[] LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _changed bigint[];
BEGIN
    WITH body AS (
        DELETE FROM pgqrs_messages
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM pgqrs_take_owned(_queue_id, _ids, _workers, _read_cts) t, LATERAL (
                SELECT ctid FROM pgqrs_messages
                WHERE queue_id = _queue_id AND id = t.id OFFSET 0) body))
        RETURNING id
    )
    SELECT array_agg(id) INTO _changed FROM body;
    RETURN _changed;
END
$$;

-- Given back: to pgqrs_scheduled, due after the delay of the same position. Where
-- _charged is false the attempt is taken back as well: the work was never started.
CREATE FUNCTION pgqrs_release(_queue_id bigint, _ids bigint[], _workers bigint[], _read_cts integer[],
                              _delays interval[], _charged boolean[])
RETURNS bigint[] LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _changed bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock_shared(3141592653589793238 # _queue_id); -- see "Waiting"
    WITH back AS (
        INSERT INTO pgqrs_scheduled (queue_id, vt, id, read_ct, attempt)
        SELECT _queue_id, statement_timestamp() + _delays[place], id, read_ct,
               attempt - CASE WHEN _charged[place] THEN 0 ELSE 1 END
        FROM pgqrs_take_owned(_queue_id, _ids, _workers, _read_cts),
             LATERAL width_bucket(id, (SELECT _ids)) AS place
        RETURNING id
    )
    SELECT array_agg(id) INTO _changed FROM back;
    IF _changed IS NOT NULL AND pgqrs_is_waited_for(_queue_id) THEN
        PERFORM pg_notify(pgqrs_channel(_queue_id),
                          CASE WHEN interval '0' >= ALL (_delays) THEN 'ready' ELSE 'scheduled' END);
    END IF;
    RETURN _changed;
END
$$;

-- Given up: to pgqrs_dead, with the error of the same position.
CREATE FUNCTION pgqrs_dead_letter(_queue_id bigint, _ids bigint[], _workers bigint[], _read_cts integer[],
                                  _errors text[])
RETURNS bigint[] LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _changed bigint[];
BEGIN
    WITH dead AS (
        INSERT INTO pgqrs_dead (queue_id, id, read_ct, attempt, error)
        SELECT _queue_id, id, read_ct, attempt, _errors[width_bucket(id, (SELECT _ids))]
        FROM pgqrs_take_owned(_queue_id, _ids, _workers, _read_cts)
        RETURNING id
    )
    SELECT array_agg(id) INTO _changed FROM dead;
    RETURN _changed;
END
$$;

-- The version of all of the above; what a client checks before it works here.
CREATE FUNCTION pgqrs_schema_version() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 1';

-- The settings of the functions above. Consumers mostly start on an empty queue, and a
-- plan made for an empty table (read it all, sort) is fatal at a million rows. (For the same
-- reason ids are looked up as a range or one by one: `id = ANY (...)` may become a filter on a
-- walk over the whole key, which no setting prevents.)
--
--   enable_seqscan, enable_bitmapscan off: walk the key; enable_sort off: in its order
--   plan_cache_mode force_generic_plan: plan once per session, whatever the arguments
--   max_parallel_workers_per_gather 0: a hundred rows are not worth a process, whatever
--     the server believes of a range it knows no bounds of
--   jit off: what is switched off above costs 1e10 on paper, and would be compiled
--   search_path: the schema that this file was installed in, and nobody's temporary
--     tables before it
DO $$
DECLARE
    _function regprocedure;
BEGIN
    FOR _function IN
        SELECT p.oid
        FROM pg_proc p
        JOIN pg_namespace n ON n.oid = p.pronamespace
        JOIN pg_language l ON l.oid = p.prolang
        WHERE n.nspname = current_schema() AND starts_with(p.proname, 'pgqrs_') AND l.lanname = 'plpgsql'
          AND p.proname <> 'pgqrs_take_owned' -- has its callers'; setting them again costs 10 µs
    LOOP
        EXECUTE format(
            'ALTER FUNCTION %s
                 SET search_path = %I, pg_temp
                 SET plan_cache_mode = force_generic_plan
                 SET enable_seqscan = off
                 SET enable_bitmapscan = off
                 SET enable_sort = off
                 SET max_parallel_workers_per_gather = 0
                 SET jit = off',
            _function, current_schema());
    END LOOP;
END
$$;
