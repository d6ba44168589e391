#!/bin/bash
# Every supported version of PostgreSQL is there to test with: it starts, holds rows, can be summed.
. "${0%/*}/../lib/pgbr.sh"

for major in 13 14 15 16 17 18; do
    cluster_init "v$major" "$major"
    cluster_start "v$major"
    is "$(sql "v$major" 'show server_version_num' | cut -c1-2)" "$major" "PostgreSQL $major runs"
    sql "v$major" 'create table t as select generate_series(1, 10) n' "select lo_from_bytea(0, 'x')"
    before=$(dump_sum "v$major")
    sql "v$major" 'update t set n = 0 where n = 1'
    isnt "$(dump_sum "v$major")" "$before" "a changed row changes the sum of PostgreSQL $major"
    is "$(sql "v$major" 'show data_checksums')" on "PostgreSQL $major has data checksums"
    cluster_stop "v$major"
done
cluster_init plain 18 --no-data-checksums
cluster_start plain
is "$(sql plain 'show data_checksums')" off 'checksums can be declined'
ok 'amcheck is there' sql plain 'create extension amcheck'
done_testing
