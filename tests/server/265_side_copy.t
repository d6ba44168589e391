#!/bin/bash
# A copy beside the original does not write into it, not even where the WAL says so: a tablespace
# made after the backup is made again by recovery, in the directory that is the original's.
. "${0%/*}/../lib/pgbr.sh"

mkdir space free logs
printf '%s\n' "work_mem = 5MB" "log_directory = '$work/logs'" >more.conf
[ "$run_as" = "$(id -un)" ] || chown -R "$run_as" space free logs
cluster_init main 15 --wal-segsize=1
# links: what they lead to is not in the backup
cluster_config main "include 'more.conf'"
ln -s "$work/more.conf" main/more.conf
# what a server writes, removes or runs beside its data directory
cluster_config main "archive_cleanup_command = 'touch $work/logs/cleaned'" "external_pid_file = '$work/logs/main.pid'" \
    "recovery_end_command = 'touch $work/logs/ended'" "primary_slot_name = 'the_originals'" \
    "promote_trigger_file = '$work/logs/promote'"
ln -s "$work/logs" main/log
cluster_start main
write_config main
pgbr init main
archive_on main
fails 3 'is a link to' 'the backup warns of links' pgbr backup main
sql main "create table early as select 1 n"
before=$(sql main 'select clock_timestamp()')
sleep 0.1
sql main "create table later as select 1 n" # else recovery stops only at the end of what follows
sql main "create tablespace space location '$work/space'" \
    "create table t tablespace space as select generate_series(1, 1000) n" "checkpoint"
wait_archived main
# what the copy would not know of, and replay would put back
sql main "insert into t select generate_series(1001, 100000)" "vacuum t" "checkpoint"
picture() {
    find space logs main/pg_tblspc -printf '%p %T@ %C@ %s %i %l\n' | sort
}
kept=$(picture)

# Recovery of a copy ends with an error; what it said is in $said.
stops() { # COPY NAME
    local lines
    as_owner touch "log/$1.log"
    lines=$(wc -l <"log/$1.log")
    cluster_start "$1" || true
    wait_for 60 test ! -e "$1/postmaster.pid"
    said=$(tail -n +$((lines + 1)) "log/$1.log")
    like "$said" 'FATAL.*could not restore file|startup process .*exited' "$2"
}

# ---- into the original itself, whatever is asked for
fails 2 'is inside .* which is the original' 'a copy inside the original is refused' \
    pgbr restore main --data-dir "$work/main/copy" --force
fails 2 'is inside .* which is the original' 'and WAL inside it' \
    pgbr restore main --data-dir "$work/copy" --wal-dir "$work/main/copy" --force
mkdir copied
cp -a main/PG_VERSION main/global copied/
ln -s "$work/main/pg_wal" copied/pg_wal
[ "$run_as" = "$(id -un)" ] || chown -R "$run_as" copied
chmod 700 copied
fails 1 'pg_wal" is a link into' 'and one that was copied with a link to its WAL' pgbr restore main --data-dir "$work/copied" --force
rm -r copied
is "$(picture)" "$kept" 'nothing of the original has changed'

# ---- all of the WAL: it is told, and recovery stops before it
fails 3 "WARNING: the original on this host has tablespaces.* in \"$work/space\"" 'the plan warns' \
    pgbr restore main --data-dir "$work/copy"
like "$out" 'WARNING.* "data/log" to ".*/logs" was left out' 'and of a link into what is the original'"'"'s'
ok 'which the copy does not have' test ! -e copy/log
is "$(readlink copy/more.conf)" "$work/more.conf" 'a link to a configuration file it has'
stops copy 'recovery does not get past it'
like "$said" "creates a tablespace in \"$work/space\" .*where there is one already.*restore on another host" \
    'and says why'
is "$(picture)" "$kept" 'nothing of the original has changed'
unlike "$said" 'archive recovery complete' 'the copy did not go live without it'
cluster_restart main
is "$(sql main 'select count(*), sum(n) from t')" '100000|5000050000' 'the original has all its rows'

# ---- the same with the original's directory away, as on another host: nothing is in the way
cluster_stop main
mv space aside
cp -a free space
ok 'the copy goes on where it stopped' restore_start copy
is "$(sql copy 'select count(*) from t')" 100000 'and has the tablespace'
is "$(readlink copy/pg_tblspc/*)" "$work/space" 'in the place that the WAL names'
cluster_stop copy
# recovery from the start once more: what is there is its own
fails 3 'restored: ' 'restored again over itself' pgbr restore main --data-dir "$work/copy" --force
stops copy 'with what the first one left in the way'
like "$said" 'empty it and start again' 'that is refused too'
rm -rf space
mv aside space
cluster_start main

# ---- a moment before it
kept=$(picture)
fails 3 'restored: ' 'the moment before' pgbr restore main --data-dir "$work/past" --target-time "$before" \
    --target-action promote
like "$out" 'note *the original on this host has tablespaces' 'is no reason for a warning'
restore_start past -c logging_collector=on
is "$(sql past "select to_regclass('early') is not null, to_regclass('t') is null")" 't|t' 'can be restored'
is "$(sql past 'show log_directory')" log 'it logs beside its own data, whatever an included file says'
is "$(sql past "select current_setting('primary_slot_name') || current_setting('promote_trigger_file')")" '' \
    'it has no slot and no trigger file'
is "$(sql past 'show max_logical_replication_workers')" 0 'and runs no subscriptions'
cluster_stop past
is "$(picture)" "$kept" 'nothing of the original has changed'
lsn=$(sed -n 's/.*or to before it (--target-lsn \([^ ]*\) --exclusive).*/\1/p' <<<"$said" | head -1)
fails 3 'restored: ' 'the last position before it, as it was told' pgbr restore main --data-dir "$work/past" --force --target-lsn "$lsn" --exclusive \
    --target-action promote
restore_start past
is "$(sql past "select to_regclass('later') is not null, to_regclass('t') is null")" 't|t' 'can be restored, too'
is "$(picture)" "$kept" 'nothing of the original has changed'
cluster_stop past

# ---- a backup that has the tablespace
rm main/log
fails 3 'more.conf' 'a newer backup' pgbr backup main
fails 2 'tablespace-map' 'it wants to know where it goes' pgbr restore main --data-dir "$work/new"
ok 'with a place of its own' pgbr restore main --data-dir "$work/new" --tablespace-map "space=$work/new-space"
kept=$(picture)
restore_start new
is "$(sql new 'select count(*) from t')" 100000 'it comes up'
is "$(picture)" "$kept" 'beside the original, which is as it was'
cluster_stop new

# ---- in place it is the original's own directory
cluster_stop main
set=$(pgbr list main --json | grep -o '"label": *"[^"]*-F-[^"]*"' | head -1 | sed 's/.*"\([^"]*\)"$/\1/')
ok 'the first backup in place' pgbr restore main --delta --set "$set" --archive on
restore_start main
is "$(sql main 'select count(*) from t')" 100000 'replays everything into it'
done_testing
