#!/bin/bash
# Working ahead, for repositories behind a network: one archive-push also pushes the segments that
# wait behind its own, archive-get leaves a process behind that fetches the next ones. Here a local
# repository is made slow: each file that is opened there costs 50 ms or more.
. "${0%/*}/../lib/pgbr.sh"

cc -std=gnu17 -shared -fPIC -o "$work/slow.so" "$top/tests/server/slow_opens.c"
slow="ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0 LD_PRELOAD=$work/slow.so SLOW_DIR=$work/repo SLOW_MS=${SLOW_MS:-80}" # before a command
gain=4
[ -z "$sanitized" ] || gain=1 # its own time would drown the network's
now_ms() {
    date +%s%3N
}

cluster_init main "${VERSION:-15}" --wal-segsize=1
cluster_start main
write_config --cluster 'archive_push_ahead: 8' --cluster 'archive_get_ahead: 8' main
ahead=$work/ahead.yml plain=$work/plain.yml debug=$work/debug.yml
sed 's/_ahead: 8/_ahead: 0/' "$config" >"$plain"
cp "$config" "$ahead"
{
    echo 'log: {level: debug}'
    cat "$config"
} >"$debug"
chmod 600 "$plain" "$ahead" "$debug"
[ "$run_as" = "$(id -un)" ] || chown "$run_as" "$plain" "$ahead" "$debug"
pgbr init main
archive_on main
pgbr backup main
sql main "alter system set archive_command = 'false'" "select pg_reload_conf()"
segments() { # N: that many more, each waiting to be archived
    local i
    for ((i = 0; i < $1; i++)); do
        sql main "create table t$((made++)) as select repeat(md5(n::text), 10) from generate_series(1, 500) n" \
            "select pg_switch_wal()"
    done
}
made=0
waiting() { # their names, in order
    find main/pg_wal/archive_status -name '*.ready' -printf '%f\n' | sed 's/\.ready$//' | sort
}
holds() {
    find "$work/repo" -name "$1" -type f | grep -q .
}
in_data() {
    (cd "$work/main" && "$@")
}

# ---- push: semantics
segments 24
mapfile -t names < <(waiting)
is "${#names[@]}" 24 'segments wait'
status_files=$(ls main/pg_wal/archive_status)
ok 'one is pushed' in_data pgbr archive-push main "pg_wal/${names[0]}"
there=0
for name in "${names[@]}"; do ! holds "$name" || there=$((there + 1)); done
is "$there" 9 'and eight more with it'
ok 'in order' holds "${names[8]}"
is "$(ls main/pg_wal/archive_status)" "$status_files" 'status files are not touched'
ok 'what they are is remembered' test -s state/main.ahead
pushed_before() { # NAME: the next call finds it so
    in_data as_owner "$PGBR" -c "$debug" archive-push main "pg_wal/$1" 2>&1 | grep -q 'pushed by an earlier call'
}
ok 'the next call only confirms' pushed_before "${names[1]}"
ok 'also with an absolute path' pgbr archive-push main "$work/main/pg_wal/${names[2]}"

# a file that was replaced: same name, size and times
cp -p "main/pg_wal/${names[3]}" "$work/kept"
printf 'x' | dd of="main/pg_wal/${names[3]}" bs=1 seek=900000 conv=notrunc status=none
touch -r "$work/kept" "main/pg_wal/${names[3]}"
fails 1 'stored already with other content' 'a file that was replaced is not confirmed' \
    in_data pgbr archive-push main "pg_wal/${names[3]}"
cp -p "$work/kept" "main/pg_wal/${names[3]}"
[ "$run_as" = "$(id -un)" ] || chown "$run_as" "main/pg_wal/${names[3]}"
ok 'the right one is pushed' in_data pgbr archive-push main "pg_wal/${names[3]}"
ok 'those behind it are still remembered' pushed_before "${names[4]}"

# what the state directory says is not enough
printf 'x' | dd of=state/main.ahead bs=1 seek=200 conv=notrunc status=none
fails 1 '' 'a damaged memory confirms nothing' pushed_before "${names[4]}"
ok 'it is written anew' pushed_before "${names[5]}"
chmod 666 state/main.ahead
fails 1 '' 'one that others can write confirms nothing' pushed_before "${names[5]}"
rm state/main.ahead
ok 'without it the usual way is taken' in_data pgbr archive-push main "pg_wal/${names[4]}"

# a repository that was made anew at the same place does not have them
ok 'one more call, which remembers' in_data pgbr archive-push main "pg_wal/${names[9]}"
ok 'the next is there' holds "${names[10]}"
mv repo old
pgbr init main
fails 1 '' 'a new repository at that place: not confirmed' pushed_before "${names[10]}"
ok 'but stored there' holds "${names[10]}"
rm -rf repo
mv old repo
rm -rf state

# one that cannot be pushed does not matter to the call
as_owner touch main/pg_wal/archive_status/0000000100000FFF00000001.ready
printf 'no segment' >"main/pg_wal/0000000100000FFF00000001"
[ "$run_as" = "$(id -un)" ] || chown "$run_as" main/pg_wal/0000000100000FFF00000001
mv "main/pg_wal/${names[20]}" "$work/kept"
ok 'a broken one behind it does not matter' in_data pgbr archive-push main "pg_wal/${names[19]}"
mv "$work/kept" "main/pg_wal/${names[20]}"
fails 1 '' 'what was not pushed is not confirmed' pushed_before "${names[20]}"
rm main/pg_wal/0000000100000FFF00000001 main/pg_wal/archive_status/0000000100000FFF00000001.ready

# ---- push: speed
archives_all() { # CONFIG: how long PostgreSQL takes to archive what waits, in ms
    local begin
    begin=$(now_ms)
    sql main "alter system set archive_command = '$slow $PGBR -c $1 archive-push main %p'" \
        "select pg_reload_conf()" >/dev/null
    sql main "select pg_switch_wal()" >/dev/null
    wait_for 120 nothing_waits
    took=$(($(now_ms) - begin))
    sql main "alter system set archive_command = 'false'" "select pg_reload_conf()" >/dev/null
}
nothing_waits() {
    [ -z "$(waiting)" ]
}
sql main "alter system set archive_command = '$(archive_command main)'" "select pg_reload_conf()"
wait_for 120 nothing_waits
pgbr backup main
sql main "alter system set archive_command = 'false'" "select pg_reload_conf()"
segments 36
archives_all "$plain"
alone=$took
segments 36
archives_all "$ahead"
diag "36 segments archived one by one in $alone ms, ahead in $took ms"
ok "pushing ahead is at least $gain times as fast" test $((took * gain)) -le "$alone"
ok 'verify finds nothing' pgbr verify main --deep

# ---- get
newest=$(sql main "select pg_walfile_name(pg_switch_wal())")
last=t$((made - 1))
recovers() { # CONFIG: how long recovery of all that takes, in ms; the spool's processes are seen
    local begin
    rm -rf copy
    pgbr -c "$1" restore main --data-dir "$work/copy" --target-action promote
    sed -i "s|restore_command = '|&$slow |" \
        copy/postgresql.auto.conf
    begin=$(now_ms)
    restore_start copy
    took=$(($(now_ms) - begin))
    is "$(sql copy "select count(*) from $last")" 500 'everything is there'
    cluster_stop copy
}
recovers "$plain"
alone=$took
ok 'without, nothing is spooled' test ! -e state/spool
recovers "$ahead"
diag "recovery segment by segment in $alone ms, with fetching ahead in $took ms"
ok "recovery with fetching ahead is at least $gain times as fast" test $((took * gain)) -le "$alone"
like "$(cat log/copy.log)" "restored log file \"${newest:0:8}" 'from the archive'
spool_is_gone() {
    [ -z "$(ls state/spool)" ]
}
ok 'afterwards the spool is removed' wait_for 10 spool_is_gone
fetching() { # processes that fetch ahead, of this test
    local pid
    for pid in $(pgrep -f "^$PGBR .*archive-get" || true); do
        [ "$(readlink "/proc/$pid/cwd")" = / ] && echo "$pid"
    done
    true
}
nobody_fetches() {
    [ -z "$(fetching)" ]
}
ok 'and nothing runs' wait_for 10 nobody_fetches

# ---- get: what may happen on the way
prepare() { # NAME: a recovery over the slow network
    rm -rf "$1"
    pgbr restore main --data-dir "$work/$1" --target-action promote
    sed -i "s|restore_command = '|&$slow |" \
        "$1/postgresql.auto.conf"
    cluster_config "$1" "hot_standby = off"
}
begin_recovery() { # NAME: starts it, and does not wait
    as_owner "$(cluster_bin "$1")/pg_ctl" -D "$work/$1" -l "$work/log/$1.log" -W start \
        -o "-p $(port "$1") -k $work/sock -c listen_addresses=''"
}
somebody_fetches() {
    [ -n "$(fetching)" ]
}
prepare killed
begin_recovery killed
killed=0
while ! sql killed 'select 1' >/dev/null 2>&1 && [ "$killed" -lt 200 ]; do
    for pid in $(fetching); do
        if kill -KILL "$pid"; then killed=$((killed + 1)); fi
    done
    sleep 0.1
done
diag "killed $killed processes that fetched ahead"
ok 'some were killed' test "$killed" -gt 2
wait_for 60 recovery_over killed
is "$(sql killed "select count(*) from $last")" 500 'recovery does not mind'
cluster_stop killed
wait_for 10 nobody_fetches

prepare stopped
begin_recovery stopped
wait_for 20 somebody_fetches
pid=$(fetching | head -1)
is "$(find "/proc/$pid/fd" -lname "$work/stopped*" -o -lname 'pipe:*' -o -lname "$work/log/*" | wc -l)" 0 \
    'what fetches ahead holds no files, pipes or logs of the server'
is "$(ps -o sid= -p "$pid" | tr -d ' ')" "$(ps -o pgid= -p "$pid" | tr -d ' ')" 'in a session of its own'
isnt "$(ps -o pgid= -p "$pid" | tr -d ' ')" \
    "$(ps -o pgid= -p "$(head -1 stopped/postmaster.pid)" | tr -d ' ')" "not the server's"
begin=$SECONDS
ok 'a server is stopped while it recovers' cluster_stop stopped
ok 'at once' test $((SECONDS - begin)) -le 5
ok 'then nothing is fetched any more' wait_for 10 nobody_fetches
ok 'nor kept' spool_is_gone

# two at once, beside each other
prepare stopped
prepare killed
begin_recovery stopped
begin_recovery killed
two_spools() {
    [ "$(find state/spool -mindepth 1 -maxdepth 1 | wc -l)" = 2 ]
}
ok 'two recoveries have two spools' wait_for 20 two_spools
wait_for 60 recovery_over stopped
wait_for 60 recovery_over killed
is "$(sql stopped "select count(*) from $last")" 500 'and both all they need'
is "$(sql killed "select count(*) from $last")" 500 'each of them'
ok 'which are removed' wait_for 10 spool_is_gone
done_testing
