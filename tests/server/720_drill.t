#!/bin/bash
# A drill tells the truth: what is right passes, and whatever is wrong with a backup, its WAL or what
# is in it makes the drill fail, and say what. It cleans up, also when it is stopped or killed.
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15 --wal-segsize=1
cluster_start main
checks() { # LINE...: the statements of the drill
    write_config --cluster "drill: {amcheck: heapallindexed, checks: {$(printf '%s, ' "$@")}}" main
    sed -i "s|^    path: $work/repo|&\n    pack_size: 1MB|" "$config"
}
rows='rows: {sql: "select count(*) from t", expect: 20000}'
limits='limits: {database: shop, sql: "select max(n) from orders", expect_min: 4, expect_max: 5}'
checks "$rows" "$limits" 'truth: {sql: "select bool_and(n is not null) from t", expect: true}'
pgbr init main
archive_on main
sql main "create table t as select n, md5(n::text) from generate_series(1, 20000) n" "create index on t (n)" \
    "create database shop"
sql main/shop "create table orders as select generate_series(1, 5) n"
label=$(pgbr backup main --json | sed -n 's/^  "label": "\(.*\)",/\1/p')
wait_archived main
sandboxes() {
    find "$work/state/drill" "$work/state/sandboxes" -mindepth 1 -maxdepth 1 | wc -l
}
servers() { # that work in a sandbox
    pgrep -f "$work/state/drill/pgbr-drill" | wc -l
}
in_catalog() { # SQL
    python3 - "$work/state/catalog.db" "$1" <<'END'
import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]):
    print("|".join(str(v) for v in row))
END
}
wal_files() {
    find "$work/repo/main/wal" -type f -printf '%P %s\n' | sort
}

# ---- what is right
archived=$(wal_files)
ok 'a drill passes' pgbr drill main --json --html "$work/report.html"
sed -n '/^{/,$p' <<<"$out" >report.json
field() { # EXPRESSION of r, the report
    python3 -c 'import json, sys; r = json.load(open("report.json")); print(eval(sys.argv[1]))' "$1"
}
is "$(field 'r["outcome"], r["warnings"], r["backup"]')" "('passed', 0, '$label')" 'it tells what passed'
is "$(field '[f["state"] for f in r["findings"]]')" "$(field '["ok"] * 9')" 'everything was looked at'
is "$(field 'r["reached_commit"] == r["known_commit"] is not None')" True 'the last commit is there'
is "$(field '0 < r["rto_seconds"] <= sum(r["phases"].values()) and r["rpo_seconds"] > 0')" True 'times are measured'
is "$(in_catalog 'select outcome, label, target, started_us < restored_us and restored_us < recovered_us and
    recovered_us < checked_us and checked_us < finished_us, restored_bytes > 0, replayed_bytes > 0, run > 0 from drill')" \
    "passed|$label|latest|1|1|1|1" 'the catalog knows it'
is "$(in_catalog "select exit_status, label from job_run where command = 'drill'")" "0|$label" 'and the run'
ok 'the page is well-formed' python3 -c 'import xml.dom.minidom; xml.dom.minidom.parse("report.html")'
is "$(grep -c '<script\|src=\|href=' report.html)" 0 'and needs nothing from elsewhere'
like "$(cat report.html)" 'class="passed">passed<.*viewBox=' 'it says the outcome, with pictures'
is "$(sandboxes)" 0 'nothing is left'
is "$(wal_files)" "$archived" 'the archive is as it was'
is "$(python3 -c 'import glob; print([b"\x01\x01\x02" in open(f, "rb").read() for f in glob.glob("repo/main/lease/*-R-*")])')" \
    '[True]' 'its lease is released, so nothing keeps the backup from being expired'

# ---- what is wrong in the content
sql main "delete from t where n = 4711"
wait_archived main
checks "$rows" "$limits" 'wrong: {sql: "select 3", expect_max: 2.5}' 'bad: {sql: "select nothing", expect: 1}' \
    'many: {sql: "select n from t", expect: 1}' 'none: {database: nowhere, sql: "select 1", expect: 1}'
fails 1 'failed: check "rows": expected 20000, found 19999' 'a lost row' pgbr drill main --no-amcheck
like "$out" 'FAILED +check "wrong": expected at most 2.5, found 3' 'a wrong assertion'
like "$out" 'FAILED +check "bad": .*column "nothing" does not exist' 'a statement that is none'
like "$out" 'FAILED +check "many": .*19999 rows, expected is one' 'more than one row'
like "$out" 'FAILED +check "none": .*database "nowhere" does not exist' 'a database that is not there'
like "$out" 'ok +check "limits": 5' 'what is right is told too'
like "$out" 'skipped +amcheck: switched off' 'and what was left out'
is "$(in_catalog "select outcome from drill order by id desc limit 1")" failed 'the catalog knows'
like "$(in_catalog "select level, text from event where kind = 'drill'")" \
    "info.the drill of backup $label has passed: .*error.the drill .* has failed: check \"rows\": expected 20000" \
    'people are told of both'
is "$(sandboxes)" 0 'nothing is left of it'
checks "$limits"

# ---- a moment by chance, which can be repeated
ok 'a random moment' pgbr drill main --target random --seed 3 --no-amcheck
again=$(sed -n 's/^  again *pgbr drill main //p' <<<"$out")
like "$again" "--target-time '20.*--target-timeline 1" 'is told'
moment=${again#*--target-time \'}
ok 'and can be gone back to' pgbr restore main --plan --data-dir "$work/copy" --target-time "${moment%%\'*}"

# ---- WAL that is not there
mkdir kept
mapfile -t segments < <(cd repo/main/wal && find . -regex '.*/[0-9A-F]*' -type f | sort)
hole=${segments[-2]}
mv "repo/main/wal/$hole" kept/
name=$(basename "$hole" | cut -c1-24)
fails 1 "FAILED +WAL: recovery ends at .*\"$name\"" 'a missing segment: not the latest state' \
    pgbr drill main --no-amcheck
fails 1 'FAILED +plan: the target .* cannot be reached' 'a target behind it' \
    pgbr drill main --target-lsn "$(sql main 'select pg_current_wal_insert_lsn()')"
mv "kept/${hole##*/}" "repo/main/wal/$hole"

# ---- a backup that is damaged
pack=$(find "repo/main/data/$label" -type f -size +200k | sort | head -1)
cp -p "$pack" kept/pack
printf 'xxxxxxxx' | dd of="$pack" bs=1 seek=100000 conv=notrunc
fails 1 'FAILED +restore: ' 'damage in the backup' pgbr drill main
like "$out" "${pack##*/}" 'is named'
cp -p kept/pack "$pack"
is "$(sandboxes)" 0 'nothing is left of a restore that failed'

# ---- a page that was damaged before the backup; judged by pgbr, where there is no pg_checksums
file=$(sql main "select pg_relation_filepath('t')")
cluster_stop main
printf 'xxxxxxxx' | dd of="main/$file" bs=1 seek=$((3 * 8192 + 5000)) conv=notrunc
cluster_start main
fails 3 . 'the backup warns' pgbr backup main --type full
mkdir programs
ln -s /usr/lib/postgresql/15/bin/* programs/
rm programs/pg_checksums
fails 1 "FAILED +page 3 of \".*/$file\": checksum mismatch" 'a damaged page' \
    pgbr drill main --no-amcheck --pg-bin "$work/programs"
like "$out" 'warning +backup: 1 pages of the backup' 'with what the backup had to say'

# ---- stopped and killed
checks 'slow: {sql: "select 1 from pg_sleep(100)", expect: 1}'
in_check() {
    local dir
    dir=$(find state/drill -maxdepth 1 -name 'pgbr-drill-*')
    [ -n "$dir" ] && [ "$(as_owner /usr/lib/postgresql/15/bin/psql -XAtq -h "$work/$dir" -p 5432 -U postgres \
        -c "select count(*) from pg_stat_activity where query ~ 'pg_sleep' and pid <> pg_backend_pid()")" = 1 ]
}
drill_pid() {
    sed -n 's/^process //p' state/drill/*/pgbr_drill
}
pgbr drill main --no-amcheck >slow 2>&1 &
drill=$!
wait_for 60 in_check
as_owner kill -TERM "$(drill_pid)"
wait "$drill" || true
is "$(servers)" 0 'SIGTERM ends the server'
is "$(sandboxes)" 0 'and removes the sandbox'
is "$(in_catalog "select outcome from drill order by id desc limit 1")" stopped 'it is a drill that was stopped'

pgbr drill main --no-amcheck >slow 2>&1 &
wait_for 60 in_check
as_owner kill -KILL "$(drill_pid)"
no_servers() {
    [ "$(servers)" -eq 0 ]
}
wait_for 10 no_servers
pass 'kill -9 takes the server along'
is "$(sandboxes)" 2 'the sandbox stays'
mkdir state/drill/pgbr-drill-mine
touch state/drill/pgbr-drill-mine/file
[ "$run_as" = "$(id -un)" ] || chown -R "$run_as" state/drill/pgbr-drill-mine
checks "$limits"
fails 1 'abandoned drill' 'until the next drill' pgbr drill main --target-lsn F/0
is "$(ls -A state/drill)" pgbr-drill-mine 'which removes it, and nothing that bears no mark'
rm -r state/drill/pgbr-drill-mine

# ---- out of time
checks 'slow: {sql: "select 1 from pg_sleep(60)", expect: 1}'
sed -i 's/drill: {/drill: {time_limit: 1s, /' "$config"
fails 1 'FAILED .*: the time limit of 00:01 has passed' 'a drill that takes too long' pgbr drill main --no-amcheck
is "$(sandboxes)" 0 'is cleaned up too'

# ---- wrong use
fails 2 'random goes with no other' 'two targets' pgbr drill main --target random --target-lsn 0/1
fails 2 'has PostgreSQL|no program "postgres"' 'programs that are not there' pgbr drill main --pg-bin /usr/bin
is "$(as_owner python3 -c 'import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
print(c.execute("select exit_status from job_run order by id desc limit 1").fetchone(),
      c.execute("select outcome from drill order by id desc limit 1").fetchone())' "$work/state/catalog.db")" \
    "(2,) ('stopped',)" 'which is no drill that failed, or that died'
done_testing
