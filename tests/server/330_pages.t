#!/bin/bash
# Pages: those that are written while they are read raise no alarm, those that are damaged on disk do,
# by file and block; relations that come and go are no trouble; the rate limit is kept.
. "${0%/*}/../lib/pgbr.sh"
. "$lib/slow_backup.sh"
slow_cluster

# ---- the rate limit
bytes=$(sql main 'select sum(pg_database_size(oid)) from pg_database')
speed 40MB
begun=${EPOCHREALTIME/./}
ok 'a backup with a rate limit' pgbr backup main --type full
elapsed=$((${EPOCHREALTIME/./} - begun))
least=$((bytes * 8 / 400)) # microseconds, with a fifth of grace
ok "it keeps to it: $((bytes >> 20)) MiB at 40 MB/s in $elapsed us" test "$elapsed" -ge "$least"

# ---- pages that are written while they are read, relations that come and go
speed 25MB
pg_client pgbench -n -c 3 -R 300 -T 300 "$(connection main)" >"$work/log/pgbench" 2>&1 &
load=$!
(while sql main 'create table comes as select * from t limit 3000' 'drop table comes'; do sleep 0.1; done) &
churn=$!
backup_begin
backup_ends 0 'complete' 'a backup under load, with relations that vanish'
unlike "$out" 'WARNING|checksum' 'raises no false alarm'
speed
for n in 1 2 3; do
    out=$(pgbr backup main --type full 2>&1) || fail "backup $n under load" "$out"
    unlike "$out" 'WARNING|checksum' "nor do fast ones: $n"
done
kill "$churn" "$load"
wait "$churn" "$load" || true
ok 'they are whole' pgbr verify main --deep
restores 'a backup under load'

# ---- pages that are damaged on disk
speed
file=$(sql main "select pg_relation_filepath('t')")
other=$(sql main "select pg_relation_filepath('u')")
sql main 'vacuum freeze t' 'vacuum freeze u' checkpoint
cluster_stop main
damage_page() { # FILE BLOCK
    printf 'damaged!' | dd of="main/$1" bs=1 seek=$(($2 * 8192 + 4000)) conv=notrunc status=none
}
damage_page "$file" 3
damage_page "$file" 4
damage_page "$other" 17
cluster_start main
fails 3 "WARNING.*$file" 'a backup of damaged pages ends with 3' pgbr backup main --type full
damaged=$(labels | sort | tail -1)
like "$out" "\"[a-z/]*$file\", block 3"$'\n'".*$file\", block 4" 'it names the blocks'
like "$out" "$other.*17" 'of every file'
like "$out" 'WARNING: 3 pages' 'and counts them'
ok 'list shows the backup' pgbr list main
like "$out" 'WARNING: 3 pages with a wrong checksum' 'with its damage'
like "$out" "$file block 3"$'\n'" *$file block 4"$'\n' 'by file and block'
like "$out" "$other block 17"$'\n' 'in any order'
ok 'list --json' pgbr list main --json
like "$out" '"page_errors": *3' 'counts the damaged pages'
like "$out" "\"file\": *\"$other\",[[:space:]]*\"block\": *17" 'and has them'
ok 'what was stored is what was read: verify finds nothing' pgbr verify main --deep --set "$damaged"
fails 3 'WARNING.*3 pages of the backup had wrong checksums' 'restore tells' pgbr restore main \
    --set "$damaged" --data-dir "$work/copy" --force
restore_start copy
fails 1 'invalid page in block 3' 'the damage is where it was' sql copy 'select count(*) from t'
is "$(sql copy 'select count(*) from pgbench_branches')" 3 'and nowhere else'
done_testing
