#!/bin/bash
# What can happen to the server and to pgbr while a backup runs: ended sessions, signals, a killed
# server, files that vanish. Nothing half is listed, and what was stored is used by the next backup.
. "${0%/*}/../lib/pgbr.sh"
. "$lib/slow_backup.sh"
backup='' # its process
slow_cluster

# ---- the session is ended, the process is asked to end, the server is killed
speed 15MB
backup_begin
is "$(sql main "select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ 'pgbr'" |
    sort -u)" t 'the session of a backup is ended by an administrator'
backup_ends 1 'ERROR.*(connection|session|terminat)' 'then the backup fails'
next_one_adopts 'ended session'

for signal in TERM INT; do
    speed 15MB
    backup_begin
    kill -"$signal" "$backup"
    backup_ends 1 "interrupted by SIG$signal" "a backup that gets SIG$signal ends, and says why"
    next_one_adopts "SIG$signal"
    is "$(sql main "select count(*) from pg_stat_activity where application_name ~ 'pgbr'")" 0 \
        "SIG$signal: no session is left"
done

speed 15MB
backup_begin
kill -KILL "$backup"
backup_ends 137 '' 'a backup is killed'
next_one_adopts 'SIGKILL'

speed 15MB
backup_begin
kill -KILL "$(head -1 main/postmaster.pid)"
backup_ends 1 'ERROR' 'the server is killed: the backup fails'
server_gone() { # with all its processes
    local pid
    for pid in $(pgrep -u "$run_as" postgres); do
        [ "$(readlink "/proc/$pid/cwd")" != "$work/main" ] || return 1
    done
}
wait_for 30 server_gone
rm -f main/postmaster.pid
cluster_start main
next_one_adopts 'killed server'
restores 'after a killed server'

# ---- pg_control cannot be read any more
if [ "$run_as" != root ]; then
    speed 15MB
    backup_begin
    chmod 000 main/global/pg_control
    backup_ends 1 'pg_control.*ermission denied' 'pg_control cannot be read: the backup fails'
    chmod 600 main/global/pg_control
    next_one_adopts 'unreadable pg_control'
fi

done_testing
