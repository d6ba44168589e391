#!/bin/bash
# Retention: after each backup what is not to be kept goes, with its WAL, and what stays restores;
# held backups stay; a hidden one can be had back; nobody is hindered who is at work.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15 --wal-segsize=1
cluster_start main
write_config --local "retention_full: 2" main
ok 'a repository with retention' pgbr init main
archive_on main
sql main "create table t (n int)"

labels() { # those that are listed, oldest first
    pgbr list main --json >list.json
    sed '/"hidden": \[/,/\]/d' list.json | grep -o '"label": "[^"]*' | cut -d'"' -f4 | sort -u
}
backup() { # adds row N, some WAL, and takes a backup; sets $label
    sleep 1 # labels of one second have no order
    sql main "insert into t values ($1)"
    wait_archived main
    pgbr backup main --type full --json >backup.json
    label=$(grep -o '"label": "[^"]*' backup.json | cut -d'"' -f4)
}
segments() {
    find repo -path '*/wal/*' -type f -printf '%f\n' | grep -E '^[0-9A-F]{24}$' | sort
}
restores() { # LABEL ROWS
    rm -rf copy
    pgbr restore main --set "$1" --target immediate --target-action promote --data-dir "$work/copy" &&
        restore_start copy && [ "$(sql copy 'select count(*) from t')" = "$2" ]
}
forget_copy() {
    cluster_stop copy immediate
    rm -rf copy
}

# ---- two are kept
backup 1
first=$label
backup 2
second=$label
before=$(segments | wc -l)
is "$(labels | wc -l)" 2 'as many as are kept'
ok 'a dry run changes nothing' pgbr expire main --dry-run
like "$out" "stays +backup $first: full backup 2 of the 2 that are kept; goes: after 1 more full backup" \
    'but tells of each backup when it will go'
like "$out" "WAL from [0-9A-F]+/[0-9A-F]+ on: backup $first begins there; goes: with backup $first" \
    'and of the WAL'
backup 3
third=$label
is "$(labels)" "$(printf '%s\n' "$second" "$third")" 'the oldest went after the third'
ok 'with all of its files' test ! -e "repo/main/backup/$first" -a ! -e "repo/main/data/$first"
oldest=$(segments | head -1)
ok 'and its WAL' test "$(segments | wc -l)" -lt $((before + 3)) -a -n "$oldest"
fails 1 'no backup|there is no' 'it cannot be restored any more' \
    pgbr restore main --set "$first" --data-dir "$work/copy"
ok 'the older of those that stay restores' restores "$second" 2
forget_copy
ok 'everything that stays is whole' pgbr verify main --deep
unlike "$(cat list.json)" '"gaps": \[ *\{' 'no WAL is missed'

# ---- a held one stays, and needs no more WAL than its own
ok 'a hold' pgbr hold "$second" --note 'end of year'
fails 1 'held already' 'once' pgbr hold "$second"
fails 2 'has passed' 'not into the past' pgbr hold "$third" --until '2020-01-01'
backup 4
fourth=$label
backup 5
fifth=$label
ok 'list tells of the hold' pgbr list main
like "$out" 'end of year' 'with its note'
is "$(labels | wc -l)" 3 'the held one is kept besides the two'
like "$out" "$second" 'it is listed'
unlike "$out" 'GAP' 'WAL that is not kept behind it is no gap'
ok 'check finds no gap either' sh -c "! $PGBR -c $config check main | grep -i 'missing'"
ok 'the held one restores' restores "$second" 2
forget_copy
ok 'the newest restores to the end of the WAL' pgbr restore main --data-dir "$work/copy" \
    --target-action promote
restore_start copy
is "$(sql copy 'select count(*) from t')" 5 'with everything'
forget_copy
ok 'verify finds nothing' pgbr verify main
ok 'the hold is taken away' pgbr unhold main "$second"
fails 1 'not held' 'once' pgbr unhold "$second"

# ---- a restored cluster keeps its backup from expiry until its recovery is over
rm -rf repo/main/lease state/main.*.pin
ok 'a restore of the older one' pgbr restore main --set "$fourth" --data-dir "$work/copy"
pin=$(find state -name 'main.*.pin')
lease=$(find repo/main/lease -name '*-R-*')
ok 'leaves a lease and a note of it' test -s "$pin" -a -s "$lease"
as_owner touch -d '20 minutes ago' "$pin" "$lease"
write_config --local "retention_full: 1" main
ok 'an expirer comes' pgbr expire main
like "$out" "gone +backup $second" 'it tells what went'
like "$out" "hidden +backup $fourth" 'the restored one is only hidden'
restore_start copy
is "$(sql copy 'select count(*) from t')" 5 'so recovery gets all WAL behind it'
ok 'and tells that it still goes on' test "$(stat -c %Y "$lease")" -gt $(($(date +%s) - 600))
forget_copy
ok 'it was hidden, not lost' pgbr hold main "$fourth"
ok 'and is no longer held' pgbr unhold main "$fourth"
write_config --local "retention_full: 2" main

# ---- the restores of before are over when their leases are old: here they are taken away
rm -rf repo/main/lease
ok 'expire by hand' pgbr expire main
is "$(labels | wc -l)" 2 'two are left'
ok 'list' pgbr list main
unlike "$out" 'no longer in repository' 'the catalog knows that they went'
ok 'again: nothing to do' pgbr expire main --json
like "$out" '"packs": 0' 'as the numbers say'

# ---- grace: hidden, then brought back by a hold
write_config --local "retention_full: 1" --local "expire_grace: 1 h" main
ok 'the older one is hidden' pgbr expire main
like "$out" "hidden +backup" 'not deleted'
hidden=$(grep -o 'hidden  *backup [^:]*' <<<"$out" | sed 's/.*backup //')
is "$(labels)" "$fifth" 'it is not listed as a backup'
ok 'list' pgbr list main
like "$out" "$hidden.*(hidden|expired)" 'but told of'
ok 'a hold brings it back' pgbr hold "$hidden"
ok 'it restores' restores "$hidden" 4
forget_copy

# ---- a damaged manifest: nothing goes, and the backup says so
write_config --local "retention_full: 1" main
pgbr unhold "$hidden"
rm -rf repo/main/lease
printf X | as_owner dd of="repo/main/backup/$hidden/manifest" bs=1 seek=200 conv=notrunc
fails 1 "nothing is deleted.*$hidden.*--set" 'nothing is deleted while a manifest is damaged' \
    pgbr expire main
fails 3 'old ones were not removed' 'a backup is complete but says so' pgbr backup main --type full
ok 'the damaged one is given up' pgbr expire main --set "$hidden"
ok 'then retention goes on' pgbr expire main
ok 'all is well' pgbr verify main --deep

# ---- switched off
write_config --local "retention_full: 1" --local "expire_auto: n" main
pgbr backup main --type full
is "$(labels | wc -l)" 2 'with expire_auto off nothing is removed after a backup'
done_testing
