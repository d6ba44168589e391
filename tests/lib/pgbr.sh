# shellcheck shell=bash
#
# pgbr.sh - what server tests are made of: PostgreSQL clusters, the pgbr program, and TAP.
#
# A test is a bash script tests/server/NNN_name.t:
#
#     #!/bin/bash
#     . "${0%/*}/../lib/pgbr.sh"
#     cluster_start main
#     write_config main
#     pgbr init main
#     archive_on main
#     is "$(sql main 'select 1')" 1 'the server answers'
#     done_testing
#
# A command that fails outside an assertion ends the test with a failure (set -e; so do not write
# "a && b" where a must succeed). What commands print goes to $work/log/test.log, shown on failure;
# V=1 shows it at once. Everything lives in $work, which is removed at the end, with all servers
# and background jobs; KEEP=1 leaves the files. Tests may run at the same time.
#
# Servers never run as root: when a test does, they and pgbr run as user "postgres" ($run_as).
#
#   $work             folder of this test; cluster NAME has its data directory in $work/NAME
#   $PGBR             the program under test, absolute, readable for $run_as
#   $sanitized        not empty: it is so slow that nothing can be said of its speed
#   $config           $work/pgbr.yml
#   $at_end           a function of the test that clears away what it made outside of $work
#   as_owner CMD...   run a command as $run_as
#   pgbr ARG...       $PGBR -c $config ARG..., as $run_as
#
#   pg_version_dir MAJOR                      prints the folder above bin/; PG_DIR_<MAJOR> overrides
#   cluster_init NAME [MAJOR] [INITDB OPTION...]   15 when not told; data checksums on, unless
#                                             --no-data-checksums is given (for every version)
#   cluster_debian NAME                       a cluster made by Debian's pg_createcluster: version 15,
#                                             its configuration is in $work/etc/15/NAME
#   cluster_config NAME LINE...               appends to postgresql.conf
#   cluster_start NAME [SERVER OPTION...]     makes it first (version 15) if it is not there
#   cluster_stop NAME [fast|smart|immediate]
#   cluster_restart NAME
#   cluster_standby NAME OF                   a streaming standby made from a running cluster by copying
#   restore_start NAME [SERVER OPTION...]     starts a restored directory; waits until recovery has
#                                             ended or is paused at its target
#   port NAME                                 prints its port (unix sockets in $work/sock only)
#   connection NAME                           prints a libpq connection string
#   sql NAME[/DATABASE] STATEMENT...          each in its own transaction; rows as a|b
#   write_config [--cipher PASS] [--local 'KEY: VALUE']... [--repo 'NAME: {path: ...}']...
#                [--cluster 'KEY: VALUE']... [--top 'KEY: VALUE']... CLUSTER...
#                                             $config with repository "local" in $work/repo, with
#                                             the keys of --local; --repo adds more repositories,
#                                             --cluster keys to each cluster; without an "http:"
#                                             in --top, a scheduler serves nothing
#   archive_on NAME [COMMAND]                 archive_mode and archive_command, server restarted
#   archive_command NAME                      prints what archive_on sets
#   wait_for SECONDS COMMAND...               until it succeeds; the test ends if it does not
#   wait_archived NAME                        switches WAL and waits until all of it is archived
#   dump_sum NAME                             one hash of everything that can be dumped
#
#   is GOT WANT NAME      isnt GOT OTHER NAME      like TEXT REGEX NAME      unlike TEXT REGEX NAME
#   ok NAME COMMAND...    the command succeeds
#   fails STATUS REGEX NAME COMMAND...   it ends with this status, and its output (both streams)
#                         matches; the output is in $out afterwards
#   pass NAME             fail NAME [WHY]          diag TEXT                 done_testing
set -Eeu

unset PGDATABASE PGHOST PGHOSTADDR PGOPTIONS PGPASSFILE PGPASSWORD PGPORT PGSERVICE PGUSER PGTZ
unset PGBR_CONFIG PGDATA
export LC_ALL=C.UTF-8 PGCONNECT_TIMEOUT=10
lib=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
top=${lib%/tests/lib}
PATH=$PATH:/usr/sbin:/sbin
umask 022

# ---- the folder of this test, and its end

run_as=$(id -un)
[ "$(id -u)" -ne 0 ] || run_as=postgres
work=$(mktemp -d /tmp/pgbr-test.XXXXXX) # short: the path of a unix socket may have 107 bytes
config=$work/pgbr.yml
mkdir "$work/sock" "$work/log" "$work/bin" "$work/port" "$work/major"
exec 5>&1 6>&2
[ -n "${V:-}" ] || exec >>"$work/log/test.log" 2>&1
test_count=0 test_failed=0 test_done=0 last_line=0 at_end=true

children() { # of one process, all generations
    local pid
    for pid in $(pgrep -P "$1"); do
        children "$pid"
        echo "$pid"
    done
}

# A test that hangs is ended; the limit is generous, because machines are slow and shared. The shell
# acts on a signal when the command that it waits for has ended, so that one is ended too.
watch() {
    local me=$BASHPID
    sleep "${TEST_LIMIT:-900}"
    echo "not finished in ${TEST_LIMIT:-900} seconds"
    kill -TERM $$
    # shellcheck disable=SC2046
    kill -TERM $(children $$ | grep -vx "$me")
}
watch 2>/dev/null 5>&- 6>&- &

# The servers of this test are those that work below $work, whoever started them.
stop_everything() {
    local pid file
    # shellcheck disable=SC2046
    kill -TERM $(children $$) 2>/dev/null
    # shellcheck disable=SC2046
    kill -CONT $(children $$) 2>/dev/null # what was paused notices only then
    find "$work" -name postmaster.pid -type f 2>/dev/null | while read -r file; do
        pid=$(head -1 "$file")
        [ "$(readlink "/proc/$pid/cwd")" -ef "${file%/*}" ] && kill -QUIT "$pid"
        for _ in {1..100}; do
            [ -d "/proc/$pid" ] || break
            sleep 0.05
        done
        [ -d "/proc/$pid" ] && kill -KILL "$pid"
    done
    wait
}

show_logs() {
    local file
    for file in "$work"/log/*; do
        [ -s "$file" ] || continue
        printf '# ---- %s\n' "${file##*/}"
        tail -n "${LOG_LINES:-40}" "$file" | sed 's/^/# /'
    done >&6
}

at_exit() {
    local status=$?
    set +e
    trap '' INT TERM HUP
    trap - ERR
    if [ "$test_done" -eq 0 ]; then
        fail "the test ran to its end" "ended with status $status in line $last_line"
        echo "1..$test_count" >&5
    fi
    [ "$test_failed" -eq 0 ] || show_logs
    stop_everything 2>/dev/null
    "$at_end" >/dev/null 2>&1
    if [ -n "${KEEP:-}" ]; then
        echo "# files are in $work" >&6
    else
        chmod -R u+rwX "$work" 2>/dev/null
        rm -rf "$work"
    fi
    exit $((test_failed > 0))
}
trap at_exit EXIT
# the line of the test itself, however deep in this file the command was
trap 'last_line=${BASH_LINENO[*]: -2:1} last_line=${last_line:-$LINENO}' ERR
trap 'exit 143' INT TERM HUP

# ---- TAP

result() { # ok|not ok, NAME
    test_count=$((test_count + 1))
    echo "$1 $test_count - ${2//#/}" >&5
    echo "==== $1 $test_count - $2"
}
diag() {
    echo "#   ${*//$'\n'/$'\n'#   }" >&6
}
pass() {
    result ok "$1"
}
fail() {
    test_failed=$((test_failed + 1))
    result 'not ok' "$1"
    [ -z "${2:-}" ] || diag "$2"
}
is() {
    if [ "$1" = "$2" ]; then pass "$3"; else fail "$3" "got:  $1"$'\n'"want: $2"; fi
}
isnt() {
    if [ "$1" != "$2" ]; then pass "$3"; else fail "$3" "got what it must not be: $1"; fi
}
like() {
    if [[ $1 =~ $2 ]]; then pass "$3"; else fail "$3" "got:    $1"$'\n'"wanted: $2"; fi
}
unlike() {
    if [[ ! $1 =~ $2 ]]; then pass "$3"; else fail "$3" "got: $1"$'\n'"must not match: $2"; fi
}
ok() {
    local name=$1 status=0
    shift
    out=$("$@" 2>&1) || status=$?
    echo "$out"
    if [ "$status" -eq 0 ]; then pass "$name"; else fail "$name" "status $status: $out"; fi
}
fails() {
    local want=$1 pattern=$2 name=$3 status=0
    shift 3
    out=$("$@" 2>&1) || status=$?
    echo "$out"
    if [ "$status" -eq "$want" ] && [[ $out =~ $pattern ]]; then
        pass "$name"
    else
        fail "$name" "status $status, want $want; output, wanted $pattern:"$'\n'"$out"
    fi
}
done_testing() {
    test_done=1
    echo "1..$test_count" >&5
    exit 0
}

# ---- programs

as_owner() {
    if [ "$run_as" = "$(id -un)" ]; then
        "$@" 5>&- 6>&-
    else
        runuser -u "$run_as" -- "$@" 5>&- 6>&-
    fi
}

# The checkout may lie where $run_as cannot look, so the program is copied.
install_program() {
    local from=${PGBR:-$top/build/release/pgbr}
    # shellcheck disable=SC2034
    case $from in */asan/* | */tsan/*) sanitized=1 ;; *) sanitized='' ;; esac
    PGBR=$work/bin/pgbr
    [ ! -x "$from" ] || cp "$from" "$PGBR"
}
pgbr() {
    as_owner "$PGBR" -c "$config" "$@"
}
install_program
[ "$run_as" = "$(id -un)" ] || chown -R "$run_as" "$work"
cd "$work" # a place that $run_as may enter

# ---- clusters

pg_version_dir() {
    local told=PG_DIR_$1 dir=/usr/lib/postgresql/$1
    [ -x "$dir/bin/postgres" ] || dir=$(readlink -f "$top/build/pg")/$1
    dir=${!told:-$dir}
    if [ ! -x "$dir/bin/postgres" ]; then
        echo "PostgreSQL $1 is not installed: make pg-versions" >&2
        return 1
    fi
    echo "$dir"
}

# The programs that only Debian's PostgreSQL 15 brings (psql, pg_dumpall, pg_amcheck, ...)
pg_client() {
    local program=$1
    shift
    "/usr/lib/postgresql/15/bin/$program" "$@" 5>&- 6>&-
}

# What initdb accepts differs: checksums are the default from 18 on, and only then can be declined.
cluster_init() {
    local name=$1 major=15 checksums=--data-checksums options=() dir
    shift
    if [[ ${1:-} =~ ^[0-9]+$ ]]; then
        major=$1
        shift
    fi
    while [ $# -gt 0 ]; do
        if [ "$1" = --no-data-checksums ]; then checksums=; else options+=("$1"); fi
        shift
    done
    [ -n "$checksums" ] || [ "$major" -lt 18 ] || checksums=--no-data-checksums
    dir=$(pg_version_dir "$major")
    as_owner "$dir/bin/initdb" -D "$work/$name" -U postgres -A trust -E UTF8 --locale=C -N \
        ${checksums:+"$checksums"} ${options[@]+"${options[@]}"}
    cluster_config "$name" "fsync = off" "shared_buffers = 16MB" "max_connections = 30" \
        "log_line_prefix = '%m [%p] '" "max_wal_size = 256MB"
}
cluster_debian() {
    as_owner mkdir -p "$work/etc"
    as_owner env PG_CLUSTER_CONF_ROOT="$work/etc" pg_createcluster -d "$work/$1" -s "$work/sock" \
        -l "$work/log/$1.log" -p "$(port "$1")" 15 "$1" -- -U postgres -A trust -N --data-checksums
    cluster_config "$1" "fsync = off" "external_pid_file = '$work/$1.pid'" "ssl = off"
}
config_dir() { # where postgresql.conf is
    if [ -d "$work/etc/15/$1" ]; then echo "$work/etc/15/$1"; else echo "$work/$1"; fi
}
cluster_config() {
    local file
    file=$(config_dir "$1")/postgresql.conf
    shift
    printf '%s\n' "$@" >>"$file"
}
cluster_bin() {
    local major
    major=$(cat "$work/$1/PG_VERSION")
    echo "$(pg_version_dir "$major")/bin"
}
port() {
    if [ ! -s "$work/port/$1" ]; then
        echo $((5433 + $(find "$work/port" -type f | wc -l))) >"$work/port/$1.new"
        mv "$work/port/$1.new" "$work/port/$1"
    fi
    cat "$work/port/$1"
}
connection() {
    echo "host=$work/sock port=$(port "$1") user=postgres dbname=${2:-postgres}"
}

# Port and socket come with the command line, so a restored copy never takes the original's.
cluster_start() {
    local name=$1 bin conf=''
    shift
    [ -e "$work/$name/PG_VERSION" ] || cluster_init "$name"
    bin=$(cluster_bin "$name")
    [ ! -d "$work/etc/15/$name" ] || conf="-c config_file=$(config_dir "$name")/postgresql.conf"
    as_owner "$bin/pg_ctl" -D "$work/$name" -l "$work/log/$name.log" -w -t 120 start \
        -o "-p $(port "$name") -k $work/sock -c listen_addresses='' $conf $*"
}
cluster_stop() {
    local name=$1 bin
    bin=$(cluster_bin "$name")
    as_owner "$bin/pg_ctl" -D "$work/$name" -w -t 120 -m "${2:-fast}" stop
}
cluster_restart() {
    cluster_stop "$1"
    cluster_start "$1"
}

# Made by hand, because pg_basebackup of Debian's version does not know the other servers.
cluster_standby() {
    local name=$1 of=$2
    cluster_stop "$of"
    as_owner cp -a "$work/$of" "$work/$name"
    cluster_start "$of"
    cluster_config "$name" "primary_conninfo = '$(connection "$of")'" "hot_standby = on"
    as_owner touch "$work/$name/standby.signal"
    cluster_start "$name"
}
sql() {
    local target=$1 name database=postgres commands=()
    shift
    name=${target%%/*}
    [ "$name" = "$target" ] || database=${target#*/}
    while [ $# -gt 0 ]; do
        commands+=(-c "$1")
        shift
    done
    # a lock that nobody lets go is an error, not an endless wait
    PGOPTIONS='-c lock_timeout=60s' pg_client psql -XAtq -v ON_ERROR_STOP=1 \
        -d "$(connection "$name" "$database")" "${commands[@]}"
}
wait_for() {
    local seconds=$1 end
    shift
    end=$((SECONDS + seconds))
    until "$@"; do
        if [ $SECONDS -ge $end ]; then
            fail "waited $seconds s for: $*"
            exit 1
        fi
        sleep 0.1
    done
}
recovery_over() {
    [ "$(sql "$1" "select case when pg_is_in_recovery() then pg_is_wal_replay_paused() else true end")" = t ]
}
restore_start() {
    test -e "$work/$1/PG_VERSION"
    cluster_start "$@"
    wait_for 120 recovery_over "$1"
}

# ---- pgbr

write_config() {
    local cipher='' own=() repos=() keys=() tops=() name names='local'
    while [[ ${1:-} == --* ]]; do
        case $1 in
        --cipher) cipher=$2 ;;
        --local) own+=("$2") ;;
        --repo) repos+=("$2") names+=", ${2%%:*}" ;;
        --cluster) keys+=("$2") ;;
        --top) tops+=("$2") ;;
        *) echo "write_config: $1?" && return 1 ;;
        esac
        shift 2
    done
    {
        echo "state_dir: $work/state"
        [ ${#tops[@]} -eq 0 ] || printf '%s\n' "${tops[@]}"
        [[ " ${tops[*]-}" == *' http:'* ]] || echo 'http: {listen: "off"}' # tests run side by side
        echo "repos:"
        echo "  local:"
        echo "    path: $work/repo"
        [ -z "$cipher" ] || printf '    cipher_type: aes-256-cbc\n    cipher_pass: "%s"\n' "$cipher"
        [ ${#own[@]} -eq 0 ] || printf '    %s\n' "${own[@]}"
        [ ${#repos[@]} -eq 0 ] || printf '  %s\n' "${repos[@]}"
        echo "repo: local"
        echo "clusters:"
        for name in "$@"; do
            echo "  $name:"
            echo "    data: $work/$name"
            echo "    connection: \"$(connection "$name")\""
            echo "    repos: [$names]"
            [ ${#keys[@]} -eq 0 ] || printf '    %s\n' "${keys[@]}"
        done
    } >"$config"
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" "$config"
    chmod 600 "$config" # it may hold a passphrase
}
archive_command() {
    echo "$PGBR -c $config archive-push $1 %p"
}
archive_on() {
    cluster_config "$1" "archive_mode = on" "archive_command = '${2:-$(archive_command "$1")}'"
    cluster_restart "$1"
}
is_archived() { # NAME SEGMENT: archived, or archived and recycled since
    local pg_wal=$work/$1/pg_wal
    [ ! -e "$pg_wal/archive_status/$2.ready" ] &&
        { [ -e "$pg_wal/archive_status/$2.done" ] || [ ! -e "$pg_wal/$2" ]; }
}
wait_archived() {
    local segment
    sql "$1" "select pg_logical_emit_message(true, 'test', 'so that there is something to archive')"
    segment=$(sql "$1" "select pg_walfile_name(pg_current_wal_insert_lsn())")
    sql "$1" "select pg_switch_wal()"
    wait_for 60 is_archived "$1" "$segment"
}

# pg_dumpall knows servers up to its own version. Others are summed by SQL: every row of every
# table, definitions, sequences, large objects.
dump_sum() {
    local database
    set -o pipefail # called in a subshell, by $( )
    if [ "$(cat "$work/$1/PG_VERSION")" -le 15 ]; then
        # its \restrict lines hold a random word
        pg_client pg_dumpall -d "$(connection "$1")" | grep -Ev '^\\(un)?restrict ' | sha256sum |
            cut -d' ' -f1
        return
    fi
    {
        sql "$1" "select rolname, rolsuper from pg_roles order by 1" \
            "select datname from pg_database order by 1"
        for database in $(sql "$1" "select datname from pg_database where datallowconn order by 1"); do
            pg_client psql -XAtq -v ON_ERROR_STOP=1 -d "$(connection "$1" "$database")" \
                -f "$lib/dump_sum.sql"
        done
    } | sha256sum | cut -d' ' -f1
}
