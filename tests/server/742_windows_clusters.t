#!/bin/bash
# "pgbr windows" where there is nothing to go back to, and where clusters followed each other under
# one name: what belongs to an earlier one is told as that, and nothing of it hides the present one.
. "${0%/*}/../lib/pgbr.sh"

repository() { # PYTHON-EXPRESSION OF r
    pgbr windows main --json 2>/dev/null | python3 -c '
import json, sys
r = json.load(sys.stdin)["clusters"][0]["repositories"][0]
print(eval(sys.argv[1]))' "$1"
}
label_of() { # NUMBER, from 1
    pgbr list main --json | sed -n 's/.*"label": "\(.*\)",/\1/p' | sed -n "$1p"
}
fill() {
    sql main "create table if not exists t (n int)" "insert into t select generate_series(1, 1000)"
    wait_archived main
}
anew() { # a new cluster in the place of the present one, which goes to DIR
    cluster_stop main
    mv main "$1"
    cluster_init main 15 --wal-segsize=1
    cluster_start main
    pgbr init main --accept-new-system-id
    archive_on main
}

# ---- nothing at all
cluster_init main 15 --wal-segsize=1
cluster_start main
write_config main
pgbr init main
fails 3 'no backups: there is no moment to go back to' 'without a backup there is no moment' pgbr windows main
archive_on main
fill
fails 3 'no backups: there is no moment to go back to' 'WAL alone is of no use' pgbr windows main
fails 3 '"windows": \[\]' 'as JSON, too' pgbr windows main --json
fails 1 'has no backup' 'nor is one moment reached' pgbr windows main --at "$(date -u "+%F %T+00")"

# ---- two backups, of which the first one is of no use
pgbr backup main --type full
first=$(label_of 1)
lost=$(sql main "select pg_walfile_name('$(pgbr list main --json | sed -n 's/.*"start_lsn": "\(.*\)",/\1/p' | head -1)')")
fill
pgbr backup main --type full
second=$(label_of 2)
fill
ok 'with backups all is well' pgbr windows main
rm "$(find repo/main/wal -type f -name "$lost")"
fails 3 "WARNING: backup $first cannot be restored: WAL segment \"$lost\" is missing" 'a backup of no use is told of' pgbr windows main
unlike "$out" 'system identifier' 'of the only cluster there is'

# ---- another cluster, without a backup
anew older
ok 'that nothing of it is archived yet is told by nobody' test "$(repository 'len([h for h in r["holes"] if h["kind"] == "another cluster"])')" = 0
fill
fails 3 'HOLE from .* to now: system identifier [0-9]+ \(PostgreSQL 15\) begins, of which there is no backup yet' \
    'a cluster that cannot be had back' pgbr windows main
like "$out" 'the latest state cannot be had back' 'is no state that is there'
is "$(repository '[w["open"] for w in r["windows"]], r["rpo"]["recoverable"]')" '([False], False)' 'the window of the earlier one is over'

# ---- an upgrade that was taken back: the earlier one is the present one again
swap() { # AWAY BACK
    cluster_stop main
    mv main "$1"
    mv "$2" main
    cluster_start main
}
swap newer older
fill
is "$(repository '[w["open"] for w in r["windows"]], [h["kind"] for h in r["holes"]]')" \
    "([True], ['before the first backup', 'backup that cannot be restored'])" 'its WAL is newer than that of the other one'
swap older newer
fill

# ---- with one
pgbr backup main --type full
third=$(label_of 3)
fill
fails 3 "WARNING: backup $first cannot be restored: .* \(it is of system identifier [0-9]+\)" 'whose backup is of no use is told' pgbr windows main
like "$out" "one can go back.*HOLE from .* to .*begins, whose first backup is $third.*one can go back.*WARNING: backup $first" \
    'what lies between stands between, what is of no use behind'
is "$(repository '[w["backup"] for w in r["windows"]], [h["kind"] for h in r["holes"]]')" \
    "(['$second', '$third'], ['before the first backup', 'another cluster', 'backup that cannot be restored'])" 'it is in no window'
is "$(repository '[w["open"] for w in r["windows"]], r["rpo"]["recoverable"]')" '([False, True], True)' 'the last window is the present one'

# ---- which loses the WAL of its only backup
lost=$(sql main "select pg_walfile_name('$(pgbr list main --json | sed -n 's/.*"start_lsn": "\(.*\)",/\1/p' | tail -1)')")
newest=$(find repo/main/wal -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)
rm "$(find "$newest" -type f -name "$lost")"
fails 3 'to now: .* begins, of which no backup can be restored' 'none of its backups is of use' pgbr windows main
like "$out" "WARNING: backup $third cannot" 'which is told, too'
done_testing
