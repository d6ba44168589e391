#!/bin/bash
# With a scheduler at work it is the one that tells; what becomes of jobs is told too.
. "${0%/*}/../lib/pgbr.sh"

event() { # LEVEL KIND TEXT
    as_owner python3 - "$work/state/catalog.db" "$@" <<'END'
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], timeout=20)
c.execute("insert into event (time_us, level, kind, cluster, text) values (?, ?, ?, 'main', ?)",
          [int(time.time() * 1e6)] + sys.argv[2:])
c.commit()
END
}
told() { # REGEX: is there such a notification?
    grep -Eq -- "$1" "$work/told" 2>/dev/null
}
at() { # TIME (UTC): what the scheduler's clock shows from now on
    PGBR_TEST_CLOCK=$(date -u -d "$1 UTC" +%s):1:$(date +%s)
    export PGBR_TEST_CLOCK
}
configure() { # RECEIVER JOB...
    write_config --top "notify: {$1}" main
    [ $# -eq 1 ] || printf '%s\n' 'jobs:' "${@:2}" >>"$config"
}
start_scheduler() {
    as_owner "$PGBR" -c "$config" scheduler run 5>&- 6>&- &
    wait_for 20 told_lock
}
told_lock() {
    ! as_owner flock -n -s "$work/state/notify.lock" true
}
stop_scheduler() {
    kill -TERM "$(<"$work/state/scheduler.lock")"
    wait $! || true
}

chmod 777 "$work"
cluster_start main
tell="mail: {command: 'cat >>$work/told', events: [info, warning, error]}"
configure "$tell"
pgbr init main
archive_on main
cluster_stop main

start_scheduler
fails 1 'cannot connect' 'a backup that fails while a scheduler is at work' pgbr backup main
wait_for 10 told '"kind":"backup"'
pass 'is told by the scheduler'
event error drill 'written by a process that then died'
wait_for 10 told 'written by a process that then died'
pass 'as is all that comes into the catalog'
configure "late: {command: 'sed s/^/late:/ >>$work/told', events: [drill]}"
kill -HUP "$(<"$work/state/scheduler.lock")"
sleep 1
event error drill 'after a reload'
wait_for 10 told '^late:.*after a reload'
pass 'a reload brings other receivers'
stop_scheduler
ok 'when it has ended, nobody is at work' as_owner flock -n "$work/state/notify.lock" true

# ---- jobs
rm -f "$work/told"
configure "$tell" '  strict: {run: expire, cron: "0 * * * *", time_zone: UTC, before: "exit 4", retries: 0}'
at '2026-03-28 12:30'
ok 'a new job' pgbr scheduler run --once
at '2026-03-28 13:00:01'
fails 1 'ended with status 4' 'a job whose "before" fails' pgbr scheduler run --once
like "$(<"$work/told")" '"level":"error","kind":"job","cluster":"main","repo":null,"job":"strict","message":"job strict: failed 1 times, not tried again' \
    'is told'
sed -i 's/exit 4/true/' "$config"
at '2026-03-28 14:00:01'
ok 'later it works' pgbr scheduler run --once
like "$(tail -1 "$work/told")" '"level":"info","kind":"job".*"recovered":true' 'which is told too'
done_testing
