#!/bin/bash
# What a verification has found is not forgotten: a backup that is known to be damaged is no base, no
# moment is promised from it, a restore passes it over, and no other one goes because of it.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15
cluster_start main
write_config main
sed -i "s|^    path: $work/repo|&\n    retention_full: 1\n    expire_auto: n\n    expire_grace: 0s\n    restore_pin: 1s|" "$config"
pgbr init main
archive_on main
newest() { find "$work/repo/main/backup" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | tail -1; }
take() { # TYPE: sets $label
    label=$(pgbr -q backup main --json --type "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["label"])')
    sleep 1.1 # so that labels are in order
}
rows() { # NUMBER
    sql main "insert into t select $1, md5(n::text) from generate_series(1, 2000) n"
}
damage() { # LABEL: one of its packs
    local file
    file=$(find "$work/repo/main/data/$1" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d ' ' -f 2-)
    [ -e "$work/kept/$1" ] || { mkdir -p "$work/kept" && cp -p "$file" "$work/kept/$1"; }
    chmod u+w "$file"
    python3 - "$file" <<'END'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(-2000, 2)
    middle = f.tell() // 2
    f.seek(middle)
    old = f.read(16)
    f.seek(middle)
    f.write(bytes(b ^ 255 for b in old))
END
}
repair() { # LABEL...: the first pack of each that was damaged is as it was
    local label
    for label in "$@"; do
        cp -p "$work/kept/$label" "$(find "$work/repo/main/data/$label" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d ' ' -f 2-)"
    done
}
json_of() { # EXPRESSION COMMAND...: of the document that it prints, as v
    local expression=$1
    shift
    { "$@" 2>/dev/null || true; } | python3 -c "import json, sys; v = json.load(sys.stdin); print($expression)"
}

sql main 'create table t (step int, x text)'
rows 1
take full && full=$label
rows 2
take incr && incr=$label
rows 3
moment=$(sql main 'select clock_timestamp()')
sleep 1
rows 4
sql main 'select pg_switch_wal()' >/dev/null
wait_archived main

# ---- the newest one is damaged

damage "$incr"
fails 3 'DAMAGE WAS FOUND' 'verify finds it' pgbr verify main
fails 3 "WARNING: backup $incr cannot be restored: the verification at .* found [0-9]+ problems? in backup $incr" \
    'list tells' pgbr list main
fails 3 "WARNING: backup $incr cannot be restored" 'so do windows' pgbr windows main
is "$(json_of 'v["clusters"][0]["repositories"][0]["windows"][0]["last_backup"]' pgbr windows main --json)" "$full" \
    'which are reached from the sound one'
out=$(pgbr restore main --plan --target-time "$moment" --data-dir "$work/copy")
like "$out" "backup +$full in" 'a restore begins at the sound one'
like "$out" "WARNING: backup $incr in repository \"local\" is passed over: the verification" 'and says so'
fails 3 'passed over' 'it is done' pgbr restore main --target-time "$moment" --data-dir "$work/copy"
restore_start copy
is "$(sql copy 'select string_agg(distinct step::text, $$ $$) from t')" '1 2 3' 'the moment is reached all the same'
cluster_stop copy immediate
rm -rf copy
fails 1 "$incr.*does not fit|does not fit.*damaged" 'with --set it is taken, and found to be damaged' \
    pgbr restore main --set "$incr" --data-dir "$work/copy"
rm -rf copy
out=$(pgbr restore main --plan --set "$incr" --data-dir "$work/copy")
like "$out" 'WARNING: the verification at .* unless that was repaired the restore will stop there' 'which the plan has said'
out=$(pgbr restore main --plan --target immediate --data-dir "$work/copy")
like "$out" "backup +$incr in" 'the state of the newest one is nobody else'"'"'s'
ok 'the moment can be reached' pgbr windows main --at "$moment"
like "$(pgbr windows main --at "$moment")" "$full" 'from the sound one'

fails 3 "backup $incr is no base: the verification at .* found" 'it is no base' pgbr backup main --type incr
next=$(newest)
like "$(pgbr list main 2>/dev/null || true)" "$next [^$]*on top of $full, changes from the WAL
 *WAL " 'the next one builds on the sound one'
sleep 1.1
ok 'and the one after it on that, without a word' pgbr backup main --type incr
third=$(newest)
like "$(pgbr list main 2>/dev/null || true)" "$third +incr [^$]*on top of $next," 'which is its base'

# ---- WAL is missing between the sound one and the damaged one: it would be another state

lost=$(find "$work/repo/main/wal" -type f -name 000000010000000000000003)
mv "$lost" kept/
out=$(pgbr restore main --plan --data-dir "$work/copy")
like "$out" "backup +$third in" 'beyond the gap there is one'
damage "$next"
damage "$third"
fails 3 'DAMAGE WAS FOUND' 'until that is damaged' pgbr verify main
out=$(pgbr restore main --plan --data-dir "$work/copy")
like "$out" "backup +$third in.*WARNING: the verification at .* the restore will stop there" 'and no older state is brought back instead'
mv "kept/${lost##*/}" "$lost"
out=$(pgbr restore main --plan --data-dir "$work/copy")
like "$out" "backup +$full in.*WARNING: backup $third in .* is passed over" 'without the gap the sound one does'

# ---- the full one is: nothing is left that could be built on

damage "$full"
fails 3 'DAMAGE WAS FOUND' 'verify finds that' pgbr verify main
out=$(pgbr list main 2>&1 || true)
unlike "$out" 'any moment from' 'no moment is promised'
like "$(pgbr check main 2>&1 || true)" 'there is none .*that can be restored' 'check tells'
fails 1 'does not fit' 'a restore is tried nevertheless, as there is nothing better' \
    pgbr restore main --data-dir "$work/copy"
rm -rf copy
fails 3 'a full backup is taken: those there are are damaged' 'a full one is taken' pgbr backup main --type incr
sleep 1.1
second=$(newest)
ok 'on which others build' pgbr -q backup main --type incr
like "$(pgbr list main 2>&1 || true)" 'one can go back to' 'there are moments again'

# ---- a repaired one

repair "$full" "$incr" "$next" "$third"
ok 'after a repair all is well' pgbr verify main
unlike "$(pgbr list main)" 'cannot be restored' 'and nothing is said any more'
out=$(pgbr restore main --plan --target-time "$moment" --data-dir "$work/copy")
like "$out" "backup +$incr in" 'a restore takes the newest again'
unlike "$out" 'WARNING' 'without a warning'

# ---- retention

damage "$second"
fails 3 'DAMAGE WAS FOUND' 'the newest full one is damaged' pgbr verify main
like "$(pgbr expire main --dry-run)" "$second: it is damaged, and does not count" 'expire tells'
ok 'expire' pgbr expire main
ok 'the older full one stays' test -e "$work/repo/main/backup/$full"
take full && last=$label
ok 'with a newer sound one' pgbr expire main
ok 'expire again' pgbr expire main
ok 'the older one goes' test ! -e "$work/repo/main/backup/$full"
ok 'so does the damaged one' test ! -e "$work/repo/main/backup/$second"
ok 'the sound one stays' test -e "$work/repo/main/backup/$last"
ok 'all that is left is well' pgbr verify main
cluster_stop main
done_testing
