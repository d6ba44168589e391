#!/bin/bash
# PostgreSQL's own regression tests as a workload: incremental backups that are taken while they run
# restore to a cluster whose dump is the original's.
#
#   PG_SRC    a source tree of PostgreSQL, as near to version 15 as can be had: whether its tests
#             pass does not matter, only what they do
#   RESTORED  how many of the backups are restored and compared (3)
# shellcheck disable=SC2154
TEST_LIMIT=${TEST_LIMIT:-3600}
. "${0%/*}/../lib/pgbr.sh"
: "${PG_SRC:?says where a source tree of PostgreSQL is: make regress PG_SRC=DIR}" "${RESTORED:=3}"
bin=$(pg_version_dir 15)/bin
program=$(dirname "$("$bin/pg_config" --pgxs)")/../test/regress/pg_regress
headers=$("$bin/pg_config" --includedir-server)
for needed in "$PG_SRC/src/test/regress/parallel_schedule" "$program" "$headers/postgres.h"; do
    [ -e "$needed" ] || { echo "\"$needed\" is missing (Debian: postgresql-server-dev-15)" >&2; exit 1; }
done

cp -r "$PG_SRC/src/test/regress" "$work/regress"
cc -shared -fPIC -w -I"$headers" -o "$work/regress/regress.so" "$work/regress/regress.c"
[ "$run_as" = "$(id -un)" ] || chown -R "$run_as" "$work/regress"
as_owner mkdir "$work/results"

cluster_init main 15
cluster_config main "max_prepared_transactions = 10" "max_wal_size = 512MB" "shared_buffers = 64MB"
cluster_start main
write_config main
pgbr init main
archive_on main
ok 'a full backup' pgbr backup main --type full

as_owner sh -c "cd '$work/results' && exec '$program' --inputdir='$work/regress' --dlpath='$work/regress' \
    --bindir='$bin' --outputdir='$work/results' --host='$work/sock' --port='$(port main)' --user=postgres \
    --schedule='$work/regress/parallel_schedule'" >"$work/log/regress" 2>&1 &
tests=$!
taken=() trouble=''
while kill -0 "$tests" 2>/dev/null; do
    status=0
    out=$(pgbr backup main --type incr --json) || status=$?
    # files copied one by one may go away while they are copied: then it says so, and the next is taken
    if [ "$status" -eq 0 ]; then
        taken+=("$(grep -o '"label": *"[^"]*' <<<"$out" | sed 's/.*"//')")
        found=$(grep -o '"changes_found": *"[^"]*' <<<"$out" | sed 's/.*"//')
        [ "$found" = wal ] || trouble+="${taken[-1]} $found; "
    fi
    sleep 0.5
done
wait "$tests" || true
diag "$(tail -3 "$work/log/regress" | tr '\n' ' '); ${#taken[@]} incrementals"
ok 'incrementals are taken while they run' test "${#taken[@]}" -ge 3
is "$trouble" '' 'the WAL tells of all of them what changed'
out=$(pgbr backup main --type incr --json)
taken+=("$(grep -o '"label": *"[^"]*' <<<"$out" | sed 's/.*"//')")
wait_archived main
# What unlogged tables held is not restored by anybody. Sequences are logged 32 steps ahead, so that
# replay may leave them there.
dump() { # NAME FILE
    pg_client pg_dumpall --no-unlogged-table-data -d "$(connection "$1")" |
        grep -Ev '^\\(un)?restrict ' >"$2"
    awk '/(CREATE|CREATE UNLOGGED) SEQUENCE |^ *SEQUENCE NAME / { name = $NF }
        /^ *INCREMENT BY / { by[name] = $3 }
        /pg_catalog.setval\(/ { split($0, part, /\047, |, /); sub(/.*\047/, "", part[1])
            print part[1], part[2], by[part[1]] }' "$2" >"$2.sequences"
    sed -i '/pg_catalog.setval(/d' "$2"
}
dump main want
ok 'verify finds nothing' pgbr verify main --deep

mapfile -t chosen < <({ printf '%s\n' "${taken[@]:0:${#taken[@]}-1}" | shuf -n "$((RESTORED - 1))"; echo "${taken[-1]}"; })
for label in "${chosen[@]}"; do
    rm -rf copy
    ok "$label is restored" pgbr -q restore main --set "$label" --data-dir "$work/copy"
    restore_start copy
    dump copy got
    is "$(diff want got | head -20)" '' "$(wc -l <want) lines of dump are those of the original"
    is "$(paste -d ' ' want.sequences got.sequences | awk '$1 != $4 || $3 == "" || ($5 - $2) ^ 2 > (33 * $3) ^ 2')" '' \
        "and $(wc -l <want.sequences) sequences"
    ok 'pg_amcheck finds nothing' pg_client pg_amcheck --install-missing --heapallindexed \
        -h "$work/sock" -p "$(port copy)" -U postgres --all
    cluster_stop copy immediate
done
done_testing
