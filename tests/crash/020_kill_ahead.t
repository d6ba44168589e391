#!/bin/bash
# archive-push is killed at every step while it pushes ahead. Whatever a later call then says is
# archived must be there, byte for byte.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"

crashing=$work/bin/pgbr-crash
cp "${CRASHING:-$top/build/crash/pgbr}" "$crashing"
cluster_init main 15 --wal-segsize=1
cluster_start main
write_config --cipher secret --repo "far: {path: $work/far, optional: yes}" \
    --cluster 'archive_push_ahead: 8' main
pgbr init main
archive_on main
sql main "alter system set archive_command = 'false'" "select pg_reload_conf()"
status=main/pg_wal/archive_status

backlog() { # sets names: four segments that wait
    local _
    for _ in 1 2 3 4; do
        sql main "select pg_logical_emit_message(true, 'x', repeat('y', 9000))" "select pg_switch_wal()"
    done
    mapfile -t names < <(find "$status" -name '*.ready' -printf '%f\n' | sed 's/\.ready$//' | sort)
}
push_killed() { # POINT: the first of them
    as_owner env PGBR_CRASH_AT="$1" PGBR_CRASH_LOG="$work/passed" "$crashing" -c "$config" \
        archive-push main "$work/main/pg_wal/${names[0]}"
}
# As the archiver goes on: each is pushed, and after that it must be there.
all_archived() {
    local name
    for name in "${names[@]}"; do
        pgbr archive-push main "$work/main/pg_wal/$name" || return 1
        mv "$status/$name.ready" "$status/$name.done"
        rm -f "$work/got/$name"
        pgbr archive-get main "$name" "$work/got/$name" || return 1
        cmp "$work/got/$name" "main/pg_wal/$name" || return 1
    done
}
as_owner mkdir "$work/got"

backlog
ok 'one call pushes all' push_killed none
ok 'all are there' all_archived
sort passed | uniq -c | awk '{print $2, $1}' >points
ok 'it passes the steps of pushing ahead' grep -q '^ahead-saved' points
while read -r point times <&3; do
    for n in $(printf '%s\n' 1 "$times" | sort -un); do
        backlog
        fails 137 '' "killed at $point:$n" push_killed "$point:$n"
        ok 'what is then called archived is there' all_archived
    done
done 3<points
ok 'verify finds nothing' pgbr verify main --deep
done_testing
