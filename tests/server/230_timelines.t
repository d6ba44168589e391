#!/bin/bash
# Several promotions: in-place restores that archive again, branches that were left, backups on them.
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15 --wal-segsize=1
cluster_start main
write_config main
pgbr init main
archive_on main
sql main "create table t (n text)"

row() { # each in WAL that is archived; sets $lsn to a position in it
    lsn=$(sql main 'select pg_current_wal_insert_lsn()')
    sql main "insert into t values ('$1')"
    wait_archived main
}
rows() {
    sql "$1" "select string_agg(n, ' ' order by n) from t"
}
backup() { # sets $label
    pgbr backup main --json >made.json
    label=$(grep -o '"label": *"[^"]*' made.json | head -1 | sed 's/.*"//')
}
back_to() { # restores in place, promotes, archives: a new timeline of the cluster
    cluster_stop main
    ok "restored in place: $*" pgbr restore main --delta --archive on --target-action promote "$@"
    restore_start main
}
timeline() {
    sql main "select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
}
copy_is() { # ROWS NAME OPTION...: what a copy holds
    local want=$1 name=$2
    shift 2
    rm -rf copy
    ok "restored to a copy: $name" pgbr restore main --data-dir "$work/copy" --target-action promote "$@"
    restore_start copy
    is "$(rows copy)" "$want" "$name"
    cluster_stop copy immediate
}

# 1: a b c d       (backup "one" before a)
# 2: a b e f       left 1 behind b (backup "two" between e and f)
# 3: a b g h       left 1 behind b, again (so backup "two" lies on a branch that was left)
# 4: a b g i       left 3 behind g
backup
one=$label
row 1a
row 1b
sql main "select pg_create_restore_point('b')"
row 1c
on_one=$(sql main 'select clock_timestamp()')
sleep 0.1
row 1d
back_to --target-name b
is "$(rows main)" '1a 1b' 'the point is reached'
is "$(timeline)" 2 'on a new timeline'
row 2e
backup
two=$label
row 2f
on_two=$(sql main 'select clock_timestamp()')
sleep 0.1
row 2z
back_to --target-name b --target-timeline 1
is "$(rows main)" '1a 1b' 'the same point once more'
is "$(timeline)" 3 'the next timeline has the next number'
row 3g
sql main "select pg_create_restore_point('g')"
row 3h
on_three=$lsn

ok 'latest, told before' pgbr restore main --data-dir "$work/copy" --plan
like "$out" "$one" 'the newest backup lies on a branch that was left: an older one is taken'
copy_is '1a 1b 3g 3h' 'latest' --target latest
copy_is '1a 1b 3g 3h' 'the newest timeline by number' --target-timeline 3
copy_is '1a 1b 2e 2f 2z' 'a branch that was left' --target-timeline 2
copy_is '1a 1b 1c 1d' 'the first branch' --target-timeline 1
copy_is '1a 1b 2e 2f' 'a time on a branch' --target-timeline 2 --target-time "$on_two"
copy_is '1a 1b 1c' 'a time on the first branch' --target-timeline 1 --target-time "$on_one"
copy_is '1a 1b 2e 2f 2z' 'the timeline of the newest backup' --target-timeline current
copy_is '1a 1b 1c 1d' 'the timeline of another backup' --target-timeline current --set "$one"
copy_is '1a 1b 2e' 'the end of a backup on a branch that was left' --target immediate --set "$two"
fails 1 . 'from a backup on a branch the newest timeline is not reached' \
    pgbr restore main --data-dir "$work/copy2" --set "$two" --target-timeline 3
like "$out" "timeline" 'which is told'
fails 1 . 'a timeline that does not exist' pgbr restore main --data-dir "$work/copy2" --target-timeline 9
fails 1 'timeline 2' 'a point that only another branch reaches' \
    pgbr restore main --data-dir "$work/copy2" --target-timeline 2 --target-name g
ok 'nothing was written' test ! -e copy2

back_to --target-name g
is "$(timeline)" 4 'a branch of a branch'
row 4i
backup
copy_is '1a 1b 3g 4i' 'latest again' --target latest
copy_is '1a 1b 3g' 'a position on it' --target-timeline 3 --target-lsn "$on_three" --exclusive
copy_is '1a 1b 2e 2f 2z' 'the branch of before' --target-timeline 2
is "$(find repo -name '*.history' -printf '%f\n' | sort | tr '\n' ' ')" \
    '00000002.history 00000003.history 00000004.history ' 'all histories are archived'
is "$(cut -f1 main/pg_wal/00000004.history | grep -c '[0-9]')" 2 'the last one has two ancestors'
ok 'list' pgbr list main --json
is "$(grep -o '"windows".*' <<<"$(tr -d '\n' <<<"$out")" | grep -o '"timeline": [0-9]*' | tr -dc '0-9\n' |
    sort -u | tr '\n' ' ')" '1 2 3 4 ' 'moments of every timeline can be gone back to'
ok 'verify finds nothing' pgbr verify main --deep
is "$(find repo -name '0000000[5-9]*' | wc -l)" 0 'no copy has archived anything'
done_testing
