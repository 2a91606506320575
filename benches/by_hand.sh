#!/bin/sh
# The baseline of RESULTS.md: the same work without the library. pgbench sends plain
# prepared statements (no functions) over the same tables, enqueues in batches of
# 1,000, then dequeues 100 and archives them, on two connections. Payloads are read by the
# server and not sent.
#
#   benches/by_hand.sh DSN [MESSAGES]
#
# Works in a schema of its own, which it drops in the end.
set -eu
dsn=$1
messages=${2:-200000}
schema=pgqrs_by_hand_$$
dir=$(mktemp -d)
sql() { psql -X -q -At -v ON_ERROR_STOP=1 "$dsn" "$@"; }
trap 'PGOPTIONS="-c client_min_messages=warning" sql -c "DROP SCHEMA IF EXISTS $schema CASCADE"; rm -rf "$dir"' EXIT
PGBENCH=$(command -v pgbench || ls /usr/lib/postgresql/*/bin/pgbench | tail -n 1)

sql -c "CREATE SCHEMA $schema"
export PGOPTIONS="-c search_path=$schema -c enable_seqscan=off -c enable_bitmapscan=off -c enable_sort=off -c jit=off"
sql -1 -f "$(dirname "$0")/../schema.sql"
sql -c "INSERT INTO pgqrs_queues (name) VALUES ('tasks')"

cat >"$dir/enqueue.sql" <<'SQL'
WITH body AS (
    INSERT INTO pgqrs_messages (queue_id, payload)
    SELECT 1, p FROM unnest(array_fill('{"p": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}'::json, ARRAY[1000])) p
    RETURNING id
), state AS (
    INSERT INTO pgqrs_live (queue_id, id, vt) SELECT 1, id, statement_timestamp() FROM body
)
SELECT count(*) FROM body;
SQL
cat >"$dir/drain.sql" <<'SQL'
WITH leased AS (
    UPDATE pgqrs_live SET vt = statement_timestamp() + '60 s', worker = 7, read_ct = read_ct + 1, attempt = attempt + 1
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM pgqrs_live WHERE queue_id = 1 AND id > :after AND vt <= statement_timestamp()
        ORDER BY queue_id, id LIMIT 100 FOR UPDATE SKIP LOCKED))
    RETURNING id, vt, read_ct, attempt
), read AS (
    SELECT l.id, m.payload
    FROM set_config('synchronous_commit', 'off', true), leased l, LATERAL (
        SELECT payload FROM pgqrs_messages WHERE queue_id = 1 AND id = l.id OFFSET 0) m
)
SELECT coalesce(max(id), 0) AS last, array_agg(id ORDER BY id) AS ids FROM read \gset
WITH gone AS (
    DELETE FROM pgqrs_live WHERE queue_id = 1 AND id = ANY (:ids::bigint[]) AND worker = 7
    RETURNING id, read_ct, attempt
), done AS (
    INSERT INTO pgqrs_done (queue_id, id, read_ct, attempt) SELECT 1, id, read_ct, attempt FROM gone
    RETURNING id
)
SELECT count(*) AS n FROM done \gset
\set after :last
SQL

# transactions per second, times messages per transaction
rate() { # script, clients, transactions per client, messages per transaction
    "$PGBENCH" -M prepared -n -D after=0 -f "$dir/$1.sql" -c "$2" -j "$2" -t "$3" "$dsn" 2>/dev/null |
        awk -v per="$4" '/^tps/ { printf "%.0f", $3 * per }'
}
enqueued=$(rate enqueue 1 $((messages / 1000)) 1000)
drained=$(rate drain 2 $((messages / 200 * 99 / 100)) 100)
printf '{"by_hand":true,"messages":%s,"consumers":2,"batch":100,"enqueue_per_s":%s,"drain_per_s":%s,"archived":%s}\n' \
    "$messages" "$enqueued" "$drained" "$(sql -c 'SELECT count(*) FROM pgqrs_done')"
