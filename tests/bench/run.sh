#!/bin/bash
# run.sh - how fast pgbr is beside pgBackRest (PGBACKREST=FILE, else from PATH), in ratios.
#
#   SCALE=50   size of the data: pgbench's scale, about 16 MB each
#   TIMES=3    runs of each operation, the tools in turn; the median counts
#
# Same machine, same data, same level of compression (zstd 3), two workers, page checksums verified,
# a local repository on the same disk, everything in the page cache. Wall and CPU seconds, with all
# child processes and without the server. Figures of a machine that does other things too are worth
# little; ratios within one run are worth more. Nothing is asserted.
# shellcheck source-path=SCRIPTDIR/../lib
. "${0%/*}/../lib/pgbr.sh"
scale=${SCALE:-50} times=${TIMES:-3}
tools=(pgbr)
pgbackrest=${PGBACKREST:-pgbackrest}
if command -v "$pgbackrest" >/dev/null; then
    tools+=(pgbackrest)
else
    echo "pgbackrest is not installed: pgbr alone is measured (apt-get install pgbackrest)" >&5
fi

timed() { # OPERATION TOOL COMMAND...: appends "wall cpu rss" to a file
    local file=$work/log/$1.$2.times status=0
    shift 2
    as_owner /usr/bin/time -q -f '%e %U %S %M' -o "$work/one" "$@" || status=$?
    tail -1 "$work/one" | awk '{ print $1, $2 + $3, $4 }' >>"$file"
    return "$status"
}
median() { # OPERATION TOOL COLUMN
    sort -n -k"$3,$3" "$work/log/$1.$2.times" |
        awk -v c="$3" '{ v[NR] = $c } END { print v[int((NR + 1) / 2)] }'
}
show() { # OPERATION
    local tool base
    for tool in "${tools[@]}"; do
        printf '%-24s %-11s %8s s %8s s CPU %7d MiB\n' "$1" "$tool" "$(median "$1" "$tool" 1)" \
            "$(median "$1" "$tool" 2)" $(($(median "$1" "$tool" 3) / 1024)) >&5
    done
    [ ${#tools[@]} -eq 2 ] || return 0
    for base in 1 2; do
        awk -v a="$(median "$1" pgbr "$base")" -v b="$(median "$1" pgbackrest "$base")" \
            -v n="$([ "$base" = 1 ] && echo wall || echo CPU)" \
            'BEGIN { printf "%24s ratio of %s: %s\n", "", n, (b > 0 ? sprintf("%.2f", a / b) : "?") }' >&5
    done
}
rest() { # pgBackRest as a careful administrator sets it up
    echo "$pgbackrest" --config="$work/pgbackrest.conf" --stanza=main "$@"
}
command_of() { # TOOL OPERATION
    case $1.$2 in
    pgbr.full) echo "$PGBR -c $config backup main --type full" ;;
    pgbr.incr) echo "$PGBR -c $config backup main --type incr" ;;
    pgbr.restore) echo "$PGBR -c $config restore main --data-dir $work/copy" ;;
    pgbr.verify) echo "$PGBR -c $config verify main" ;;
    pgbr.push) echo "$PGBR -c $config archive-push main" ;;
    pgbr.get) echo "$PGBR -c $config archive-get main" ;;
    pgbackrest.full) rest backup --type=full ;;
    pgbackrest.incr) rest backup --type=incr ;;
    pgbackrest.restore) rest restore --pg1-path="$work/copy" ;;
    pgbackrest.verify) rest verify ;;
    pgbackrest.push) rest archive-push ;;
    pgbackrest.get) rest archive-get ;;
    esac
}
operation() { # OPERATION: all tools in turn, several times
    local tool command
    for _ in $(seq "$times"); do
        for tool in "${tools[@]}"; do
            as_owner rm -rf "$work/copy"
            as_owner mkdir -m 700 "$work/copy"
            read -ra command <<<"$(command_of "$tool" "$1")"
            timed "$1" "$tool" "${command[@]}"
        done
    done
    show "$1"
}

incrementals() { # one page of a hundred changes; then each tool's turn
    local tool command
    for _ in $(seq "$times"); do
        sql main "update pgbench_accounts set abalance = abalance + 1 where aid in
            (select (random() * 100000 * $scale)::int from generate_series(1, 16 * $scale))" checkpoint
        for tool in "${tools[@]}"; do
            read -ra command <<<"$(command_of "$tool" incr)"
            timed incr "$tool" "${command[@]}"
        done
    done
    show incr
}

cat >"$work/pgbackrest.conf" <<END
[global]
repo1-path=$work/rest
repo1-bundle=y
repo1-block=y
process-max=2
compress-type=zst
compress-level=3
start-fast=y
expire-auto=n
log-path=$work/log
log-level-file=off
lock-path=$work/lock
spool-path=$work/spool
[main]
pg1-path=$work/main
pg1-socket-path=$work/sock
pg1-port=$(port main)
pg1-user=postgres
END
write_config --cluster 'compress_level: 3' --cluster 'workers: 2' main
cluster_init main 15
cluster_config main 'max_wal_size = 8GB' 'shared_buffers = 512MB' 'checkpoint_timeout = 1h'
cluster_start main
pg_client pgbench -q -i -s "$scale" "$(connection main)"
pgbr init main
[ ${#tools[@]} -eq 1 ] || as_owner "$pgbackrest" --config="$work/pgbackrest.conf" --stanza=main \
    --no-online stanza-create
archive="$(archive_command main)"
[ ${#tools[@]} -eq 1 ] || archive+=" && $(rest archive-push %p)"
archive_on main "$archive"
wait_archived main
echo "database: $(sql main 'select pg_size_pretty(sum(pg_database_size(oid))) from pg_database')" >&5

operation full
incrementals
operation restore
operation verify

# WAL: the same segments to both, which no archive has yet
sql main "alter system set archive_command = 'false'" "select pg_reload_conf()"
pg_client pgbench -n -N -c 4 -T 10 "$(connection main)"
sql main "select pg_switch_wal()"
cluster_stop main
segments=$(cd "$work/main/pg_wal/archive_status" && find . -name '*.ready' | sort | head -16)
for tool in "${tools[@]}"; do
    for segment in $segments; do
        segment=${segment%.ready}
        read -ra command <<<"$(command_of "$tool" push)"
        timed push "$tool" "${command[@]}" "$work/main/pg_wal/${segment#./}"
        read -ra command <<<"$(command_of "$tool" get)"
        timed get "$tool" "${command[@]}" "${segment#./}" "$work/segment"
        timed miss "$tool" "${command[@]}" 0000000100000FFF00000001 "$work/segment" || true
    done
done
show push
show get
show miss
test_done=1
exit 0
