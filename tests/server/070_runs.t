#!/bin/bash
# What a backup that is under way tells of itself, and what is left of one that died.
. "${0%/*}/../lib/pgbr.sh"
. "$lib/slow_backup.sh"
backup='' # the process of the one under way

runs() { # the last rows of the catalog, newest first: command, exit status, message
    python3 - "$work/state/catalog.db" <<'END'
import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute(
        "select command, exit_status, coalesce(label, '') <> '', coalesce(bytes_total, 0) > 0,"
        " coalesce(message, '') from job_run order by id desc limit 3"):
    print("|".join(map(str, row)))
END
}
progress_is_recorded() {
    pgbr list main | grep -Eq 'running: backup into repository "local", process [0-9]+, since .*, [1-9].* of [0-9.]+ MB'
}

slow_cluster
speed 8MB
backup_begin
like "$(pgbr list main)" "running: backup into repository \"local\", process $backup, since" \
    'a backup under way is shown by list'
wait_for 30 progress_is_recorded
pass 'and so is how far it is'
kill -KILL "$backup"
backup_ends 137 '' 'it is killed'
unlike "$(pgbr list main)" 'running:' 'a process that died is not shown'

speed
ok 'the next backup is taken' pgbr backup main
out=$(runs)
is "$(sed -n 1p <<<"$out")" 'backup|0|1|1|' 'its end is recorded, with its label'
like "$(sed -n 2p <<<"$out")" '^backup\|1\|0\|1\|ended without a word' 'and the end of the one that died'
ok 'verified' pgbr verify main
is "$(runs | head -1)" 'verify|0|0|0|' 'other commands are recorded too'
mv repo away
fails 1 'repository' 'a backup that cannot begin' pgbr backup main
mv away repo
cluster_stop main
fails 1 'cannot connect' 'a backup that fails' pgbr backup main
like "$(runs | head -1)" '^backup\|1\|0\|0\|.*connect' 'is recorded with its reason'
done_testing
