#!/bin/bash
# WAL to and from an object store that is 50 ms away: by default one archive-push pushes what waits,
# and recovery finds its next segments fetched. With it off, each segment costs all its requests.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"
. "$lib/s3.sh"

gain=4
[ -z "$sanitized" ] || gain=1 # its own time would drown the network's
s3_start
proxy_start
cluster_init main 15 --wal-segsize=1
cluster_start main
s3_config --cipher secret --s3 "s3_endpoint: $proxy" main
pgbr init main
archive_on main
pgbr backup main
{
    cat "$config"
    echo "    archive_push_ahead: 0"
    echo "    archive_get_ahead: 0"
} >off.yml
chmod 600 off.yml
[ "$run_as" = "$(id -un)" ] || chown "$run_as" off.yml

now_ms() {
    date +%s%3N
}
made=0
segments() { # N: that many more, which wait
    local i
    sql main "alter system set archive_command = 'false'" "select pg_reload_conf()" >/dev/null
    for ((i = 0; i < $1; i++)); do
        sql main "create table t$((made++)) as select repeat(md5(n::text), 10) from generate_series(1, 500) n" \
            "select pg_switch_wal()" >/dev/null
    done
}
nothing_waits() {
    ! find main/pg_wal/archive_status -name '*.ready' | grep -q .
}
archives_all() { # CONFIG: sets $took, in ms
    local begin
    begin=$(now_ms)
    sql main "alter system set archive_command = '$PGBR -c $1 archive-push main %p'" \
        "select pg_reload_conf()" >/dev/null
    wait_for 120 nothing_waits
    took=$(($(now_ms) - begin))
}
recovers() { # CONFIG: sets $took, in ms
    local begin
    rm -rf copy
    pgbr -c "$1" restore main --data-dir "$work/copy" --target-action promote
    begin=$(now_ms)
    restore_start copy
    took=$(($(now_ms) - begin))
    is "$(sql copy "select count(*) from t$((made - 1))")" 500 'everything is there'
    cluster_stop copy
}

# What else the machine does must not decide: the best of three.
four_times() { # FUNCTION WHAT: takes a configuration, sets $took
    local alone
    for _ in 1 2 3; do
        "$1" "$work/off.yml"
        alone=$took
        "$1" "$config"
        diag "$2: one by one in $alone ms, ahead in $took ms"
        [ $((took * 4)) -gt "$alone" ] || break
    done
    ok "$2 is at least $gain times as fast" test $((took * gain)) -le "$alone"
}
pushes() {
    segments 45
    archives_all "$1"
}

proxy_does '{"latency": 0.05}'
four_times pushes 'pushing ahead'
pushed=$(proxy_requests '^PUT [^ ]*/wal/[^ ]* 200 ' | awk '{print $2}' | sort)
is "$(uniq -d <<<"$pushed")" '' 'no segment is written twice'
sql main "select pg_switch_wal()" >/dev/null
wait_for 60 nothing_waits
four_times recovers 'recovery with fetching ahead'
proxy_does '{}'
ok 'verify finds nothing' pgbr verify main --deep
done_testing
