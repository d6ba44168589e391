#!/bin/bash
# The scheduler on one host: what is due runs, once, whatever happens to it and to its clock.
. "${0%/*}/../lib/pgbr.sh"
. "$lib/slow_backup.sh"

slow_cluster
cp fast.yml plain.yml
jobs() { # LINE...: the configuration with these jobs
    { printf '%s\n' 'jobs:' "${@/#/  }" && cat plain.yml; } >fast.yml
    speed
}
at() { # TIME (UTC): what the scheduler's clock shows from now on
    PGBR_TEST_CLOCK=$(date -u -d "$1 UTC" +%s):1:$(date +%s)
    export PGBR_TEST_CLOCK
}
runs() { # of the catalog, oldest first: job, command, exit status
    python3 - "$work/state/catalog.db" <<'END'
import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute(
        "select job, command, exit_status from job_run where job is not null order by id"):
    print("|".join(map(str, row)))
END
}
n_runs() {
    runs | wc -l
}
value() { # KEY: of the first job in "scheduler list --json"
    pgbr scheduler list --json 2>/dev/null |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["jobs"][0][sys.argv[1]])' "$1"
}

# ---- what it will do
jobs 'nightly: {cluster: main, run: backup --type auto, cron: "30 2 * * *", time_zone: Europe/Berlin}' \
    'tidy: {run: expire, cron: "@weekly", time_zone: UTC}'
at '2026-03-28 12:00'
ok 'jobs are listed' pgbr scheduler list
like "$out" 'job nightly: backup --type auto, "30 2 \* \* \*" in Europe/Berlin, role any' 'as they are configured'
like "$out" 'last run: none.*next run: 2026-03-29 03:00:00\+02' 'with their next run, at the end of an hour left out'
like "$out" 'no scheduler is at work on this host' 'and that nobody runs them'
is "$(pgbr scheduler next --count 3)" '2026-03-29 00:00:00+00  tidy: expire of cluster main
2026-03-29 03:00:00+02  nightly: backup --type auto of cluster main
2026-03-30 02:30:00+02  nightly: backup --type auto of cluster main
no scheduler is at work on this host: start "pgbr scheduler run"' 'the starts to come are told in order'
is "$(pgbr scheduler next --count 1 --json | grep -o '"time": "[^"]*"')" '"time": "2026-03-29T00:00:00.000000Z"' 'as JSON too'
fails 2 'scheduler "x" is unknown' 'an unknown word' pgbr scheduler x
fails 2 'there is no job "x"; there is "nightly", "tidy"' 'an unknown job' pgbr scheduler job x
fails 2 'PGBR_TEST_CLOCK="soon"' 'a clock that is none' env PGBR_TEST_CLOCK=soon "$PGBR" -c "$config" scheduler list

# ---- once
jobs 'nightly: {cluster: main, run: backup --type auto, cron: "30 2 * * *", time_zone: Europe/Berlin}'
at '2026-03-28 12:00'
ok 'a new job owes nothing' pgbr scheduler run --once
is "$(n_runs)" 0 'nothing is run'
at '2026-03-29 00:59:00'
ok 'before its time' pgbr scheduler run --once
is "$(n_runs)" 0 'nothing is run'
at '2026-03-29 01:00:01'
ok 'at its time' pgbr scheduler run --once
is "$(runs)" 'nightly|backup|0' 'it runs, and its run is recorded with its name'
ok 'a moment later' pgbr scheduler run --once
is "$(n_runs)" 1 'it does not run again'
at '2026-03-28 23:00'
ok 'with the clock set back' pgbr scheduler run --once
at '2026-03-29 01:30'
ok 'and at its time once more' pgbr scheduler run --once
is "$(n_runs)" 1 'it does not run again'
sleep 2 # what was taken before the due time is older than this second
at '2026-05-10 00:30:00'
ok 'after six weeks' pgbr scheduler run --once
like "$out" 'job nightly: 41 earlier times have passed; they are made up for by one run' 'what was missed is told'
is "$(n_runs)" 2 'and made up for by one run'
like "$(pgbr list main)" 'job nightly: .*last run: .*done after.*next run: 2026-05-11 02:30:00\+02' 'list shows it'

# ---- hooks
jobs "hooked: {run: verify, cron: '1 * * * *', time_zone: UTC, retries: 1, retry_delay: 2 min,
    before: 'echo before >>$work/hooks; test -e $work/go', nice: 7, io: idle,
    after: '(env | grep ^PGBR_ | sort; nice; ionice -p \$\$) >>$work/hooks; exit 7'}"
as_owner touch "$work/hooks"
at '2026-06-01 00:00:30'
pgbr scheduler run --once
at '2026-06-01 00:01:00'
fails 1 'the "before" command ended with status 1, so nothing was run' 'a failing "before" is a failure' \
    pgbr scheduler run --once
is "$(runs | tail -1)" 'hooked|verify|1' 'that is recorded'
is "$(cat hooks)" before 'and nothing was run'
is "$(value failures) $(value state)" '1 pending' 'it is to be tried again'
as_owner touch "$work/go"
events() {
    python3 - "$work/state/catalog.db" <<'END'
import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute(
        "select level, text from event where kind = 'job' order by id"):
    print("|".join(map(str, row)))
END
}
at '2026-06-01 00:01:59'
ok 'not at once' pgbr scheduler run --once
is "$(cat hooks)" before 'nothing is run before its delay'
at '2026-06-01 00:03:02'
ok 'a retry' pgbr scheduler run --once
like "$out" 'done in .*, with warnings' 'a failing "after" is a warning'
is "$(grep -c before hooks)" 2 'the command before was run again'
like "$(cat hooks)" 'PGBR_ATTEMPT=2.PGBR_CLUSTER=main.PGBR_COMMAND=verify.PGBR_DUE=2026-06-01T00:01:00.000000Z.PGBR_JOB=hooked.PGBR_STATUS=0' \
    'the command after knows how it went'
nice=$(($(nice) + 7)) # on top of what this test has
is "$(tail -2 hooks | tr '\n' ' ')" "$((nice < 19 ? nice : 19)) idle " 'it is nice, and idle to the disk'
unlike "$(cat hooks)" 'secret' 'and no secrets'

# ---- hooks that do not end
hanging=0
for hook in 'sleep 96 & sleep 95' '(trap "" TERM; exec sleep 96) & sleep 95' 'sleep 96 & kill -STOP $$'; do
    jobs "h$hanging: {run: verify, cron: '1 * * * *', time_zone: UTC, retries: 0, time_limit: 1s, before: '$hook'}"
    at '2026-06-01 02:00:30'
    pgbr scheduler run --once
    at '2026-06-01 02:01:00'
    begun=$SECONDS
    fails 1 'the "before" command ended with status 124' "a hook beyond the time limit: $hook" pgbr scheduler run --once
    ok 'is ended at once' test $((SECONDS - begun)) -le 5
    is "$(pgrep -fc '^sleep 9[56]|kill -STOP' || true)" 0 'with all it started'
    pkill -KILL -f '^sleep 9[56]|kill -STOP' || true # this test's own
    hanging=$((hanging + 1))
done

# ---- a catalog that somebody keeps locked
jobs "v: {run: verify, cron: '1 * * * *', time_zone: UTC, retries: 0, after: 'touch $work/ran'}"
at '2026-06-02 00:00:30'
pgbr scheduler run --once
as_owner python3 - "$work/state/catalog.db" >locking <<'END' &
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("begin immediate")
print("locked", flush=True)
time.sleep(60)
END
locker=$!
wait_for 10 grep -q locked locking
at '2026-06-02 00:01'
pgbr scheduler run >sched.log 2>&1 &
wait_for 60 test -e ran
pass 'keeps no job from running'
as_owner pkill -KILL -f "^python3 - $work/state/catalog.db" # this test's own program
wait $locker || true
ran_once() { grep -q "the scheduler's memory is recorded again" sched.log && grep -q 'job v: done' sched.log; }
wait_for 60 ran_once
kill -KILL "$(head -1 "$work/state/scheduler.lock")"
ok 'what it did meanwhile is remembered later' pgbr scheduler run --once
is "$(grep -c 'job v: verify' sched.log)$(grep -c 'job v:' <<<"$out")" 10 'and not done again'

# ---- a time limit, and a set that is adopted
jobs "slow: {run: backup --type full, cron: '* * * * *', time_zone: UTC, time_limit: 1500ms, retries: 0}"
speed 8MB
at '2026-07-01 00:00:30'
pgbr scheduler run --once
at '2026-07-01 00:01'
before=$(count_backups)
fails 1 'it took longer than its time limit of 1.*s and was stopped' 'too slow a run is stopped' pgbr scheduler run --once
is "$(count_backups)" "$before" 'it left no backup'
like "$(pgbr scheduler list)" 'last run: .*timed out after.*it took longer than its time limit' 'list tells'
is "$(events | tail -1)" 'error|job slow: failed 1 times, not tried again before its next time; "pgbr scheduler list" tells why' \
    'and people hear of it'

# ---- a daemon
daemon() {
    pgbr scheduler run >>sched.log 2>&1 &
    wait_for 20 at_work
}
at_work() {
    grep -q 'the scheduler is at work' sched.log
}
started() {
    pgrep -f "^$PGBR -c $config backup main" >/dev/null && grep -q ' started at ' sched.log && sleep 0.3
}
daemon_pid() {
    head -1 "$work/state/scheduler.lock"
}
idle() {
    [ "$(value state)" = idle ]
}
ended() {
    ! kill -0 "$1" 2>/dev/null
}
fresh_log() {
    : >sched.log
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" sched.log
}

jobs "daily: {run: backup --type full, cron: '0 1 * * *', time_zone: UTC, retries: 1, retry_delay: 1s}"
at '2026-08-01 00:00'
pgbr scheduler run --once
at '2026-08-05 01:00:01' # it was down for some days
fresh_log
python3 - "$work/notify" <<'END' >notified &
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
print(s.recv(1000).decode(), flush=True)
END
wait_for 10 test -S notify
NOTIFY_SOCKET=$work/notify daemon
wait_for 30 idle
like "$(cat sched.log)" '4 earlier times have passed' 'a daemon makes up for what was missed at once'
is "$(runs | tail -1)" 'daily|backup|0' 'by one run'
like "$(events | tail -2)" 'warning\|job daily: 5 times have passed without it, while no scheduler was there; .*info\|job daily: it works again' 'people hear of both'
is "$(cat notified)" READY=1 'systemd hears that it is ready'
fails 1 'a scheduler runs already: .*process' 'there is one scheduler in a state directory' pgbr scheduler run
ok 'with --once that is fine' pgbr scheduler run --once
like "$out" 'a scheduler runs already: .*: it starts what is due' 'because that one does the work'
unlike "$(pgbr scheduler list)" 'no scheduler is at work' 'list sees it'

# ---- the configuration is read again
cp "$config" good.yml
as_owner sed -i "s/cron: '0 1/cron: '0 25/" "$config"
kill -HUP "$(daemon_pid)"
reload_failed() { grep -q 'the configuration is not read again' sched.log; }
wait_for 10 reload_failed
like "$(cat sched.log)" 'the old one goes on: ".*/pgbr.yml" line 2, column [0-9]+: cron expression: "25" as hour: it is 0 to 23' \
    'a mistake is told with its place, and changes nothing'
sed 's/--type full/--tipe full/' good.yml >"$config"
is_refused() { grep -q 'job "daily": "run": unknown option "--tipe" (did you mean "--type"?)' sched.log; }
kill -HUP "$(daemon_pid)"
wait_for 10 is_refused
fails 2 'line 2, column [0-9]*: job "daily": "run": unknown option "--tipe"' 'so does a mistyped option of a job' \
    pgbr scheduler next
sed "s/cron: '0 1/cron: '0 13/" good.yml >"$config"
kill -HUP "$(daemon_pid)"
reloaded() { grep -q 'the configuration was read again: 1 jobs' sched.log; }
wait_for 10 reloaded
is "$(value next)" '2026-08-05T13:00:00.000000Z' 'a good file counts'
before=$(n_runs)
pid=$(daemon_pid)
kill -TERM "$pid"
wait_for 10 ended "$pid"
pass 'it ends when asked'

# ---- stopped during a backup: the next scheduler runs it again, and it adopts what is there
daily="daily: {run: backup --type full, cron: '0 1 * * *', time_zone: UTC, retries: 1, retry_delay: 1s}"
slow() { # RATE
    jobs "$daily"
    sed -i '1i scheduler: {stop_wait: 0}' fast.yml
    speed "$1"
}
slow 20MB
at '2026-09-01 00:59:58'
pgbr scheduler run --once
fresh_log
daemon
wait_for 30 started
sleep 1.5
before=$(count_backups)
pid=$(daemon_pid)
kill -TERM "$pid"
wait_for 30 ended "$pid"
like "$(cat sched.log)" 'the jobs that still run are stopped.*job daily: stopped after.*the scheduler ends' 'a backup is stopped with the scheduler'
is "$(count_backups)" "$before" 'it left no backup'
slow ''
fresh_log
daemon
wait_for 60 idle
like "$(cat sched.log)" 'interrupted attempts left .* that may be used again' 'the next scheduler runs it again at once, which uses what is there'
is "$(count_backups)" $((before + 1)) 'and completes it'
pid=$(daemon_pid)
kill -TERM "$pid"
wait_for 10 ended "$pid"

# ---- killed during a backup: the backup goes on, and is not taken twice
slow 25MB
sleep 1 # the clock counts whole seconds: no backup so far was begun at this time
at '2026-09-02 01:00:00'
fresh_log
daemon
wait_for 30 started
before=$(count_backups)
kill -KILL "$(daemon_pid)"
fresh_log
daemon
is "$(value state)" running 'a scheduler that comes back sees what still runs'
wait_for 60 idle
is "$(count_backups)" $((before + 1)) 'the backup that was under way is complete'
is "$(runs | tail -1)" 'daily|backup|0' 'its end is known'
before=$(n_runs)
sleep 2
is "$(n_runs)" "$before" 'and it is not run again'
pid=$(daemon_pid)
kill -TERM "$pid"
wait_for 10 ended "$pid"

# ---- all killed, as when the host goes down
sleep 1 # the clock counts whole seconds: no backup so far was begun at this time
at '2026-09-03 01:00:00'
fresh_log
daemon
wait_for 30 started
before=$(count_backups)
kill -KILL "$(daemon_pid)"
pkill -KILL -f "^$PGBR -c $config" # this test's own program
slow ''
fresh_log
daemon
wait_for 60 idle
is "$(count_backups)" $((before + 1)) 'a run that died with its host is repeated'
is "$(runs | tail -2 | tr '\n' ' ')" 'daily|backup|1 daily|backup|0 ' 'and both are recorded'
pid=$(daemon_pid)
kill -TERM "$pid"
wait_for 10 ended "$pid"

# ---- beside a backup by hand
slow 25MB
sleep 1
at '2026-09-04 01:00:01'
unset PGBR_TEST_CLOCK
backup_begin
at '2026-09-04 01:00:01'
fails 1 'job daily: waits: a backup of cluster "main" is under way' 'a job waits for a backup by hand' \
    pgbr scheduler run --once
is "$(value failures) $(value state)" '0 pending' 'without counting it as a failure'
backup_ends 0 complete 'the backup by hand completes'
speed
at '2026-09-04 01:01:00'
before=$(count_backups)
ok 'then' pgbr scheduler run --once
is "$(count_backups)" "$before" 'it serves the job too'
like "$out" 'job daily: not run here: backup .* was begun at its time or later' 'which is told'

# ---- by hand
ok 'a job is run by hand' pgbr scheduler job daily
is "$(count_backups)" $((before + 1)) 'now, whatever its time'
done_testing
