#!/bin/bash
# Every supported version of PostgreSQL: archive, back up, go back to a moment, list, verify.
. "${0%/*}/../lib/pgbr.sh"

for major in 13 14 15 16 17 18; do
    name=v$major copy=copy$major
    cluster_init "$name" "$major"
    cluster_start "$name"
    write_config "$name"
    pgbr init "$name"
    archive_on "$name"
    sql "$name" 'create table t as select generate_series(1, 1000) n' "select lo_from_bytea(0, 'x')"
    ok "PostgreSQL $major is backed up" pgbr backup "$name"
    sql "$name" 'insert into t values (5000)'
    wanted=$(dump_sum "$name")
    sleep 0.1
    moment=$(sql "$name" 'select clock_timestamp()')
    sleep 0.1
    sql "$name" 'drop table t'
    wait_archived "$name"
    ok "PostgreSQL $major is restored to a time" pgbr restore "$name" --target-time "$moment" \
        --target-action promote --data-dir "$work/$copy"
    restore_start "$copy"
    is "$(dump_sum "$copy")" "$wanted" "what PostgreSQL $major held at that time is there"
    ok "list of PostgreSQL $major" pgbr list "$name"
    like "$out" 'any moment from' 'it shows how far one can go back'
    ok "verify of PostgreSQL $major" pgbr verify "$name" --deep
    cluster_stop "$name"
    cluster_stop "$copy"
done
done_testing
