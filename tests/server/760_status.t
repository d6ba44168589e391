#!/bin/bash
# The status of a healthy and of a broken cluster: as metrics, as JSON, and as a page that a real
# browser shows on a desk and on a phone. SHOTS=DIR keeps pictures of it.
. "${0%/*}/../lib/pgbr.sh"
http_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
docs=$top/docs/monitoring
scheduler=''

fetch() { # PATH: the body
    python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).read().decode(), end="")' \
        "http://127.0.0.1:$http_port$1"
}
value() { # FILE FAMILY LABEL...: of the one sample that has these labels
    local file=$1 family=$2 lines
    shift 2
    lines=$(grep "^$family{" "$file")
    for label in "$@"; do
        lines=$(grep -F "$label" <<<"$lines") || return 0
    done
    awk '{ print $NF }' <<<"$lines"
}
served() { # a family has this value for these labels
    local want=$1
    shift
    fetch /metrics >"$work/served.new" && [ "$(value "$work/served.new" "$@")" = "$want" ]
}
look() { # NAME OPTION...: what a browser finds goes to $work/NAME.json
    local name=$1
    shift
    as_owner "$lib/browser.py" "http://127.0.0.1:$http_port/" "$@" >"$work/$name.json"
}
found() { # NAME EXPRESSION over d
    python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$work/$1.json" "$2"
}
has_text() { # NAME TEXT TEST
    if python3 -c 'import json, sys; sys.exit(sys.argv[2] not in json.load(open(sys.argv[1]))["text"])' \
        "$work/$1.json" "$2"; then
        pass "$3"
    else
        fail "$3" "no \"$2\" in: $(found "$1" 'd["text"]')"
    fi
}
fill() { # CLUSTER: a table, a backup, and WAL behind it
    cluster_start "$1"
    pgbr init "$1"
    archive_on "$1"
    sql "$1" "create table t as select generate_series(1, 20000) as g"
    pgbr backup "$1" --type full
    for _ in 1 2 3 4; do
        sql "$1" "insert into t select generate_series(1, 100)"
        wait_archived "$1"
    done
}
passed_drill() { # CLUSTER: a row as "pgbr drill" leaves it
    as_owner python3 - "$work/state/catalog.db" "$1" <<'END'
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], timeout=20)
s = int(time.time() * 1e6) - 3600 * 10**6
c.execute("insert into drill (cluster, repository, label, target, started_us, restored_us, recovered_us,"
          " checked_us, finished_us, restored_bytes, replayed_bytes, reached_us, outcome, report)"
          " values (?, 'local', 'L', 'latest', ?, ?, ?, ?, ?, 30000000, 20000000, ?, 'passed', '{}')",
          (sys.argv[2], s, s + 5 * 10**6, s + 8 * 10**6, s + 9 * 10**6, s + 10 * 10**6, s))
c.commit()
END
}

# ---- one cluster with which all is well, and one with which nothing is

write_config --top "http: {listen: \"127.0.0.1:$http_port\", refresh: 10 s}" --top 'jobs:
  nightly: {cluster: good, run: backup --type auto, cron: "0 1 1 1 *"}
  broken: {cluster: bad, run: backup --type auto, cron: "0 1 1 1 *", retries: 0}' good bad
fill good &
fill bad
wait $!
pgbr backup good --type incr
pgbr verify good
passed_drill good
segment=$(find "$work/repo/bad/wal" -type f -name '000000010000000000000005')
rm "$segment"
cluster_stop bad
fails 1 'cannot connect' 'a job of the broken cluster fails' pgbr scheduler job broken

# ---- pgbr metrics

as_owner mkdir "$work/textfile"
ok 'metrics are shown' pgbr -q metrics
pgbr -q metrics >"$work/metrics" 2>/dev/null
is "$(value "$work/metrics" pgbr_up 'cls="good"')" 1 'the healthy cluster is up'
is "$(value "$work/metrics" pgbr_server_up 'cls="bad"')" 0 "the broken one's server is not"
is "$(value "$work/metrics" pgbr_backups 'cls="good"' 'type="incr"')" 1 'its incremental backup is counted'
is "$(value "$work/metrics" pgbr_wal_gap_segments 'cls="bad"')" 1 'the missing segment is counted'
is "$(value "$work/metrics" pgbr_wal_gap_segments 'cls="good"')" 0 'and only where it is missing'
is "$(value "$work/metrics" pgbr_job_last_exit_status 'task="broken"')" 1 'the failed job is told'
is "$(value "$work/metrics" pgbr_drill_last_passed 'cls="good"')" 1 'the drill is told'
is "$(value "$work/metrics" pgbr_drill_last_recovery_seconds 'cls="good"')" 8 'and how long it took'
is "$(value "$work/metrics" pgbr_state 'cls="bad"')" 3 'the broken cluster is at risk'
now=$(date +%s)
last=$(value "$work/metrics" pgbr_backup_last_success_timestamp_seconds 'cls="good"' 'type="any"')
ok 'times are Unix times in seconds' test "${last%.*}" -gt $((now - 600)) -a "${last%.*}" -le "$now"
is "$(pgbr -q metrics good 2>/dev/null | grep -c 'cls="bad"')" 0 'one cluster alone can be asked for'
ok 'they can be written to a file' pgbr -q metrics --output "$work/textfile/pgbr.prom"
is "$(stat -c %a "$work/textfile/pgbr.prom")" 644 'which others may read'
is "$(ls -A "$work/textfile")" pgbr.prom 'with nothing left beside it'
is "$(grep -c '^# TYPE' "$work/textfile/pgbr.prom")" "$(grep -c '^# TYPE' "$work/metrics")" 'and which is whole'
fails 1 'nowhere' 'a directory that is not there' pgbr -q metrics --output "$work/nowhere/pgbr.prom"
if command -v promtool >/dev/null; then
    ok 'promtool likes it' promtool check metrics <"$work/metrics"
    ok 'and the rules' promtool check rules "$docs/alerts.yml"
fi

# ---- what is built on them

names=$(sed -n 's/^# TYPE \(pgbr_[a-z_]*\) .*/\1/p' "$work/metrics" | sort)
is "$(sed 's/#.*//' "$docs/alerts.yml" | grep -v 'summary:\|description:\|name:' | grep -o 'pgbr_[a-z_]*' | sort -u | comm -23 - <(echo "$names"))" '' \
    'every metric of the alerts exists'
is "$(python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$docs/dashboard.json" 2>&1)" '' 'the dashboard is JSON'
is "$(grep -o 'pgbr_[a-z_]*' "$docs/dashboard.json" | sort -u | comm -23 - <(echo "$names"))" '' \
    'every metric of the dashboard exists'
# shellcheck disable=SC2016
is "$(sed -n 's/^| `\(pgbr_[a-z_]*\)` .*/\1/p' "$docs/README.md" | sort)" "$names" 'the list of metrics is complete'
# the other way round: what the alerts ask of is what these clusters have, but for what needs a state they are not in
for family in pgbr_state pgbr_windows pgbr_wal_gap_segments pgbr_rpo_seconds pgbr_backup_age_seconds \
    pgbr_verified_timestamp_seconds pgbr_repo_up pgbr_repo_free_bytes pgbr_job_next_run_timestamp_seconds \
    pgbr_drill_last_success_timestamp_seconds pgbr_repo_read_timestamp_seconds pgbr_ready_segments; do
    ok "$family has a sample" grep -q "^$family{" "$work/metrics"
done

# ---- served

pgbr scheduler run 2>"$work/log/scheduler.log" &
scheduler=$!
wait_for 30 served 1 pgbr_repo_up 'cls="good"'
fetch /metrics >"$work/served"
is "$(sed -n 's/^# TYPE \(pgbr_[a-z_]*\) .*/\1/p' "$work/served" | sort)" "$names" 'the scheduler serves the same'
is "$(fetch /healthz)" ok 'and says that it is well'
fetch /status >"$work/status.json"
is "$(found status '[c["state"] for c in d["clusters"]]')" "['protected', 'at risk']" 'the states as JSON'
is "$(found status 'd["clusters"][1]["repositories"][0]["gaps"][0]["first"]')" 000000010000000000000005 \
    'with the segment that is missing'
is "$(found status 'len(d["clusters"][1]["repositories"][0]["holes"]) > 0')" True 'and the hole it makes'
pgbr backup good --type incr # to be seen further down

# ---- in a browser

look desk --width 1280 --open ${SHOTS:+--screenshot "$SHOTS/desk.png"}
has_text desk '1 of 2 clusters is at risk' 'the page begins with the state of all'
like "$(found desk 'd["title"]')" '^1 of 2 clusters is at risk' 'so does its title'
has_text desk 'At risk bad' 'the broken cluster is told first'
has_text desk '000000010000000000000005' 'with what is missing'
has_text desk 'What to do:' 'and what to do'
has_text desk 'something is missing behind it' 'how far one can go back'
has_text desk 'failed: cannot connect to PostgreSQL' 'the failed run with its reason'
has_text desk 'Protected good' 'the healthy cluster is told'
has_text desk 'Nothing needs you.' 'that it needs nobody'
has_text desk 'The last one passed 1 h ago; a server answered after 8 s' 'its drill'
has_text desk 'How old this is: catalog read' 'and how old all of this is'
is "$(found desk 'd["requests"]')" "['http://127.0.0.1:$http_port/']" 'the browser asked for nothing else'
is "$(found desk 'd["complaints"]')" '[]' 'and had nothing to complain about'
for view in 'phone 360 ' 'dark 390 --dark' 'wide 1280 --dark'; do
    read -r name width dark <<<"$view"
    # shellcheck disable=SC2086
    look "$name" --width "$width" --open $dark ${SHOTS:+--screenshot "$SHOTS/$name.png"}
    is "$(found "$name" 'd["overflow"], d["sticks_out"]')" '(0, [])' "nothing sticks out: $view"
    is "$(found "$name" 'd["faint"]')" '[]' "every text can be read: $view"
    is "$(found "$name" 'd["unnamed"]')" 0 "every picture is told in words: $view"
done
has_text phone 'At risk bad' 'a phone shows the same'

# ---- living

cluster_start bad
wait_for 60 served 1 pgbr_server_up 'cls="bad"'
pass 'a server that came back is seen soon'
wait_for 60 served 2 pgbr_backups 'cls="good"' 'type="incr"'
pass 'so is a backup that was taken meanwhile'
pid=$(cat "$work/state/scheduler.lock")
before=$(find "/proc/$pid/fd" | wc -l)
for _ in {1..40}; do fetch / >/dev/null; done
ok 'answering leaves no files open' test $(($(find "/proc/$pid/fd" | wc -l) - before)) -le 2
kill "$pid"
wait "$scheduler" || true
like "$(cat "$work/log/scheduler.log")" 'the scheduler ends' 'it ends in order'
done_testing
