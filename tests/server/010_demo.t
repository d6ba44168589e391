#!/bin/bash
# What "make demo" shows a newcomer works.
. "${0%/*}/../lib/pgbr.sh"

cp -r "$lib" "$work/lib"
ok 'the demo brings the dropped table back' env PGBR="$PGBR" bash "$work/lib/demo.sh"
like "$out" 'All 123456 orders are back' 'it says so'
folder=$(grep -o '/tmp/pgbr-demo[^/ ]*' <<<"$out" | head -1)
ok 'it cleans up' test ! -e "$folder"
is "$(pgrep -f "$folder" || true)" '' 'it leaves no server behind'

# The same with the tools of the tests, encrypted, with two repositories; independent judges agree.
write_config --cipher 'correct horse' --repo "second: {path: $work/repo2, optional: yes}" main
cluster_init main 15
cluster_start main
pgbr init main
archive_on main
fails 3 ' 0 failed' 'check has warnings only: no backup yet, and one disk for all' pgbr check main
sql main 'create table t as select generate_series(1, 1000) n' "select lo_from_bytea(0, 'large')"
ok 'a backup is taken' pgbr backup main
sql main 'update t set n = -n'
before=$(dump_sum main)
wait_archived main
ok 'it is restored' pgbr restore main --data-dir "$work/copy"
ok 'pg_verifybackup accepts the result' as_owner /usr/lib/postgresql/15/bin/pg_verifybackup -n \
    "$work/copy"
restore_start copy
is "$(dump_sum copy)" "$before" 'the copy holds what the original held'
ok 'pg_amcheck finds nothing' pg_client pg_amcheck -h "$work/sock" -p "$(port copy)" -U postgres \
    --all --install-missing
cluster_stop copy
ok 'pg_checksums finds nothing' as_owner /usr/lib/postgresql/15/bin/pg_checksums -c -D "$work/copy"
ok 'verify finds nothing' pgbr verify main --deep
done_testing
