#!/bin/bash
# shellcheck disable=SC2012
# Prepare the benchmark data sets (safe to re-run: a finished data set is kept).
#
#   $WORK/big     checksummed cluster: pgbench (BIG_SCALE) + about MIXED_MB of mixed text/json rows
#   $WORK/many    cluster with MANY_TABLES small tables (4 files each: heap, pkey, toast, toast index)
#   $WORK/wal     WAL_SEGS consecutive 16 MiB WAL segments written by "big" under a mixed update load
#
# Environment: WORK (required), PG_BIN, BENCH_USER, BIG_SCALE, MIXED_MB, MANY_TABLES, WAL_SEGS, BIG_PORT, MANY_PORT
set -euo pipefail

: "${WORK:?set WORK to an empty directory on the disk to be tested}"
PG_BIN=${PG_BIN:-$(pg_config --bindir)}
BENCH_USER=${BENCH_USER:-postgres}
BIG_SCALE=${BIG_SCALE:-400}
MIXED_MB=${MIXED_MB:-1024}
MANY_TABLES=${MANY_TABLES:-20000}
WAL_SEGS=${WAL_SEGS:-64}
BIG_PORT=${BIG_PORT:-55432}
MANY_PORT=${MANY_PORT:-55433}
SOCK=$WORK/sock
HERE=$(cd "$(dirname "$0")" && pwd)

as() { if [ "$(id -u)" = 0 ]; then runuser -u "$BENCH_USER" -- "$@"; else "$@"; fi; }
sql() { local port=$1; shift; as "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 -h "$SOCK" -p "$port" -U postgres -d bench "$@"; }
start() { as "$PG_BIN/pg_ctl" -D "$WORK/$1" -l "$WORK/$1.log" -w -t 300 start >/dev/null; }
stop() { as "$PG_BIN/pg_ctl" -D "$WORK/$1" -m fast -w -t 600 stop >/dev/null; }

mkdir -p "$WORK" "$SOCK"
[ "$(id -u)" = 0 ] && chown "$BENCH_USER" "$WORK" "$SOCK"
cd "$WORK"

# A new cluster, with load-time settings (no WAL for bulk loads); settings for the benchmark are in bench.conf
new_cluster() {
    local name=$1 port=$2 buffers=$3
    as "$PG_BIN/initdb" -k -U postgres -A trust -E UTF8 --locale=C -D "$WORK/$name" >/dev/null
    as tee -a "$WORK/$name/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$SOCK'
port = $port
shared_buffers = $buffers
autovacuum = off
max_wal_size = 8GB
checkpoint_timeout = 1h
max_locks_per_transaction = 512
maintenance_work_mem = 512MB
include 'bench.conf'
CONF
    as tee "$WORK/$name/bench.conf" >/dev/null <<'CONF'
wal_level = minimal
max_wal_senders = 0
fsync = off
CONF
    start "$name"
    as "$PG_BIN/createdb" -h "$SOCK" -p "$port" -U postgres bench
}

# Settings under which the benchmark runs: durable, archiving on (the command is set by each tool's script)
final_conf() {
    as tee "$WORK/$1/bench.conf" >/dev/null <<'CONF'
wal_level = replica
fsync = on
archive_mode = on
archive_command = '/bin/true'
CONF
}

if [ ! -e "$WORK/big/.done" ]; then
    rm -rf "$WORK/big"
    new_cluster big "$BIG_PORT" 1GB
    as "$PG_BIN/pgbench" -i -q -s "$BIG_SCALE" -h "$SOCK" -p "$BIG_PORT" -U postgres bench 2>/dev/null

    sql "$BIG_PORT" -c "CREATE TABLE mixed (id bigint, created timestamptz, customer uuid, body text, doc json)"
    python3 "$HERE/mixed_rows.py" "$MIXED_MB" | sql "$BIG_PORT" -c "COPY mixed FROM STDIN"
    sql "$BIG_PORT" -c "ALTER TABLE mixed ADD PRIMARY KEY (id)" -c "CREATE INDEX mixed_customer ON mixed (customer)" \
        -c "VACUUM (ANALYZE, FREEZE) mixed" -c "CHECKPOINT"
    stop big
    final_conf big
    as touch "$WORK/big/.done"
fi

if [ ! -e "$WORK/many/.done" ]; then
    rm -rf "$WORK/many"
    new_cluster many "$MANY_PORT" 512MB
    sql "$MANY_PORT" -v n="$MANY_TABLES" <<'SQL'
CREATE PROCEDURE make(total int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..total LOOP
        EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, k int, v text)', i);
        EXECUTE format('INSERT INTO t%s SELECT g, (random() * 1e6)::int, md5(random()::text) || repeat(chr(97 + g %% 26), g) FROM generate_series(1, %s) g', i, 1 + i % 150);
        IF i % 200 = 0 THEN COMMIT; END IF;
    END LOOP;
END $$;
CALL make(:n);
CHECKPOINT;
SQL
    stop many
    final_conf many
    as touch "$WORK/many/.done"
fi

# WAL: run updates on "big" and keep every segment that the archiver hands over. The WAL starts with many full-page images and goes
# on with ordinary records, as after any checkpoint.
if [ "$(ls "$WORK/wal" 2>/dev/null | wc -l)" -lt "$WAL_SEGS" ]; then
    rm -rf "$WORK/wal"
    as mkdir "$WORK/wal"
    as tee "$WORK/mixed.pgbench" >/dev/null <<'SQL'
\set id random(1, 800000)
UPDATE mixed SET created = now(), body = substr(body, 5) || md5(random()::text) WHERE id = :id;
SQL
    start big
    sql "$BIG_PORT" -c "ALTER SYSTEM SET archive_command = 'cp %p $WORK/wal/%f'" -c "SELECT pg_reload_conf()" >/dev/null
    while [ "$(ls "$WORK/wal" | wc -l)" -le "$WAL_SEGS" ]; do
        as "$PG_BIN/pgbench" -n -c 8 -j 2 -T 5 -b simple-update@3 -f "$WORK/mixed.pgbench@1" -h "$SOCK" -p "$BIG_PORT" -U postgres bench >/dev/null
    done
    sql "$BIG_PORT" -c "ALTER SYSTEM RESET archive_command" -c "SELECT pg_reload_conf()" -c "CHECKPOINT" >/dev/null
    stop big
    ls "$WORK/wal" | sort | tail -n +$((WAL_SEGS + 1)) | while read -r f; do rm -f "$WORK/wal/$f"; done
fi

for name in big many; do
    echo "$name: $(du -sb "$WORK/$name" | cut -f1) bytes, $(find "$WORK/$name" -type f | wc -l) files"
done
echo "wal: $(ls "$WORK/wal" | wc -l) segments, zstd -3 makes $(cat "$WORK"/wal/* | zstd -3 -q -c 2>/dev/null | wc -c) bytes of them"
