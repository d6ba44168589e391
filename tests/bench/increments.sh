#!/bin/bash
# increments.sh - what an incremental backup costs as the data grows, and what a chain of them costs a
# restore.
#
#   SIZES="1 4 16"   GB of data: the same change in each of them
#   CHAIN=30         incrementals on top of each other, with CHAIN_GB=2 of data
#   TIMES=3          runs of each measured operation; the median counts
#
# Judged: read bytes and CPU of the incremental with most data are at most 1.5 times those with least;
# an incremental without any change takes at most 0.3 s beyond its checkpoint; the last of the chain is
# restored in at most 1.3 times the time of a full backup of the same data.
#
# shellcheck source-path=SCRIPTDIR/../lib disable=SC2154
TEST_LIMIT=${TEST_LIMIT:-7200}
. "${0%/*}/../lib/pgbr.sh"
. "$top/tests/bench/figures.sh"
sizes=${SIZES:-1 4 16} chain=${CHAIN:-30} chain_gb=${CHAIN_GB:-2} times=${TIMES:-3}

timed() { # COMMAND...: sets $seconds and $cpu
    as_owner /usr/bin/time -q -f '%e %U %S' -o "$work/one" "$@"
    read -r seconds user system < <(tail -1 "$work/one")
    cpu=$(awk -v a="$user" -v b="$system" 'BEGIN { print a + b }')
}
backup() { # TYPE: sets $seconds, $cpu, $read, $stored, $found
    timed bash -c "exec '$PGBR' -q -c '$config' backup main --json --type $1 >'$work/made.json'"
    read -r read stored found < <(python3 -c '
import json
v = json.load(open("made.json"))
print(v["read_bytes"], v["stored_bytes"], v["changes_found"])')
}
load() { # NAME GB: pages that hold 1 row each of about 7 kB would change one by one; these hold 60
    cluster_init "$1" 15
    cluster_config "$1" 'max_wal_size = 16GB' 'checkpoint_timeout = 1h' 'autovacuum = off' \
        'shared_buffers = 1GB' 'fsync = off' 'wal_level = minimal' 'max_wal_senders = 0'
    cluster_start "$1"
    pg_client pgbench -q -i -s $(($2 * 67)) "$(connection "$1")"
    sql "$1" checkpoint
    cluster_config "$1" 'fsync = on' 'wal_level = replica'
}
change() { # NAME ROWS: so many rows, each most likely in a page of its own
    sql "$1" "update pgbench_accounts set abalance = abalance + 1 where aid in
        (select (random() * (select max(aid) from pgbench_accounts))::int from generate_series(1, $2))"
}

# ---- growth
first_read='' first_cpu=''
for gb in $sizes; do
    rm -rf main repo
    load main "$gb"
    write_config --cluster 'workers: 2' main
    pgbr init main
    archive_on main
    backup full
    full=$seconds
    cpus=() walls=()
    for _ in $(seq "$times"); do
        change main 5000
        sql main checkpoint
        backup incr
        is "$found" wal 'the WAL tells what changed'
        cpus+=("$cpu") walls+=("$seconds")
    done
    mid=$(printf '%s\n' "${cpus[@]}" | median)
    diag "$gb GB: full $full s; 5,000 rows changed: $(printf '%s\n' "${walls[@]}" | median) s, CPU $mid s," \
        "$read bytes read, $stored stored"
    last_read=$read
    : "${first_read:=$read}" "${first_cpu:=$mid}"
    idle=()
    for _ in $(seq "$times"); do
        begin=$(date +%s%N)
        sql main checkpoint
        checkpoint=$(($(date +%s%N) - begin))
        backup incr
        idle+=("$(awk -v s="$seconds" -v c="$checkpoint" 'BEGIN { print s - c / 1e9 }')")
    done
    diag "$gb GB, nothing changed: $(printf '%s\n' "${idle[@]}" | median) s beyond a checkpoint, $read bytes read"
    cluster_stop main
done
ok "bytes read: $(ratio "$last_read" "$first_read") (wanted: 1.5 at most)" \
    at_most "$(ratio "$last_read" "$first_read")" 1.5
ok "CPU: $(ratio "$mid" "$first_cpu") (wanted: 1.5 at most)" at_most "$(ratio "$mid" "$first_cpu")" 1.5
ok "an idle cluster (wanted: 0.3 s at most)" at_most "$(printf '%s\n' "${idle[@]}" | median)" 0.3

# ---- a chain
rm -rf main repo
load main "$chain_gb"
write_config --cluster 'workers: 2' main
pgbr init main
archive_on main
backup full
for _ in $(seq "$chain"); do
    change main $((chain_gb * 1300)) # one page of a hundred
    backup incr
done
label=$(python3 -c 'import json; print(json.load(open("made.json"))["label"])')
backup full
full=$(python3 -c 'import json; print(json.load(open("made.json"))["label"])')
cluster_stop main
alone=() chained=()
for _ in $(seq "$times"); do
    for which in "$full" "$label"; do
        rm -rf copy
        find repo -type f -exec cat {} + >/dev/null
        timed "$PGBR" -q -c "$config" restore main --data-dir "$work/copy" --set "$which" --target immediate
        if [ "$which" = "$full" ]; then alone+=("$seconds"); else chained+=("$seconds"); fi
    done
done
a=$(printf '%s\n' "${alone[@]}" | median) b=$(printf '%s\n' "${chained[@]}" | median)
diag "$chain_gb GB: a full backup is restored in $a s, the last of $chain incrementals in $b s"
ok "chain: $(ratio "$b" "$a") (wanted: 1.3 at most)" at_most "$(ratio "$b" "$a")" 1.3
done_testing
