#!/bin/bash
# "drill --keep" leaves what a person can start and look at, says where, and leaves nothing else.
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15 --wal-segsize=1
cluster_start main
write_config main
pgbr init main
archive_on main
sql main "create table t as select generate_series(1, 1000) n"
pgbr backup main
wait_archived main
bin=/usr/lib/postgresql/15/bin

left() { # what there is of drills
    find state/drill state/sandboxes "$@" -mindepth 1 -maxdepth 1 2>/dev/null | sort
}

# ---- what was not restored is not kept
fails 1 'FAILED +plan: ' 'a target that cannot be reached' pgbr drill main --keep --target-lsn F/0
unlike "$out" 'kept in|start it' 'leaves nothing to look at'
fails 2 'no program "postgres"|has PostgreSQL' 'wrong use' pgbr drill main --keep --pg-bin /usr/bin
is "$(left)" '' 'nothing is left of either'

# ---- places with difficult names
i=0
for place in "$work/plain" "$work/with blanks, and a 'quote'" "$work/$(printf 'a%.0s' {1..90})"; do
    i=$((i + 1))
    ok "$place: a drill" pgbr drill main --keep --no-amcheck --dir "$place"
    start=$(sed -n 's/^  start it with: //p' <<<"$out")
    dir=$(sed -n 's/^  kept in *//p' <<<"$out")
    socket=$(sed -n 's/^  its socket is in \(.*\), port 5432$/\1/p' <<<"$out")
    is "$(stat -c %a "$dir")$(stat -c %a "$socket")" 700700 'what is kept is closed to others'
    ok 'no server runs in it' test ! -e "$dir/data/postmaster.pid"
    ok 'the next drill passes' pgbr drill main --no-amcheck --dir "$place"
    ok 'and leaves it alone' test -d "$dir/data/global"
    ok 'it starts as it was told' as_owner bash -c "$start -w -l $work/log/kept$i.log"
    is "$(as_owner "$bin"/psql -XAtq -h "$socket" -p 5432 -U postgres postgres -c \
        "select count(*), current_setting('archive_mode'), pg_is_in_recovery() from t")" '1000|off|f' 'and answers'
    as_owner "$bin"/pg_ctl -D "$dir/data" -w -m fast stop
    rm -r "$dir"
    [ "$socket" = "$dir" ] || rm -r "$socket"
    is "$(left "$place")" '' 'there is nothing else of it'
done

# ---- one that fails is kept as it is
segment=$(sql main "select pg_walfile_name(pg_current_wal_insert_lsn())")
sql main "insert into t select generate_series(1001, 2000)"
wait_archived main
hole=$(find repo/main/wal -type f -name "$segment*")
cp -p "$hole" saved
printf xxxxxxxx | dd of="$hole" bs=1 seek=$(($(stat -c %s "$hole") / 4)) conv=notrunc
fails 1 'FAILED +(start|replay): ' 'a drill that fails in its recovery' pgbr drill main --keep --no-amcheck
start=$(sed -n 's/^  start it with: //p' <<<"$out")
dir=$(sed -n 's/^  kept in *//p' <<<"$out")
cp -p saved "$hole"
ok 'can be started when the reason is gone' as_owner bash -c "$start -w -l $work/log/mended.log"
answers() {
    [ "$(as_owner "$bin"/psql -XAtq -h "$dir" -p 5432 -U postgres postgres -c 'select count(*) from t')" = 2000 ]
}
ok 'and goes on to the end' wait_for 60 answers
as_owner "$bin"/pg_ctl -D "$dir/data" -w -m fast stop
rm -r "$dir"
done_testing
