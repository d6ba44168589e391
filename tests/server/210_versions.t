#!/bin/bash
# Every supported version of PostgreSQL: archive, back up while clients write, go back to a moment,
# list, verify, check.
. "${0%/*}/../lib/pgbr.sh"
. "$lib/load.sh"

for major in ${VERSIONS:-13 14 15 16 17 18}; do
    name=v$major copy=copy$major
    cluster_init "$name" "$major"
    cluster_config "$name" "track_commit_timestamp = on" "max_prepared_transactions = 20"
    write_config --cipher secret --cluster "rate_limit: 20MB" "$name"
    cluster_start "$name"
    pgbr init "$name"
    archive_on "$name"
    load_tables "$name"
    sql "$name" "select lo_from_bytea(0, 'x')" "create database other"
    sql "$name/other" 'create table t as select n, repeat(md5(n::text), 20) from generate_series(1, 2000) n'
    load_start "$name" 2
    ok "PostgreSQL $major is backed up while clients write" pgbr backup "$name"
    load_stop "$name"
    isnt "$(load_count "$name")" 0 'they wrote'
    wanted=$(dump_sum "$name")
    moment=$(sql "$name" 'select clock_timestamp()')
    sql "$name" 'drop table ledger' 'drop database other'
    wait_archived "$name"
    ok "PostgreSQL $major is restored to a time" pgbr restore "$name" --target-time "$moment" \
        --target-action promote --data-dir "$work/$copy"
    restore_start "$copy"
    is "$(dump_sum "$copy")" "$wanted" "what PostgreSQL $major held at that time is there"
    is "$(sql "$copy" 'select sum(amount) from account')" 0 'and all transactions are whole'
    ok "list of PostgreSQL $major" pgbr list "$name" --json
    like "$out" "\"pg_major\": ?$major" 'it tells the version'
    like "$out" '"gaps": ?\[\]' 'no gap'
    like "$out" '"windows": ?\[[[:space:]]*\{[^}]*"from"' 'and how far one can go back'
    ok "verify of PostgreSQL $major" pgbr verify "$name"
    ok "verify --deep of PostgreSQL $major" pgbr verify "$name" --deep
    fails 3 ' 0 failed' "check of PostgreSQL $major: only that data and repository share a disk" \
        pgbr check "$name"
    cluster_stop "$name" immediate
    cluster_stop "$copy" immediate
done
done_testing
