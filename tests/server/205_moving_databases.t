#!/bin/bash
# A database that is copied file by file while a backup runs is made again by replay, from the copy
# of its source. Where that source went away meanwhile, the backup would lack the database: it must
# not be listed.
. "${0%/*}/../lib/pgbr.sh"

as_owner mkdir "$work/ts1" "$work/ts2"
cluster_init main 15 --wal-segsize=4
cluster_start main
write_config --cluster "rate_limit: 12MB" main
pgbr init main
archive_on main
sql main "create tablespace one location '$work/ts1'" "create tablespace two location '$work/ts2'" \
    "create database moved" "create database scattered"
sql main/moved "create table t as select generate_series(1, 1000) n"
sql main/scattered "create table t tablespace one as select generate_series(1, 1000) n"

in_backup() { # NAME: until it copies files
    pgbr backup main >"$1.out" 2>&1 &
    backup=$!
    begun() {
        grep -q 'started at' "$1.out"
    }
    wait_for 30 begun "$1"
}
ended() { # NAME: sets $status and $out
    status=0
    wait "$backup" || status=$?
    out=$(cat "$1.out")
    echo "$out"
}
backups() {
    pgbr list main --json | grep -c '"label"' || true
}

in_backup moving
sql main "alter database moved set tablespace two"
ended moving
is "$status" 1 'a database moves to another tablespace: the backup fails'
like "$out" 'was copied from database .* file by file .* take the backup again' 'saying why, and what to do'
is "$(backups)" 0 'it is not listed'

# its tables elsewhere go away with it: there, no file says that a directory is whole
in_backup dropping
sql main "create database heir template scattered strategy file_copy" "drop database scattered"
ended dropping
is "$status" 1 'a database is copied and dropped: the backup fails'
like "$out" 'was copied from database' 'saying so'
is "$(backups)" 0 'it is not listed either'

in_backup copying
sql main "create database second template heir strategy file_copy" \
    "create database third template moved strategy wal_log" "drop database moved"
ended copying
is "$status" 0 'a database that is copied and stays does no harm, nor one whose copy is in the WAL'
wait_archived main
ok 'it is restored' pgbr restore main --data-dir "$work/copy" --tablespace-map "one=$work/c1" \
    --tablespace-map "two=$work/c2"
restore_start copy
for name in heir second third; do
    is "$(sql "copy/$name" 'select count(*) from t')" 1000 "database $name is there with its table"
done
is "$(sql copy "select count(*) from pg_database")" "$(sql main "select count(*) from pg_database")" \
    'as many as in the original'
ok 'pg_amcheck finds nothing' pg_client pg_amcheck -h "$work/sock" -p "$(port copy)" -U postgres \
    --all --install-missing
done_testing
