#!/bin/bash
# Independent judges of a restored copy: pg_verifybackup, pg_checksums, pg_amcheck, and pg_dumpall of
# original and copy. The cluster has what a backup may stumble over.
. "${0%/*}/../lib/pgbr.sh"
. "$lib/load.sh"

bin=/usr/lib/postgresql/15/bin
as_owner mkdir "$work/ts1" "$work/ts 2"
cluster_init main 15 --wal-segsize=4
cluster_config main "track_commit_timestamp = on" "max_prepared_transactions = 20" \
    "allow_in_place_tablespaces = on" "autovacuum = off"
cluster_start main
write_config --cipher 'a passphrase' --cluster "rate_limit: 15MB" main
pgbr init main
archive_on main

# ---- what there is
sql main "create tablespace one location '$work/ts1'" "create tablespace \"the other\" location '$work/ts 2'" \
    "create tablespace inside location ''"
sql main "create database app" "create database indexed tablespace one" \
    "create role reader login" "alter role reader set work_mem = '5MB'" \
    "create database empty template template0"
sql main/app "create table plain as select n, md5(n::text) as t from generate_series(1, 20000) n" \
    "create table far (n int primary key using index tablespace \"the other\", t text) tablespace one" \
    "insert into far select n, repeat(md5(n::text), 4) from generate_series(1, 5000) n" \
    "create table near tablespace inside as select n from generate_series(1, 100) n" \
    "create table toasted (n int, t text)" "alter table toasted alter t set storage external" \
    "insert into toasted select n, repeat(md5(n::text), 3000) from generate_series(1, 20) n" \
    "create materialized view mv as select n % 7 as k, count(*) from plain group by 1" \
    "create sequence s start 42" "select nextval('s')" \
    "create table parted (n int, t text) partition by range (n)" \
    "create table parted_1 partition of parted for values from (0) to (1000)" \
    "create table parted_2 partition of parted for values from (1000) to (2000) tablespace \"the other\"" \
    "create table parted_rest partition of parted default partition by hash (n)" \
    "create table parted_h0 partition of parted_rest for values with (modulus 2, remainder 0)" \
    "create table parted_h1 partition of parted_rest for values with (modulus 2, remainder 1)" \
    "create index on parted (n)" "insert into parted select n, 'x' from generate_series(1, 4000) n" \
    "create unlogged table fleeting (n int primary key, t text)" \
    "insert into fleeting select n, 'gone' from generate_series(1, 3000) n" \
    "create unlogged table fleeting_far tablespace one as select 1 as n" \
    "select lo_from_bytea(0, decode(repeat(md5(n::text), 500), 'hex')) from generate_series(1, 30) n"
sql main/indexed "create extension amcheck" "create table far tablespace \"the other\" as select n from generate_series(1, 2000) n" \
    "create table near tablespace pg_default as select n from generate_series(1, 2000) n" "create extension btree_gist" "create extension bloom" \
    "create table t as select n, md5(n::text) as t, point(n % 100, n / 100) as p,
         int4range(n, n + 10) as r, array[n, n + 1] as a from generate_series(1, 5000) n" \
    "create index on t using btree (t)" "create index on t using hash (t)" \
    "create index on t using gin (a)" "create index on t using gist (p)" \
    "create index on t using gist (n)" "create index on t using spgist (p)" \
    "create index on t using brin (n)" "create index on t using bloom (n)" \
    "create unique index on t (n) include (t) where n > 10" "create index on t (lower(t) desc)" \
    "delete from t where n % 10 = 0" "vacuum t"
sql main "create database copied_before template indexed strategy file_copy"
load_tables main

# ---- a backup, while clients write, and databases are made by copying files and are dropped
in_backup() {
    grep -q 'started at' backup.out
}
load_start main 2
pgbr backup main >backup.out 2>&1 &
backup=$!
wait_for 30 in_backup
sql main "create database copied_during template indexed strategy file_copy"
sql main/app "create unlogged table fleeting_new as select n from generate_series(1, 100) n" \
    "create table made_during tablespace one as select n from generate_series(1, 1000) n" \
    "truncate near" "insert into near values (5)" \
    "update far set t = 'new' where n % 2 = 0" "vacuum full plain" "alter table mv set tablespace one" \
    "select lo_unlink(min(oid)) from pg_largeobject_metadata"
sql main "create database copied_late template template0 strategy file_copy" "drop database empty"
ok 'all that happened during the backup' kill -0 "$backup"
status=0
wait "$backup" || status=$?
cat backup.out
is "$status" 0 'the backup succeeds'
load_stop main
isnt "$(load_count main)" 0 'clients wrote meanwhile'
sql main/app "insert into plain values (-1, 'after the backup')"
wait_archived main

# ---- the copy, before it was ever started
maps=(--tablespace-map "one=$work/copy_ts1" --tablespace-map "$work/ts 2=$work/copy_ts 2")
ok 'it is restored with its tablespaces elsewhere' pgbr restore main --data-dir "$work/copy" "${maps[@]}"
like "$(readlink copy/pg_tblspc/* | sort)" "^$work/copy_ts 2"$'\n'"$work/copy_ts1\$" 'they are there'
is "$(find copy -user root)$(find "copy_ts1" 'copy_ts 2' -user root)" '' 'all belongs to the owner'
is "$(stat -c %a copy)" "$(stat -c %a main)" 'the mode of the directory is the original one'
ok 'pg_verifybackup -n accepts it' as_owner "$bin/pg_verifybackup" -n "$work/copy"
as_owner mkdir "$work/wal"
while read -r segment; do
    pgbr archive-get main "$segment" "$work/wal/$segment"
done < <(find main/pg_wal -maxdepth 1 -name '0000000100000000*' -type f -printf '%f\n' |
    grep -v backup | sort | while read -r name; do
    [ ! -e "main/pg_wal/archive_status/$name.done" ] || echo "$name"
done)
ok 'pg_verifybackup accepts it with its WAL' as_owner "$bin/pg_verifybackup" -w "$work/wal" "$work/copy"

# ---- and afterwards
restore_start copy
dump() { # NAME: what can be dumped, but for the places of tablespaces
    pg_client pg_dumpall --no-unlogged-table-data -d "$(connection "$1")" >"$1.sql"
    sed -E "/^.(un)?restrict /d; s|$work/(copy_)?ts|$work/ts|" "$1.sql"
}
dump main >main.txt
dump copy >copy.txt
ok 'pg_dumpall of original and copy agree' cmp main.txt copy.txt
ok 'with many lines' test "$(wc -l <main.txt)" -gt 30000
is "$(sql copy/app 'select count(*) from fleeting')" 0 'unlogged tables are empty'
is "$(sql copy/app 'select count(*) from fleeting_far')" 0 'also in tablespaces'
is "$(sql copy/app 'select count(*) from fleeting_new')" 0 'also one that was made during the backup'
is "$(sql main/app 'select count(*) from fleeting')" 3000 'the original has its rows still'
sql copy/app "insert into fleeting values (1, 'works')"
is "$(sql copy 'select sum(amount) from account')" 0 'transactions are whole'
is "$(sql copy 'select count(*) from ledger')" "$(sql main 'select count(*) from ledger')" 'none is lost'
for name in main copy; do
    ok "pg_amcheck finds nothing in $name" pg_client pg_amcheck -h "$work/sock" -p "$(port "$name")" \
        -U postgres --all --install-missing --heapallindexed --parent-check
done
counts="select count(*) from t where t = md5('77')
    union all select count(*) from t where a @> array[77]
    union all select count(*) from t where p <@ box(point(3, 3), point(9, 9))
    union all select count(*) from t where n between 100 and 200"
is "$(sql copy/indexed "set enable_seqscan = off; $counts")" \
    "$(sql main/indexed "set enable_indexscan = off; set enable_bitmapscan = off; $counts")" \
    'indexes of the copy find what the tables of the original hold'
cluster_stop copy
ok 'pg_checksums finds nothing' as_owner "$bin/pg_checksums" --check -D "$work/copy"
ok 'verify finds nothing' pgbr verify main --deep
done_testing
