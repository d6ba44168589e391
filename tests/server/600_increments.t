#!/bin/bash
# Incremental and differential backups: what they read and store, and that what they restore to is
# what a full backup would have brought back.
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15
cluster_config main "autovacuum = off"
cluster_start main
write_config --local 'pack_size: 1MB' main
pgbr init main
archive_on main
backup() { pgbr backup main --json "$@" | tee "$work/made" >/dev/null; }
made() { # KEY: of the last backup
    python3 -c 'import json, sys; v = json.load(open(sys.argv[1]))[sys.argv[2]]; print("" if v is None else v)' \
        "$work/made" "$1"
}
restored() { # the newest backup, and all WAL behind it: a hash of everything
    rm -rf copy
    pgbr -q restore main --data-dir "$work/copy" >&2
    as_owner "$(pg_version_dir 15)/bin/pg_verifybackup" -n "$work/copy" >&2
    restore_start copy >&2
    dump_sum copy
    cluster_stop copy fast >&2
}

sql main "create table t (id int, filler text)" \
    "insert into t select n, repeat(md5(n::text), 8) from generate_series(1, 40000) n" \
    "create table still as select n, (select string_agg(md5(n || '.' || k), '') from generate_series(1, 16) k)
        from generate_series(1, 30000) n" "vacuum still" \
    "create index on t (id)" "create table small (x int)" "insert into small select generate_series(1, 10)"
backup
first=$(made label)
is "$(made type)" full 'without a backup an automatic one is full'
full_stored=$(made stored_bytes)

# ---- nothing changed
backup
is "$(made type) $(made changes_found)" 'incr wal' 'the next one is incremental, and asks the WAL'
ok 'an idle cluster is hardly read' test "$(made read_bytes)" -lt 8000000
is "$(restored)" "$(dump_sum main)" 'and restores to the same'

# ---- scattered pages
sql main "update t set filler = 'x' || filler where id % 1000 = 7"
backup --type incr
is "$(made type)" incr 'incremental'
ok 'stores little' test "$(made stored_bytes)" -lt $((full_stored / 4))
sql main "insert into small values (11)" # behind it
wait_archived main
is "$(restored)" "$(dump_sum main)" 'changed pages and the WAL behind them are there'

# ---- one that is interrupted
sql main "update t set filler = (select string_agg(md5(id || '-' || n), '') from generate_series(1, 7) n)
    where id > 10000" # does not compress well
cp "$config" fast.yml
sed -i 's/^  main:/&\n    rate_limit: 3MB/' "$config"
as_owner "$PGBR" -q -c "$config" backup main --type incr >&2 &
interrupted=$!
stored() { [ "$(find repo/main/data -newer fast.yml -type f | wc -l)" -ge 3 ]; }
wait_for 60 stored
pkill -KILL -f -- "-c $config backup main"
wait "$interrupted" || true
cat fast.yml >"$config"
sql main "update t set filler = 'z' || filler where id = 1"
backup --type incr
ok 'what it stored is used by the next one' test "$(made adopted_bytes)" -gt 500000
wait_archived main
is "$(restored)" "$(dump_sum main)" 'which restores'

# ---- a differential builds on the full one
sql main "delete from t where id % 500 = 3" "create table made_later as select * from t where id < 5000"
backup --type diff
is "$(made type)" diff 'differential'
is "$(made base)" "$first" 'builds on the full one'
wait_archived main
is "$(restored)" "$(dump_sum main)" 'and restores'
ok 'all of it is whole' pgbr verify main --deep

# ---- damage in what the base stored is damage of all that build on it
pack=$(find "repo/main/data/$first" -type f -size +100k | sort | head -1)
cp -p "$pack" good-pack
printf '\x55' | dd of="$pack" bs=1 seek=60000 conv=notrunc
fails 3 DAMAGE 'damage in a pack of the full backup is found' pgbr verify main --deep
like "$out" "$(made label)" 'and the backups that need it are named, the last one too'
fails 1 "$first" 'which cannot be restored' pgbr -q restore main --data-dir "$work/copy2"
as_owner cp -p good-pack "$pack"
ok 'until it is mended' pgbr verify main
rm "$pack"
fails 3 'cannot be the base: packs of set .* are missing.*a full backup is taken instead' \
    'nothing is built on a base that lacks a pack' pgbr backup main --json --type incr
like "$out" '"type": "full"' 'but a full backup is taken'
ok 'which restores' pgbr -q restore main --data-dir "$work/copy3"
cp -p good-pack "$pack"
chown "$run_as" "$pack"
ok 'with the pack it can' pgbr -q verify main --deep
manifest=$(find repo/main/backup -name manifest | sort | tail -1)
cp -p "$manifest" good-manifest
printf '\x55' | dd of="$manifest" bs=1 seek=200 conv=notrunc
fails 3 'cannot be read and is no base' 'a backup that cannot be read is told of, with what is built without it' \
    pgbr backup main --json --type incr
like "$out" '"type": "incr"' 'which is on an older one'
cp -p good-manifest "$manifest"
chown "$run_as" "$manifest"

# ---- the WAL cannot tell: a segment is lost
lose_segment() {
    segment=$(sql main "select pg_walfile_name(pg_current_wal_lsn())")
    wait_archived main
    sql main "checkpoint" "select pg_switch_wal()"
    wait_archived main
    find repo -path '*/wal/*' -name "*$segment*" -delete
    rm -f "main/pg_wal/$segment"
}
sql main "update t set filler = 'y' || filler where id % 1000 = 9"
lose_segment
backup --type incr
is "$(made type) $(made changes_found)" 'incr compared' 'without the WAL everything is read and compared'
ok 'what did not change is not stored again' test "$(made stored_bytes)" -lt $((full_stored / 2))
wait_archived main
is "$(restored)" "$(dump_sum main)" 'and restores'

# ---- and packs that the base needs are damaged
sql main "update t set filler = 'w' || filler where id % 1000 = 10"
lose_segment
cp -rp repo/main/data good-packs
find repo/main/data -type f -size +1k >packs.txt
while read -r pack; do
    printf 'damaged' | as_owner dd of="$pack" bs=1 seek=$(($(stat -c %s "$pack") - 80)) conv=notrunc
done <packs.txt
fails 3 'what pack [0-9]+ of set .* holds is stored anew.*pgbr verify' \
    'of a damaged pack of the base somebody hears' pgbr backup main --json --type incr
like "$out" '"type": "incr"' 'and the incremental is made'
wait_archived main
is "$(restored)" "$(dump_sum main)" 'without the pack it restores'
cp -rp good-packs/. repo/main/data # the new set stays
chown -R "$run_as" repo/main/data

# ---- alarms: what the WAL does not tell
node() { # TABLE: its file
    echo "main/$(sql main "select pg_relation_filepath('$1')")"
}
spoil() { # FILE PYTHON: each page p, lsn is that of the last backup's start
    as_owner python3 - "$1" "$(made start_lsn)" "$2" <<'END'
import struct, sys
high, low = (int(x, 16) for x in sys.argv[2].split("/"))
lsn = struct.pack("<II", high, low + 100)
with open(sys.argv[1], "r+b") as f:
    data = bytearray(f.read())
    for at in range(8192, len(data), 8192):
        p = data[at:at + 8192]
        exec(sys.argv[3])
        data[at:at + 8192] = p
    f.seek(0)
    f.write(data)
END
}
sql main "create table honest as select n, repeat('h', 900) from generate_series(1, 40000) n"
backup --type full
file=$(node honest)
cluster_stop main
cp "$file" saved
spoil "$file" 'p[0:8] = lsn'
cluster_start main
fails 3 'ALARM: the WAL does not name block .*'"${file#main/}"'.*a record in that range changed it' \
    'a page with an LSN that the WAL does not know is an alarm' pgbr backup main --type incr
like "$out" 'backup [0-9TZ]*-F-' 'and a full backup is taken'
is "$(as_owner python3 -c 'import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("SELECT level, kind FROM event WHERE kind = ?", ["alarm"]).fetchall())' "$work/state/catalog.db")" \
    "[('error', 'alarm')]" 'the catalog keeps it'
cluster_stop main
cp saved "$file"
chown "$run_as" "$file"
cluster_start main
backup --type full
cluster_stop main
spoil "$file" 'p[8191] ^= 1'
cluster_start main
fails 3 'ALARM: .* it is not what the base holds' 'so is a page that differs without any record' \
    pgbr backup main --type incr
done_testing
