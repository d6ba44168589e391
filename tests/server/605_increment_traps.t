#!/bin/bash
# What an incremental must not overlook: times without WAL, checksums switched on and off, promotions,
# a primary that was rewound, databases copied file by file, relations that move or change their nature.
. "${0%/*}/../lib/pgbr.sh"
bin=$(pg_version_dir 15)/bin

cluster_init main 15 --no-data-checksums
cluster_config main "wal_log_hints = on" "wal_keep_size = 512MB" "autovacuum = off" \
    "max_prepared_transactions = 5"
cluster_start main
write_config --cluster 'archive_timeout: 20s' main
pgbr init main
archive_on main
as_owner mkdir "$work/space"

backup() { # TYPE [COMMAND before pgbr...]
    pgbr backup main --json --type "$1" | tee "$work/made" >/dev/null
}
made() {
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/made" "$1"
}
content() { # NAME: a hash of everything
    pg_client pg_dumpall -d "$(connection "$1")" |
        sed -E "/^\\\\(un)?restrict /d; s|$work/copy-space|$work/space|" | sha256sum
}
# The newest backup and the WAL behind it give what the cluster NAME has.
restores() { # NAME WHAT
    wait_archived "$1"
    rm -rf copy copy-space
    pgbr -q restore main --data-dir "$work/copy" --tablespace-map "far=$work/copy-space" >&2
    restore_start copy >&2
    is "$(content copy)" "$(content "$1")" "$2"
    cluster_stop copy immediate >&2
}

sql main "create tablespace far location '$work/space'" \
    "create table t as select n, repeat('x', 200) as filler from generate_series(1, 20000) n" \
    "create unlogged table careless as select * from t" "create table careful as select * from t" \
    "create table mover as select * from t" "create index mover_n on mover (n)"
backup full

# ---- relations that move, grow new files or change their nature
sql main "alter table mover set tablespace far" "alter index mover_n set tablespace far" \
    "alter table careless set logged" "alter table careful set unlogged" "insert into careless values (1, 'logged')" \
    "cluster mover using mover_n" "vacuum full t" "create database by_files template template0 strategy file_copy" \
    "create database by_wal template template0 strategy wal_log" \
    "truncate careful" "insert into careful values (2, 'not logged')"
sql main/by_files "create table inside as select generate_series(1, 5000) n"
backup incr
is "$(made type) $(made changes_found)" 'incr wal' 'new files and moved ones are in the WAL'
sql main "truncate careful" # nobody brings back what it held
restores main 'and restore'
sql main/by_files "update inside set n = n + 1 where n % 100 = 1"
sql main "alter database by_files set tablespace far" "drop database by_wal" \
    "create database by_wal template by_files strategy file_copy"
backup incr
is "$(made type) $(made changes_found)" 'incr wal' 'so are databases that move, and one made again under its name'
restores main 'and restore'

# ---- a time without WAL
as_owner cp main/postgresql.auto.conf auto.conf
sql main "alter system set wal_level = minimal" "alter system set max_wal_senders = 0" \
    "alter system set archive_mode = off"
cluster_restart main
sql main "begin; create table bulk (n int); copy bulk from program 'seq 1 30000'; commit" \
    "begin; truncate t; copy t (n) from program 'seq 1 4000'; commit"
cluster_stop main
as_owner cp auto.conf main/postgresql.auto.conf
cluster_start main
backup incr
isnt "$(made changes_found)" wal 'after a time with wal_level minimal the WAL is not asked'
restores main 'and what was loaded then is there'

# ---- data checksums
cluster_stop main
as_owner "$bin/pg_checksums" --enable -D "$work/main"
cluster_start main
out=$(pgbr backup main --json --type incr 2>&1)
like "$out" 'data checksums were switched on since' 'checksums switched on: the base does not fit'
like "$out" '"type": "full"' 'and a full backup is taken'
restores main 'which restores'

# ---- promotion: on top of a backup of the old primary
cluster_standby next main
sql main "update t set filler = 'before the split' where n % 500 = 1" "select pg_switch_wal()"
caught_up() {
    [ "$(sql next "select pg_last_wal_replay_lsn() >= '$(sql main 'select pg_current_wal_lsn()')'")" = t ]
}
wait_for 60 caught_up
of_next() { # pgbr as on the host of the standby
    sed "s|^state_dir: .*|state_dir: $work/state.next|; s|^    data: .*|    data: $work/next|
        s|^    connection: .*|    connection: \"$(connection next)\"|" "$config" >next.yml
    chmod 600 next.yml
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" next.yml
    as_owner "$PGBR" -c "$work/next.yml" "$@"
}
sql next "select pg_promote()" >/dev/null
sql main "update t set filler = 'lost' where n % 500 = 2" # on the branch that nobody follows
sql next "update t set filler = 'after the split' where n % 500 = 3"
of_next backup main --json --type incr | tee "$work/made" >/dev/null
is "$(made type) $(made changes_found) $(made timeline)" 'incr wal 2' 'across a promotion the WAL tells'
wait_archived next
restores next 'what is on the new timeline, and nothing of the other'

# ---- pg_rewind: the old primary has pages that its new timeline does not name
cluster_stop main
as_owner "$bin/pg_rewind" -D "$work/main" --source-server="$(connection next) dbname=postgres" >&2
cluster_config main "port = $(port main)" "primary_conninfo = '$(connection next)'"
as_owner touch main/standby.signal
cluster_start main
sql next "update t set filler = 'after the rewind' where n % 500 = 4"
followed() {
    [ "$(sql main "select pg_last_wal_replay_lsn() >= '$(sql next 'select pg_current_wal_lsn()')'")" = t ]
}
wait_for 60 followed
sql next checkpoint
wait_for 60 followed
sql main checkpoint # a restartpoint, behind the end of the last backup
sed -i "s|^    data: .*|&\n    primary: \"$(connection next)\"|" "$config"
pgbr backup main --json --type incr | tee "$work/made" >/dev/null
is "$(made type) $(made from_standby)" 'incr True' 'a primary that was rewound is backed up as a standby'
sql next "update t set filler = 'and on' where n % 500 = 5"
restores next 'and has nothing of what was lost'
ok 'all backups are whole' pgbr verify main --deep
done_testing
