#!/bin/bash
# Incrementals of a standby whose restartpoint does not move: without load, and with checkpoints far apart. They
# start where their base did, and hold what it holds all the same.
. "${0%/*}/../lib/pgbr.sh"
. "$lib/load.sh"
bin=$(pg_version_dir 15)/bin

cluster_init main 15 --wal-segsize=1
cluster_config main "checkpoint_timeout = 1h" "max_wal_size = 2GB" "max_prepared_transactions = 20" \
    "track_commit_timestamp = on" "autovacuum = off" "wal_keep_size = 512MB"
cluster_start main
cluster_standby standby main
write_config --cluster "primary: \"$(connection main)\"" main
pgbr init main
archive_on main
cp "$config" standby.yml
sed -i "s|^state_dir: .*|state_dir: $work/state2|; s|^    data: .*|    data: $work/standby|
    s|^    connection: .*|    connection: \"$(connection standby)\"|" standby.yml
[ "$run_as" = "$(id -un)" ] || chown "$run_as" standby.yml
caught_up() {
    [ "$(sql standby "select pg_last_wal_replay_lsn() >= '$(sql main 'select pg_current_wal_lsn()')'")" = t ]
}
backup() { # TYPE: of the standby
    as_owner "$PGBR" -c "$work/standby.yml" backup main --json --type "$1" >made 2>made.log
    cat made.log >&2
}
made() {
    python3 -c 'import json, sys; print(*(json.load(open("made"))[n] for n in sys.argv[1:]))' "$@"
}
restores() { # NAME: the newest backup, and all WAL behind it
    local wanted
    wanted=$(dump_sum main)
    wait_archived main
    rm -rf copy
    pgbr -q restore main --set "$(made label)" --data-dir "$work/copy" >&2
    restore_start copy >&2
    is "$(dump_sum copy)" "$wanted" "$1"
    cluster_stop copy >&2
    ok 'its pages are whole' as_owner "$bin/pg_checksums" --check -D "$work/copy"
}

# ---- nothing happens between them
load_tables main
sql main "create table bulk as select n, repeat(md5(n::text), 30) as t from generate_series(1, 30000) n" checkpoint
wait_for 30 caught_up
backup full
first=$(made start_lsn)
for n in 1 2; do
    backup incr
    is "$(made type changes_found start_lsn)" "incr wal $first" "incremental $n of an idle standby"
    ok 'stores next to nothing' test "$(made stored_bytes)" -lt 1000000
done
restores 'and restores'

# ---- the primary is written to while they are made, but makes no checkpoint
for n in 3 4 5; do
    sql main "update bulk set t = 'x' || t where n % 1000 = $n"
    wait_for 30 caught_up
    load_start main 2
    backup incr
    load_stop main
    is "$(made type changes_found start_lsn)" "incr wal $first" "incremental $n starts where its base did"
done
restores 'and has what was written'

# ---- then it makes one
sql main "delete from bulk where n % 1000 = 7" checkpoint "update bulk set t = 'y' || t where n % 1000 = 8"
wait_for 30 caught_up
backup incr
is "$(made type changes_found)" 'incr wal' 'with a new restartpoint'
isnt "$(made start_lsn)" "$first" 'it starts there'
restores 'and restores'

# ---- hint bits that are in no WAL: the primary's pages differ from those that were copied from the standby
sql main "create table hinted as select n, repeat(md5(n::text), 30) as t from generate_series(1, 30000) n" \
    "select count(*) from hinted" checkpoint >/dev/null
wait_for 30 caught_up
backup full
for n in 1 2; do
    pgbr backup main --json --type incr >made 2>made.log
    is "$(made type changes_found)" 'incr wal' "incremental $n of the primary, on top: no alarm"
done
restores 'and restores'

# ---- bases that are ahead of the standby
refused() { # WHY
    backup incr
    is "$(made type)" full "no base: the standby has made no restartpoint $1"
    like "$(<made.log)" "cannot be the base: the standby has made no restartpoint $1" 'which is told'
}
sql standby "select pg_wal_replay_pause()"
pgbr -q backup main --type full
refused 'since it began'
sql standby "select pg_wal_replay_resume()"
wait_for 30 caught_up

sed "s|^    primary: .*|    rate_limit: 8MB|" "$config" >slow.yml
chown --reference="$config" slow.yml
as_owner "$PGBR" -c "$work/slow.yml" backup main --type full >slow.log 2>&1 &
slow=$!
begun() {
    grep -q 'started at' slow.log
}
wait_for 30 begun
wait_for 30 caught_up # has seen where the backup starts, but not where it ends
sql standby "select pg_wal_replay_pause()"
sql main "update bulk set t = 'z' || t where n % 1000 = 9"
wait "$slow"
refused 'behind its end'
sql standby "select pg_wal_replay_resume()"
wait_for 30 caught_up
restores 'and restores'
ok 'all backups are whole' pgbr verify main --deep
done_testing
