#!/bin/bash
# Two primaries with one system identifier push the same segment with different content, as after a
# failover that went wrong: one wins, the other is refused, nothing is overwritten.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"
. "$lib/s3.sh"

s3_start
proxy_start
cluster_init main 15 --wal-segsize=1
cluster_start main
sql main "create table t (n text)"
s3_config --cipher secret --s3 "s3_endpoint: $proxy" main
pgbr init main
cluster_stop main
as_owner cp -a main other
sed "s|state_dir: .*|state_dir: $work/state2|; s|data: .*|data: $work/other|
    s|port=$(port main)|port=$(port other)|" "$config" >other.yml
[ "$run_as" = "$(id -un)" ] || chown "$run_as" other.yml
on_other() {
    as_owner "$PGBR" -c "$work/other.yml" "$@"
}
puts() { # SEGMENT: how many PUTs of it the server took
    proxy_requests "^PUT [^ ]*/$1[^ ]* 200 "
}

# ---- two servers, at the same time
cluster_start main
cluster_start other
archive_on main
archive_on other "$PGBR -c $work/other.yml archive-push main %p"
segment=$(sql main 'select pg_walfile_name(pg_current_wal_insert_lsn())')
is "$(sql other 'select pg_walfile_name(pg_current_wal_insert_lsn())')" "$segment" 'both write the same segment'
sql main "insert into t values ('main')" "select pg_switch_wal()" &
sql other "insert into t values ('other')" "select pg_switch_wal()"
wait $!
archived() {
    test -e "$1/pg_wal/archive_status/$segment.done"
}
one_is_archived() {
    archived main || archived other
}
wait_for 30 one_is_archived
if archived main; then winner=main loser=other; else winner=other loser=main; fi
diag "$winner was first"
refused() {
    grep -q "$segment.*differ\|ERROR.*$segment" "log/$loser.log"
}
ok 'the other is refused, and its server says so' wait_for 30 refused
ok 'its segment is kept' test -e "$loser/pg_wal/archive_status/$segment.ready"
pgbr archive-get main "$segment" "$work/got"
ok 'what is archived is the segment of the winner' cmp got "$winner/pg_wal/$segment"
sleep 2 # it is tried again and again
pgbr archive-get main "$segment" "$work/got"
ok 'and stays it' cmp got "$winner/pg_wal/$segment"
ok 'the loser can see that' on_other archive-get main "$segment" "$work/got2"
is "$(puts "$segment")" 1 'it was written once'
cluster_stop other

# ---- the same, many times, at the same moment
as_owner mkdir a b
make_pair() { # NUMBER: two files that differ, in a and b
    local name
    name=$(printf '00000001%08X%08X' 0 "$1")
    pgbr archive-get main "$segment" "$work/a/$name"
    # the address of its first page: only the second four bytes of the LSN change
    perl -e 'open F, "+<", $ARGV[0] or die; seek F, 8, 0; print F pack "Q<", hex(substr $ARGV[1], 16) << 20' \
        "a/$name" "$name"
    cp "a/$name" "b/$name"
    printf 'other' | dd of="b/$name" bs=1 seek=500000 conv=notrunc status=none
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" "b/$name"
    echo "$name"
}
race() { # MODE
    local name n wins losses=0 whole=0 told=0 twice=0 first
    first=$((16 + $2))
    wins=0
    for ((n = first; n < first + 8; n++)); do
        name=$(make_pair $n)
        a=0 b=0
        pgbr archive-push main "$work/a/$name" >a.out 2>&1 &
        on_other archive-push main "$work/b/$name" >b.out 2>&1 || b=$?
        wait $! || a=$?
        cat a.out b.out
        [ $a -ne 0 ] || wins=$((wins + 1))
        [ $b -ne 0 ] || wins=$((wins + 1))
        [ $a -eq 0 ] || losses=$((losses + 1))
        [ $b -eq 0 ] || losses=$((losses + 1))
        ! cat a.out b.out | grep -q "ERROR.*$name" || told=$((told + 1))
        pgbr archive-get main "$name" "$work/got"
        if [ $a -eq 0 ] && cmp got "a/$name"; then whole=$((whole + 1)); fi
        if [ $b -eq 0 ] && cmp got "b/$name"; then whole=$((whole + 1)); fi
        [ "$(puts "$name")" -le 1 ] || twice=$((twice + 1))
    done
    is "$wins $losses $whole $told" '8 8 8 8' "$1: of each pair one wins, is stored, and the other is refused"
    [ -z "${3:-}" ] || is "$twice" 0 "$1: none is written twice"
}
race 'conditional PUT' 0 once

# Equal content may come twice.
name=$(make_pair 60)
cp "a/$name" "b/$name"
pgbr archive-push main "$work/a/$name" &
ok 'the same content may be pushed twice at the same moment' on_other archive-push main "$work/b/$name"
status=0
wait $! || status=$?
is "$status" 0 'by both'
ok 'verify finds nothing' pgbr verify main
done_testing
