#!/bin/bash
# The tools of the other tests do what their names say, without pgbr.
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15 --wal-segsize=1
cluster_config main "work_mem = 7MB"
cluster_start main
is "$(sql main 'select 6 * 7' 'select true')" $'42\nt' 'statements are answered in turn'
is "$(sql main 'show work_mem')" 7MB 'a line of configuration counts'
is "$(sql main 'show data_checksums')" on 'data checksums are on'
is "$(sql main 'show listen_addresses')" '' 'no TCP port is opened'
sql main 'create database app' 'create table t as select generate_series(1, 10) n'
sql main/app 'create table u (x int)'
is "$(sql main/app 'select count(*) from u')" 0 'another database is reached by name'
fails 1 'division by zero' 'an error in SQL is a failure' sql main 'select 1 / 0'

mkdir archive
chown "$run_as" archive
archive_on main "test ! -f $work/archive/%f && cp %p $work/archive/%f"
segment=$(sql main 'select pg_walfile_name(pg_current_wal_insert_lsn())')
wait_archived main
ok 'wait_archived waits for the segment that was current' test -f "archive/$segment"
ok 'wait_archived does not hang where nothing was written' wait_archived main

before=$(dump_sum main)
is "$(dump_sum main)" "$before" 'equal contents have equal sums'
sql main 'insert into t values (11)'
isnt "$(dump_sum main)" "$before" 'one more row changes the sum'

cluster_standby copy main
is "$(sql copy 'select pg_is_in_recovery()')" t 'a standby can be made'
isnt "$(port copy)" "$(port main)" 'each cluster has a port of its own'
sql main 'insert into t values (12)'
caught_up() {
    [ "$(sql copy 'select count(*) from t')" = 12 ]
}
ok 'it streams' wait_for 30 caught_up
cluster_stop copy immediate
isnt "$(stat -c %U "$work/main/PG_VERSION")" root 'servers do not run as root'

cluster_debian deb
cluster_config deb "work_mem = 9MB"
cluster_start deb
is "$(sql deb 'show work_mem')" 9MB "a cluster of Debian's making runs"
like "$(sql deb 'show config_file')" '/etc/15/deb/' 'its configuration is outside the data directory'

# What a failing test looks like is tried with a test of its own.
cat >sample.t <<'END'
. "$1"
cluster_start one
trap 'echo $work >&6; at_exit' EXIT
is 1 2 'numbers # differ'
false
END
status=0
out=$(bash sample.t "$lib/pgbr.sh" 2>&1) || status=$?
is "$status" 1 'a failed test has a failed status'
like "$out" 'not ok 1 - numbers  differ' 'a failed assertion is told'
like "$out" 'not ok 2 - the test ran to its end' 'a command that fails ends the test with a failure'
like "$out" 'database system is ready' 'the log of the server is shown'
left=$(grep -o '^/tmp/pgbr-test[^ ]*' <<<"$out")
like "$left" '^/tmp/pgbr-test' 'it had a folder'
ok 'the folder is gone' test ! -e "$left"
is "$(pgrep -f "$left" || true)" '' 'no server is left'

cat >hangs.t <<'END'
. "$1"
echo "$work" >&6
cluster_start one
sql one 'select pg_sleep(600)'
END
fails 1 'not ok 1 - the test ran to its end' 'a test that hangs is ended' \
    env TEST_LIMIT=8 bash hangs.t "$lib/pgbr.sh"
like "$out" 'not finished in 8 seconds' 'it says so'
left=$(grep -o '^/tmp/pgbr-test[^ ]*' <<<"$out")
ok 'its folder is gone' test ! -e "$left"
is "$(pgrep -f "$left" || true)" '' 'its server is gone'
done_testing
