#!/bin/bash
# sums.sh - what sums of WAL indexes save an incremental: requests and seconds to find what changed over many
# segments, in a local repository and over a network.
#
#   SEGMENTS="2000 10000"   of WAL between the base and the incremental
#   LATENCY=0.02            seconds that each request to the S3 server takes longer
#   STORES="posix s3"
#
# The segments are made up (sums.c): each changes 2,000 blocks here and there, as much as 16 MiB of pgbench do.
#
# shellcheck source-path=SCRIPTDIR/../lib disable=SC2154,SC2119
TEST_LIMIT=${TEST_LIMIT:-3600}
. "${0%/*}/../lib/pgbr.sh"
. "$lib/s3.sh"
build=${PGBR_BUILD:-$top/build/release}
sums=$work/sums

# shellcheck disable=SC2046
"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O2 -pthread -I"$top" -o "$sums" "$top/tests/bench/sums.c" \
    "$top/tests/lib/wal_make.c" "$build/libpgbr.a" \
    $(pkg-config --cflags --libs libcrypto libzstd yaml-0.1 jansson libxxhash)

requests() { # COMMAND...: $asked and $said
    local before=0
    [ "$store" = posix ] || before=$(proxy_requests '.')
    if [ "$store" = posix ]; then
        said=$(as_owner strace -f -qq -e trace=openat,open -o "$work/trace" "$@")
        asked=$(grep -cE '/wal/|"[0-9A-F-]{8,}"' "$work/trace")
        said=$(as_owner "$@") # without being watched
    else
        said=$(as_owner "$@")
        asked=$(($(proxy_requests '.') - before))
    fi
}
measure() { # SEGMENTS
    as_owner "$sums" "$config" main fill "$1" >&2
    [ "$store" = posix ] || proxy_does "{\"latency\": ${LATENCY:-0.02}}"
    requests "$sums" "$config" main collect "$1"
    diag "$store, $1 segments, one by one: $asked requests, $said"
    [ "$store" = posix ] || proxy_does '{}'
    as_owner "$sums" "$config" main make >&2
    [ "$store" = posix ] || proxy_does "{\"latency\": ${LATENCY:-0.02}}"
    requests "$sums" "$config" main collect "$1"
    diag "$store, $1 segments, with sums:  $asked requests, $said"
    [ "$store" = posix ] || proxy_does '{}'
}

cluster_init main 15
for store in ${STORES:-posix s3}; do
    for n in ${SEGMENTS:-2000 10000}; do
        rm -rf "$work/repo" "$work/state"
        if [ "$store" = posix ]; then
            write_config main
        else
            [ -n "${proxy:-}" ] || { s3_start && proxy_start; }
            s3_config --s3 "s3_endpoint: $proxy" --s3 "path: /sums-$n" main
        fi
        pgbr init main
        measure "$n"
    done
done
done_testing
