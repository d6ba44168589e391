#!/bin/bash
# Incremental and differential backups: what they read and store, and that what they restore to is
# what a full backup would have brought back.
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15
cluster_config main "autovacuum = off"
cluster_start main
write_config main
pgbr init main
archive_on main
backup() { pgbr backup main --json "$@" | tee "$work/made" >/dev/null; }
made() { # KEY: of the last backup
    python3 -c 'import json, sys; v = json.load(open(sys.argv[1]))[sys.argv[2]]; print("" if v is None else v)' \
        "$work/made" "$1"
}
restored() { # the newest backup, as it is when its own WAL is replayed: a hash of everything
    rm -rf copy
    pgbr -q restore main --data-dir "$work/copy" "$@" >&2
    as_owner "$(pg_version_dir 15)/bin/pg_verifybackup" -n "$work/copy" >&2
    restore_start copy >&2
    dump_sum copy
    cluster_stop copy fast >&2
}

sql main "create table t (id int, filler text)" \
    "insert into t select n, repeat(md5(n::text), 8) from generate_series(1, 40000) n" \
    "create index on t (id)" "create table small (x int)" "insert into small select generate_series(1, 10)"
backup
first=$(made label)
is "$(made type)" full 'without a backup an automatic one is full'
full_stored=$(made stored_bytes)

# ---- nothing changed
backup
is "$(made type) $(made changes_found)" 'incr wal' 'the next one is incremental, and asks the WAL'
[ "$(made read_bytes)" -lt 5000000 ] && pass 'an idle cluster is hardly read' ||
    fail 'an idle cluster is hardly read' "$(made read_bytes) bytes"
is "$(restored)" "$(dump_sum main)" 'and restores to the same'

# ---- scattered pages
sql main "update t set filler = 'x' || filler where id % 1000 = 7"
backup --type incr
is "$(made type)" incr 'incremental'
[ "$(made stored_bytes)" -lt $((full_stored / 4)) ] && pass 'stores little' ||
    fail 'stores little' "$(made stored_bytes) of $full_stored"
sql main "insert into small values (11)" # behind it
wait_archived main
is "$(restored)" "$(dump_sum main)" 'changed pages and the WAL behind them are there'

# ---- a differential builds on the full one
sql main "delete from t where id % 500 = 3" "create table made_later as select * from t where id < 5000"
backup --type diff
is "$(made type)" diff 'differential'
is "$(made base)" "$first" 'builds on the full one'
wait_archived main
is "$(restored)" "$(dump_sum main)" 'and restores'
ok 'all of it is whole' pgbr verify main --deep
done_testing
