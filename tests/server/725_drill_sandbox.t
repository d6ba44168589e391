#!/bin/bash
# A drill runs, or explains why not, whatever the original is set up with; and touches nothing of it.
. "${0%/*}/../lib/pgbr.sh"

# Beside the data directory: a tablespace, configuration, certificates, an archive of its own.
mkdir space space2 etc aside
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout etc/server.key -out etc/server.crt
chmod 600 etc/server.key
printf '%s\n' "work_mem = 5MB" "include_if_exists = '$work/etc/more.conf'" >etc/extra.conf
echo "search_path = 'shop, public'" >etc/more.conf
[ "$run_as" = "$(id -un)" ] || chown -R "$run_as" space space2 etc aside
cluster_init main 15 --wal-segsize=1 --username=chief
connection() {
    echo "host=$work/sock port=$(port "$1") user=chief dbname=${2:-postgres}"
}
port=$(port main)
cluster_config main "port = $port" "listen_addresses = 'localhost'" "wal_level = logical" "ssl = on" \
    "ssl_cert_file = '$work/etc/server.crt'" "ssl_key_file = '$work/etc/server.key'" \
    "include = '$work/etc/extra.conf'" "log_connections = on" "logging_collector = off" \
    "log_directory = '$work/etc'" "external_pid_file = '$work/etc/main.pid'" "max_prepared_transactions = 7" \
    "huge_pages = try" "synchronous_standby_names = 'nobody'" "synchronous_commit = local" \
    "recovery_end_command = 'touch $work/etc/recovered'" "archive_cleanup_command = 'touch $work/etc/cleaned'" \
    "primary_conninfo = 'host=$work/sock port=$port'" "primary_slot_name = 'slot'"
# a link out of the data directory, and the original's places in settings
ln -s "$work/aside" main/linked
cluster_config main "data_directory = '$work/main'" "hba_file = '$work/main/pg_hba.conf'" \
    "unix_socket_directories = '$work/sock'"
cluster_start main
check() { # NAME SQL EXPECTED
    printf '        %s: {sql: "%s", expect: "%s"}\n' "$1" "$2" "$3"
}
write_config --top "log: {level: warning}" main
{
    echo "    drill:"
    echo "      user: chief"
    echo "      time_limit: 5 min"
    echo "      checks:"
    check rows "select count(*) from goods" 3
    check archive "select current_setting('archive_mode') || current_setting('archive_command')" 'off(disabled)'
    check tcp "select current_setting('listen_addresses') || current_setting('ssl')" off
    check standby "select '<' || current_setting('primary_conninfo') || current_setting('synchronous_standby_names') || '>'" '<>'
    check workers "select count(*) from pg_stat_activity where backend_type ~ 'logical|worker|autovacuum'" 0
    check writes "with w as (insert into goods values (9) returning 1) select count(*) from w" 1
    check prepared "select string_agg(gid, ',') from pg_prepared_xacts" waiting
    check places "select count(*) from pg_tablespace where pg_tablespace_location(oid) !~ 'pgbr-drill' and oid > 9999" 0
} >>"$config"
pgbr init main
# fires where an extension is made: amcheck, in a drill
sql main "create function meddle() returns event_trigger language plpgsql as 'begin if tg_tag = ''CREATE EXTENSION'' then raise ''meddled''; end if; end'" \
    "create event trigger meddling on ddl_command_start execute function meddle()"
archive_on main "cp %p $work/aside/%f && $(archive_command main)"
sql main "create tablespace space location '$work/space'" "create schema shop" \
    "create table shop.goods tablespace space as select generate_series(1, 3) n" "create index on shop.goods (n)" \
    "create table shop.quiet (n int primary key)" "create publication p for all tables" "select pg_create_logical_replication_slot('own', 'pgoutput')" \
    "create subscription s connection 'host=$work/sock port=$port user=chief dbname=postgres' publication p with (connect = false, slot_name = 'own')" \
    "alter subscription s enable"
# What does not exist "here": the server does not read it again.
cluster_config main "shared_preload_libraries = 'auto_explain, no_such_library, \"another one\"'"
sql main "select pg_switch_wal()"
fails 3 'is a link to' 'a backup' pgbr backup main
sql main "begin; insert into goods values (4); lock table shop.quiet; prepare transaction 'waiting'"
wait_archived main

# What must stay as it is: names, times, sizes and places of everything.
picture() {
    (cd "$work" && find space space2 etc aside repo/main/wal repo/main/backup repo/main/data \
        -printf '%p %T@ %C@ %s %i %y\n' | sort)
    [ -e main/postmaster.pid ] || (cd "$work" && find main -printf '%p %T@ %C@ %s %i %y\n' | sort)
}
connections() {
    grep -c 'connection received' log/main.log || true
}

# ---- with the original at work
kept=$(picture)
export PGPORT=$port PGHOST=$work/sock PGHOSTADDR=127.0.0.1 PGDATA=$work/main PGOPTIONS='-c archive_mode=on'
sleep 1
before=$(connections)
fails 3 'passed, with warnings' 'a drill while the original runs' pgbr drill main
unset PGPORT PGHOST PGHOSTADDR PGDATA PGOPTIONS
is "$(connections)" "$before" 'nothing connects to the original'
is "$(picture)" "$kept" 'nothing around it has changed'
like "$out" 'warning +shared_preload_libraries: expected auto_explain, no_such_library, "another one", found "auto_explain"; .*"no_such_library"' \
    'libraries that do not exist here are left out, and named'
for name in rows archive tcp standby workers writes prepared places; do
    like "$out" "ok +check \"$name\"" "as it should be: $name"
done
like "$out" 'warning +amcheck: 2 tables and indexes could not be checked: prepared' 'what a prepared transaction has locked is told'
like "$out" 'ok +recovery target' 'the target is reached'

unlike "$out" meddled 'event triggers do not get in the way of amcheck'
fails 2 'inside the data directory of the original' 'a sandbox in the original is refused' pgbr drill main --dir "$work/main/drills"
ok 'and leaves nothing there' test ! -e main/drills

# ---- with nothing of the original there, in a place too long for a socket
cluster_stop main
mv etc gone
long=$work/$(printf 'a%.0s' {1..90})
kept=$(picture)
fails 3 'passed, with warnings' 'certificates and configuration are gone, the way is long' pgbr drill main --dir "$long"
is "$(picture)" "$kept" 'nothing of the original has changed'
unlike "$out" 'warning +configuration' 'its configuration is the one in the backup'
is "$(ls -A "$long")" '' 'nothing is left'
no_sockets() { # another test may have its own there for a while
    [ -z "$(find /tmp -maxdepth 1 -name 'pgbr-drill-*' -user "$run_as")" ]
}
ok 'nor of its socket' wait_for 60 no_sockets
mv gone etc
sed -i '/^shared_preload_libraries = .auto/d' main/postgresql.conf

# ---- a tablespace that is younger than the backup: replay would write into the original's
cluster_start main
sql main "create tablespace space2 location '$work/space2'" "create table t2 tablespace space2 as select 1 n" "checkpoint"
wait_archived main
cluster_stop main
kept=$(picture)
fails 1 "creates a tablespace in \"$work/space2\"" 'a younger tablespace is refused' pgbr drill main
is "$(picture)" "$kept" 'nothing of it has changed'

# ---- before that it can be rehearsed; and what is kept can be started
fails 1 'check "prepared": expected waiting, found null.*start it with' 'a sandbox is kept' pgbr drill main --target immediate --no-amcheck --keep
start=$(sed -n 's/^  start it with: //p' <<<"$out")
dir=$(sed -n 's/^  kept in *//p' <<<"$out")
fails 1 . 'the next drill' pgbr drill main --target-lsn F/0
ok 'leaves it alone' test -d "$dir/data"
ok 'a link to what is beside the data directory is not there' test ! -h "$dir/data/linked"
ok 'it starts' as_owner bash -c "$start -w -l $work/log/kept.log"
is "$(as_owner /usr/lib/postgresql/15/bin/psql -XAtq -h "$dir" -p 5432 -U chief postgres -c 'show archive_mode')" off \
    'without archiving'
ok 'and stops' as_owner /usr/lib/postgresql/15/bin/pg_ctl -D "$dir/data" -w -m immediate stop
done_testing
