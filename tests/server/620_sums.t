#!/bin/bash
# Sums of WAL indexes: expire and differentials make them, incrementals come out the same by way of
# them, what is wrong with one costs only time, and none outlives its WAL.
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15 --wal-segsize=1
cluster_config main "autovacuum = off" "max_wal_size = 1GB" "checkpoint_timeout = 1h"
cluster_start main
write_config --cipher "a word to pass" --local 'retention_full: 1' --local 'expire_auto: n' main
pgbr init main
archive_on main
cp -r "$top/tests/format" "$work/reader"
chmod -R a+rX "$work/reader"

backup() { pgbr backup main --json "$@" 2>"$work/said" | tee "$work/made" >/dev/null; }
made() { # KEY: of the last backup
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/made" "$1"
}
sums() { find repo/main/wal -path '*/sum/*' -type f | sort; }
segments() { find repo/main/wal -regex '.*/[0-9A-F]*' -type f | grep -vc /sum/; }
restored() { # the newest backup, and all WAL behind it: a hash of everything
    wait_archived main >&2
    rm -rf copy
    pgbr -q restore main --data-dir "$work/copy" >&2
    restore_start copy >&2
    dump_sum copy
    cluster_stop copy fast >&2
}
churn() { # SEED: some 20 MB of WAL of many kinds
    sql main "update t set filler = 'seed $1 ' || filler where id % 100 = $1" \
        "create table t$1 as select * from t where id < 20000" "create index on t$1 (filler)" \
        "delete from t where id % 500 = $1" "truncate emptied" \
        "insert into emptied select generate_series(1, 1000 * $1)" "vacuum t" \
        "select pg_create_restore_point('point $1')" "drop table t$1" "checkpoint"
    sql main "create database d$1 strategy file_copy" "drop database d$1"
    wait_archived main
}

sql main "create table t (id int, filler text)" "create table emptied (x int)" \
    "insert into t select n, repeat(md5(n::text), 6) from generate_series(1, 40000) n"
backup --type full
is "$(sums)" '' 'a full backup makes no sums'
churn 1
churn 2
churn 6
ok 'there is WAL to sum up' test "$(segments)" -gt 40
ok 'expire' pgbr expire main
first=$(sums | wc -l)
ok "expire made sums of it ($first)" test "$first" -ge 2
pgbr expire main
is "$(sums | wc -l)" "$first" 'once'
cp "$(sums | head -1)" one-sum

read_repo() {
    as_owner env PASSPHRASE="a word to pass" PYTHONDONTWRITEBYTECODE=1 \
        python3 "$work/reader/read_repo.py" "$work/repo" main "$@"
}
ok 'a reader that was written from the document makes the same of the indexes' read_repo check
ok 'verify too' pgbr verify main --deep

# ---- they are used, and it makes no difference
mv "$(sums | head -1 | xargs dirname)" aside
backup --type incr
is "$(made type) $(made changes_found)" 'incr wal' 'without sums'
without=$(made read_bytes)
is "$(restored)" "$(dump_sum main)" 'the incremental restores'
pgbr expire main --set "$(made label)"
mv aside "$(find repo/main/wal -mindepth 1 -maxdepth 1)/sum"
backup --type incr
is "$(made type) $(made changes_found)" 'incr wal' 'with sums'
unlike "$(cat said)" 'cannot be used|warning' 'no word about it'
ok "it read as much ($without, $(made read_bytes))" test \
    "$(($(made read_bytes) - without))" -lt 2000000 -a "$((without - $(made read_bytes)))" -lt 2000000
is "$(restored)" "$(dump_sum main)" 'and restores to the same'

# ---- differentials make their own
churn 3
before=$(sums | wc -l)
backup --type diff
is "$(made type) $(made changes_found)" 'diff wal' 'a differential'
ok "makes sums of what it has read ($before, $(sums | wc -l))" test "$(sums | wc -l)" -gt "$before"
is "$(restored)" "$(dump_sum main)" 'and restores'

# ---- one that is damaged
victim=$(sums | head -1)
printf 'damaged' | as_owner dd of="$victim" bs=1 seek=200 conv=notrunc
churn 4
backup --type diff
is "$(made type) $(made changes_found)" 'diff wal' 'with a damaged sum a differential is one'
like "$(cat said)" "${victim##*/}\" cannot be used, what it sums up is read one by one" 'and says so'
is "$(restored)" "$(dump_sum main)" 'and restores'
fails 3 "DAMAGED .*${victim##*/}" 'verify finds it' pgbr verify main
like "$out" 'delete this object, and "pgbr expire" makes it again' 'and says what to do'
like "$(pgbr verify main --json)" '"mend": "it only saves reading' 'also as JSON'
as_owner rm "$victim"
ok 'without it all is well' pgbr verify main --deep
pgbr expire main
cmp -s "$(sums | head -1)" one-sum || pass 'it is made again' # another IV, so other bytes
is "$(sums | head -1)" "$victim" 'under its name'
last=$(sums | tail -1)
as_owner cp "$last" "${last%/*}/00000001-0000000000000000-0000000000400000"
fails 3 "DAMAGED .*-0000000000400000.* under another's name" 'one under the name of another is found' \
    pgbr verify main
as_owner rm "${last%/*}/00000001-0000000000000000-0000000000400000"

# ---- they go with their WAL, with the key and without
backup --type full
as_owner find repo/main/lease -name '*-R-*' -delete # of restores, which pin their WAL for a day
kept=$(sums | tail -1)
sed '/cipher_pass/d' "$config" >keyless.yml
chmod a+r keyless.yml
like "$(as_owner "$PGBR" -c "$work/keyless.yml" expire main --json 2>&1)" '"wal_sums": [1-9]' \
    'without the key expire removes them'
is "$(sums)" '' 'none outlives its WAL'
churn 5
churn 7
pgbr expire main
ok 'new WAL is summed up' test "$(sums | wc -l)" -ge 1
isnt "$(sums | head -1)" "$kept" 'under new names'
backup --type incr
is "$(made type) $(made changes_found)" 'incr wal' 'and an incremental'
is "$(restored)" "$(dump_sum main)" 'restores'
ok 'all is well' pgbr verify main --deep
done_testing
