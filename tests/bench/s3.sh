#!/bin/bash
# s3.sh - how near a backup to an S3 server comes to what the network and the disk allow.
#
#   SIZE_MB=1000   size of the data, which cannot be compressed
#   TIMES=3        runs of each operation; the median counts
#
# The server is a Ceph object gateway on this machine that keeps everything in memory: about
# SIZE_MB * (2 * TIMES + 1) is needed, 8 GB at most. Two figures are judged:
#
#   through a proxy that lets 40 MB/s pass, a backup reaches 0.95 of that;
#   without it, its time is at most 1.1 times that of a local backup plus that of PUTs of the same
#   files by another client.
#
# shellcheck source-path=SCRIPTDIR/../lib disable=SC2154,SC2119
TEST_LIMIT=${TEST_LIMIT:-3600}
. "${0%/*}/../lib/pgbr.sh"
. "$lib/s3.sh"
. "$top/tests/bench/figures.sh"
size=${SIZE_MB:-1000} times=${TIMES:-3} limit=40000000

timed() { # COMMAND...: sets $seconds
    as_owner /usr/bin/time -q -f '%e' -o "$work/one" "$@"
    seconds=$(tail -1 "$work/one")
}
stored() { # PREFIX: bytes of packs
    s3_client list "$PGBR_TEST_S3_BUCKET" "$1" | awk '{ n += $2 } END { print n + 0 }'
}
configs() { # NAME [s3_config OPTION...]: a configuration beside $config, with its own state
    local name=$1
    shift
    s3_config --cipher secret --cluster 'workers: 2' --top "# $name" "$@" main
    sed -i "s|^state_dir: .*|state_dir: $work/state.$name|" "$config"
    cp -p "$config" "$work/$name.yml"
}

s3_start
proxy_start
cluster_init main 15
cluster_config main 'max_wal_size = 8GB' 'shared_buffers = 256MB' 'checkpoint_timeout = 1h' 'autovacuum = off'
cluster_start main
configs slow --s3 "s3_endpoint: $proxy" --s3 'path: /slow'
configs fast --s3 'path: /fast'
write_config --cipher secret --cluster 'workers: 2' main
as_owner "$PGBR" -c "$work/slow.yml" init main
as_owner "$PGBR" -c "$work/fast.yml" init main
pgbr init main
command=
for name in slow fast pgbr; do command+="${command:+ && }$PGBR -c $work/$name.yml archive-push main %p"; done
archive_on main "$command"
sql main "create extension pgcrypto" "create table r (x bytea)" "alter table r alter x set storage external"
for _ in $(seq 10); do
    sql main "insert into r select gen_random_bytes(1000) from generate_series(1, $((size * 87)))"
done
sql main "vacuum freeze r" "checkpoint"
wait_archived main
sql main "alter system set archive_timeout = 0" "select pg_reload_conf()"
echo "database: $(sql main 'select pg_size_pretty(sum(pg_database_size(oid))) from pg_database')" >&5

for _ in $(seq "$times"); do
    timed "$PGBR" -c "$config" backup main --type full
    echo "$seconds" >>local
    timed "$PGBR" -c "$work/fast.yml" backup main --type full
    echo "$seconds" >>fast
    set=$(find "$work/repo/main/data" -mindepth 1 -maxdepth 1 | sort | tail -1)
    chmod -R a+rX "$work/repo"
    read -r bytes seconds < <(s3_client put-all pgbr alone/ "$set" 2)
    echo "$seconds" >>alone
    rm -rf "$set" # no more is needed of it
done
a=$(median <local) b=$(median <alone) c=$(median <fast)
both=$(awk -v a="$a" -v b="$b" 'BEGIN { print a + b }')
echo "local backup $a s, PUT of its $((bytes / 1000000)) MB by another client $b s, backup to S3 $c s" >&5
ok "unlimited: $(ratio "$c" "$both") of the two alone, one after the other" \
    at_most "$c" "$(awk -v n="$both" 'BEGIN { print n * 1.1 }')"

proxy_does "{\"bandwidth\": $limit}"
timed "$PGBR" -c "$work/slow.yml" backup main --type full
bytes=$(stored slow/main/data/)
rate=$(awk -v n="$bytes" -v s="$seconds" 'BEGIN { printf "%d", n / s }')
echo "limited: $((bytes / 1000000)) MB in $seconds s" >&5
ok "through 40 MB/s: $(ratio "$rate" "$limit") of it" at_most "$((limit * 95 / 100))" "$rate"
done_testing
