#!/bin/bash
# Several repositories: required ones, an optional one that goes away and comes back, one that was
# made anew at the same place, and files that must not get in.
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15 --wal-segsize=1
cluster_start main
write_config --cipher secret --repo "second: {path: $work/second}" \
    --repo "far: {path: $work/far, optional: yes}" main
ok 'three repositories are made' pgbr init main
archive_on main
sql main "create table t (n int)"

next() { # a row, in a segment that is archived; sets $segment
    segment=$(sql main "insert into t values ($1)" "select pg_walfile_name(pg_current_wal_insert_lsn())")
    wait_archived main
}
holds() { # REPO SEGMENT
    find "$work/$1" -name "$2*" -type f | grep -q .
}
last_failure() {
    grep -c "archive command failed" log/main.log || true
}

next 1
for repo in repo second far; do ok "a segment is in $repo" holds "$repo" "$segment"; done

# ---- each holds backups of its own
ok 'a backup into the second' pgbr backup main --repo second
ok 'what the default has not is restored from another' pgbr restore main --data-dir "$work/copy" --plan
like "$out" 'repository "second"' 'which is told'
fails 1 'no backup' 'not from one that was named' pgbr restore main --repo local --data-dir "$work/copy"
ok 'a backup into the optional one' pgbr backup main --repo far
ok 'a backup into the default' pgbr backup main
for repo in local second far; do
    ok "$repo is restored from" pgbr restore main --repo "$repo" --data-dir "$work/copy" --plan
    like "$out" "repository \"$repo\"" 'as asked for'
done
ok 'and by default from the first' pgbr restore main --data-dir "$work/copy" --plan
like "$out" 'repository "local"' 'which is told'

# ---- the optional one goes away, and comes back
mv far far.away
next 2
ok 'without the optional repository WAL is archived' holds second "$segment"
like "$(cat log/main.log)" "optional repository \"far\" misses \"$segment\"" 'which is told'
missed=$segment
fails 3 . 'check is not content' pgbr check main --repo far || true
status=0
pgbr list main || status=$?
for n in 3 4 5 6 7 8 9 10 11 12; do next $n; done
mv far.away far
fails 1 '' 'what it missed is not there yet' holds far "$missed"
next 13
ok 'the next segment arrives again' holds far "$segment"
ok 'what was missed is copied' wait_for 10 holds far "$missed"
all_there() {
    local name
    while read -r name; do
        holds far "$name" || return 1
    done < <(find repo -name '0000000100000000000000*' -type f -printf '%f\n')
}
for n in 14 15 16 17; do all_there || next $n; done
ok 'a few at a time, in the end everything' all_there
ok 'far is without a gap' pgbr verify main --repo far --wal
ok 'it can be restored from' pgbr restore main --repo far --data-dir "$work/copy"
restore_start copy
is "$(sql copy 'select count(*) from t')" "$(sql main 'select count(*) from t')" 'with everything'
cluster_stop copy immediate
rm -rf copy

# ---- a gap: the memory of what was missed is lost, too
mv far far.away
next 20
next 21
mv far.away far
rm -f state/main.far.missed
next 22
fails 3 'GAP|missing' 'a gap is shown by list' pgbr list main --repo far
fails 3 'MISSING WAL' 'verify names it' pgbr verify main --repo far --wal
fails 3 'gap|missing' 'check, too' pgbr check main --repo far
ok 'the others have none' pgbr list main --repo local
ok 'the next backup closes it' pgbr backup main --repo far
ok 'verify is content again' pgbr verify main --repo far --wal

# ---- a required one goes away
mv second second.away
failures=$(last_failure)
waiting=$(sql main "insert into t values (30)" "select pg_walfile_name(pg_current_wal_insert_lsn())")
sql main "select pg_switch_wal()" >/dev/null
failed_again() {
    [ "$(last_failure)" -gt "$failures" ]
}
ok 'without a required one archiving fails' wait_for 30 failed_again
ok 'the segment is kept' test -e "main/pg_wal/archive_status/$waiting.ready"
mv second.away second
wait_archived main
ok 'it arrives when the repository is back' holds second "$waiting"

# ---- one is made anew at the same place, by another host: what is remembered of the old one is
# not true any more
mv second second.old
sed "s|^state_dir: .*|state_dir: $work/state2|" "$config" >host2.yml
chown "$run_as" host2.yml
ok 'another host makes it anew' as_owner "$PGBR" -c "$work/host2.yml" init main
next 40
ok 'the next segment arrives' holds second "$segment"
ok 'in the new one' pgbr verify main --repo second --deep
fails 1 'no backup' 'which has no backup of the old one' pgbr restore main --repo second \
    --data-dir "$work/copy" --plan
ok 'but can get one' pgbr backup main --repo second
ok 'verify is content' pgbr verify main --deep
mv second second.new
sed "s|second: {path: $work/second}|second: {path: $work/second, cipher_type: aes-256-cbc, cipher_pass: other}|
    s|/state2|/state3|" host2.yml >host3.yml
chown "$run_as" host3.yml
ok 'made anew with encryption' as_owner "$PGBR" -c "$work/host3.yml" init main
failures=$(last_failure)
sql main "insert into t values (50)" "select pg_switch_wal()" >/dev/null
ok 'where the key is not known' wait_for 30 failed_again
like "$(tail -20 log/main.log)" 'ERROR.*repository "second"' 'archiving fails, and says where'
is "$(find second -name '00000001????????????????' -type f | wc -l)" 0 'nothing is stored in clear'
mv second second.foreign
mv second.new second
wait_archived main
ok 'the right one again: all is well' pgbr verify main --deep

# ---- what must not get in
as_owner mkdir -p "$work/pg_wal"
pgbr archive-get main "$segment" "$work/pg_wal/$segment"
printf 'other' | dd of="pg_wal/$segment" bs=1 seek=1000000 conv=notrunc status=none
system=$(sql main 'select system_identifier from pg_control_system()')
fails 1 "$segment.*$system.*$system" 'other content under the same name is refused' \
    pgbr archive-push main "$work/pg_wal/$segment"
like "$out" 'timeline' 'naming timelines, too'
cluster_init other 15 --wal-segsize=1
cluster_start other
archive_on other "$(archive_command main)"
sql other "select pg_switch_wal()" >/dev/null
other_failed() {
    grep -q 'system identifier' log/other.log
}
ok 'a segment of another cluster is refused' wait_for 30 other_failed
foreign=$(sql other 'select system_identifier from pg_control_system()')
like "$(cat log/other.log)" "ERROR.*$foreign" 'naming the stranger'
is "$(sql other 'select archived_count from pg_stat_archiver')" 0 'none got in'
ok 'verify finds nothing' pgbr verify main --deep
done_testing
