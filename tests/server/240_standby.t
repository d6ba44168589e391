#!/bin/bash
# A standby: made by a restore, backed up while its primary is written to, and kept running by what
# archive-get tells it when the primary stops and the archive has trouble too.
. "${0%/*}/../lib/pgbr.sh"
. "$lib/load.sh"

cluster_init main 15 --wal-segsize=1
cluster_config main "track_commit_timestamp = on" "max_prepared_transactions = 20"
cluster_start main
write_config --cipher secret --cluster "archive_get_timeout: 1s" main
pgbr init main
archive_on main
load_tables main
sql main "create table bulk as select n, repeat(md5(n::text), 30) as t from generate_series(1, 20000) n"
pgbr backup main
sql main "insert into bulk values (-1, 'after the backup')"
wait_archived main

# ---- it is made
ok 'a standby is restored' pgbr restore main --standby --data-dir "$work/standby"
unlike "$out" 'stream from a primary are reset|subscriptions do not run' 'and is not said to be kept from what it is for'
ok 'it will be one' test -e standby/standby.signal
cluster_config standby "primary_conninfo = '$(connection main)'" "hot_standby = on" \
    "wal_retrieve_retry_interval = 500ms" "hot_standby_feedback = on"
streams() {
    [ "$(sql main "select count(*) from pg_stat_replication where state = 'streaming'")" = 1 ]
}
caught_up() {
    [ "$(sql standby "select pg_last_wal_replay_lsn() >= '$(sql main 'select pg_current_wal_lsn()')'")" = t ]
}
cluster_start standby
ok 'it streams' wait_for 30 streams
wait_for 30 caught_up
is "$(sql standby 'select t from bulk where n = -1')" 'after the backup' 'and has everything'

# ---- it is backed up, as from a host of its own
as_standby() { # the configuration there; KEY: VALUE...
    cp "$config" standby.yml
    sed -i "s|^state_dir: .*|state_dir: $work/state2|; s|^    data: .*|    data: $work/standby|
        s|^    connection: .*|    connection: \"$(connection standby)\"|" standby.yml
    [ $# -eq 0 ] || printf '    %s\n' "$@" >>standby.yml
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" standby.yml
}
there() {
    as_owner "$PGBR" -c "$work/standby.yml" "$@"
}
backup_is_good() { # NAME: taken while the primary is written to; the copy has all that was written
    load_start main 2
    ok "a backup of the standby $1" there backup main --json
    load_stop main
    like "$out" '"from_standby": true' 'it is told as one'
    label=$(grep -o '"label": *"[^"]*' <<<"$out" | sed 's/.*"//')
    wanted=$(dump_sum main)
    wait_archived main
    rm -rf copy
    ok 'it is restored' pgbr restore main --set "$label" --data-dir "$work/copy"
    restore_start copy
    is "$(dump_sum copy)" "$wanted" 'the copy holds what the primary held'
    cluster_stop copy
    ok 'its pages are whole' as_owner /usr/lib/postgresql/15/bin/pg_checksums --check -D "$work/copy"
}
as_standby "rate_limit: 20MB" "primary: \"$(connection main)\""
backup_is_good 'whose primary is asked to switch WAL'
sql main "alter system set archive_timeout = '1s'" "select pg_reload_conf()" >/dev/null
as_standby "rate_limit: 20MB"
backup_is_good 'that leaves WAL to archive_timeout'
sql main "alter system reset archive_timeout" "select pg_reload_conf()" >/dev/null

# ---- the primary stops: whatever archive-get finds, the standby runs on
cp "$config" good.yml
troubled() { # NAME REGEX: the trouble is told, twice, and the standby still answers
    local lines
    lines=$(wc -l <log/standby.log)
    told() {
        [ "$(tail -n +$((lines + 1)) log/standby.log | grep -cE "$1")" -ge 2 ]
    }
    ok "$1: it is told, and asked again" wait_for 30 told "$2"
    is "$(sql standby 'select pg_is_in_recovery()')" t "$1: the standby runs on"
}
cluster_stop main
troubled 'the primary is gone' 'could not connect|server closed|connection to server'
mv repo away
troubled 'the store is gone' 'ERROR.*repository "local"'
as_owner mkdir repo
troubled 'an empty directory is in its place' 'ERROR.*repository "local"'
rmdir repo
mv away repo
printf 'repos: {local: {path: /x}\n' >"$config"
troubled 'the configuration is broken' 'ERROR.*pgbr.yml'
sed 's/cipher_pass: "secret"/cipher_pass: "wrong"/' good.yml >"$config"
mv state state.away
troubled 'the key is wrong' 'ERROR.*(passphrase|key)'
rm -rf state
mv state.away state
cp good.yml "$config"
cluster_start main
sql main "insert into bulk values (-2, 'after the trouble')"
ok 'when all is well again, it streams' wait_for 30 streams
wait_for 30 caught_up
is "$(sql standby 'select t from bulk where n = -2')" 'after the trouble' 'and has everything'

# ---- it falls behind what the primary keeps: the archive helps
cluster_stop standby
for _ in 1 2 3 4; do
    sql main "update bulk set n = n where n < 3000" "select pg_switch_wal()" >/dev/null
done
wait_archived main
sql main checkpoint checkpoint
lines=$(wc -l <log/standby.log)
cluster_start standby
wait_for 30 streams
wait_for 30 caught_up
like "$(tail -n +$((lines + 1)) log/standby.log)" 'restored log file' 'a late standby catches up by archive-get'

# ---- it is promoted while it is backed up
backups=$(pgbr list main --json | grep -c '"label"')
as_standby "rate_limit: 8MB" "primary: \"$(connection main)\""
there backup main >backup.out 2>&1 &
backup=$!
begun() {
    grep -q 'started at' backup.out
}
wait_for 30 begun
sql standby "select pg_promote()"
status=0
wait "$backup" || status=$?
cat backup.out
is "$status" 1 'a promotion ends a backup'
like "$(cat backup.out)" 'promot' 'which is told'
is "$(pgbr list main --json | grep -c '"label"')" "$backups" 'it is not listed'
ok 'verify finds nothing' pgbr verify main --deep
done_testing
