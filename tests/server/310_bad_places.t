#!/bin/bash
# Wrong keys, wrong clusters, broken configurations, files nobody may read, disks that are full: told
# clearly, nothing half done, and it goes on as soon as the cause is gone.
#
# Small file systems need root, and a mount namespace of their own so that nobody else sees them.
if [ "$(id -u)" -eq 0 ] && [ -z "${IN_NAMESPACE:-}" ] && unshare -m true 2>/dev/null; then
    IN_NAMESPACE=1 exec unshare -m --propagation private "$BASH" "$0" "$@"
fi
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15 --wal-segsize=1
write_config --cipher secret --cluster 'archive_timeout: 10s' main
sed -i "s|^    path: $work/repo|&\n    pack_size: 1MB|" "$config"
cp "$config" good.yml
as_good() {
    cp good.yml "$config"
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" "$config"
}
changed() { # SED EXPRESSION
    as_good
    sed -i -E "$1" "$config"
}
backups() {
    pgbr list main --json | grep -c '"label"' || true
}
adopted() {
    grep -o '"adopted_bytes": *[0-9]*' <<<"$out" | grep -o '[0-9]*$'
}
pgbr init main
cluster_start main
archive_on main
sql main 'create table t as select n, md5(n::text) from generate_series(1, 30000) n' 'checkpoint'
pgbr backup main --type full

# ---- the wrong key
changed 's/secret/wrong/'
rm -f state/*.state
for command in 'backup main' 'verify main --deep' "restore main --data-dir $work/copy"; do
    # shellcheck disable=SC2086
    fails 1 'passphrase' "wrong passphrase: $command" pgbr $command
    unlike "$out" 'cipher_pass: "?wrong|"wrong"' "the passphrase is not told by $command"
done
ok 'list shows what needs no key' pgbr list main
like "$out" 'WARNING.*passphrase.*F-' 'and warns'
ok 'verify by hashes needs no passphrase' pgbr verify main
like "$out" 'checking by stored hashes only' 'and says what it does not check'
changed '/cipher/d'
fails 1 'is encrypted, but the configuration says it is not' 'no passphrase' pgbr backup main --type full
as_good
pgbr list main

# ---- the wrong cluster
cluster_init stranger
cluster_start stranger
changed "s|data: .*|data: $work/stranger|; s|port=[0-9]+|port=$(port stranger)|"
fails 1 'system identifier [0-9]+' 'init for a cluster that the repository does not hold' pgbr init main
like "$out" 'accept-new-system-id' 'it says what to do if that is meant'
fails 1 'system identifier [0-9]+' 'backup of another cluster under this name' pgbr backup main --type full
changed "s|data: .*|data: $work/stranger|"
fails 1 'stranger|data_directory|data directory' 'data of one cluster, connection of another' \
    pgbr backup main --type full
as_good
cluster_stop stranger
for options in '' --delta; do
    # shellcheck disable=SC2086
    fails 1 'another|belongs to|foreign|system identifier' "restore $options over another cluster" pgbr \
        restore main --data-dir "$work/stranger" $options
done
ok 'that one is as it was' cluster_start stranger
cluster_stop stranger
fails 1 'run' 'restore over the running server' pgbr restore main --delta
is "$(sql main 'select count(*) from t')" 30000 'which runs on'

# ---- broken configurations
broken() { # NAME PATTERN, the file from standard input
    cat >"$config"
    for command in list backup check verify init; do
        fails 2 "pgbr.yml\" $2" "$1: $command" pgbr $command main
    done
}
broken 'a bracket too few' 'line 2, column 1:' <<<'repos: {local: {path: /x}'
broken 'a tabulator' 'line 2, column 1:' <<<$'repos:\n\tlocal: {}'
broken 'a mistyped key' 'line 1, column 1:.*"statedir".*state_dir' <<<'statedir: /x'
broken 'a list for a mapping' 'line 1, column 8:' <<<'repos: [a, b]'
broken 'a file of zeros' 'not valid text' < <(head -c 5000 /dev/zero)
broken 'text' 'line 1, column 1:' <<<'all work and no play'
broken 'a size that is none' 'line 2, column [0-9]+:.*pack_size' <<<$'repos:\n  local: {path: /x, pack_size: many}'
as_good

# ---- files that nobody may read
file=$(sql main "select pg_relation_filepath('t')")
sql main 'vacuum freeze t' 'checkpoint' # so that the server needs not write to it
if [ "$run_as" != root ]; then
    before=$(backups)
    chmod 000 "main/$file"
    fails 1 "$file.*ermission denied" 'a table that cannot be read' pgbr backup main --type full
    chmod 600 "main/$file"
    chmod 000 main/pg_multixact
    fails 1 'pg_multixact.*ermission denied' 'a directory that cannot be read' pgbr backup main --type full
    chmod 700 main/pg_multixact
    is "$(backups)" "$before" 'neither became a backup'
    ok 'then it can' pgbr backup main --type full --json
    isnt "$(adopted)" 0 'and uses what was stored'
    chmod 000 repo/main
    fails 1 'ermission denied' 'a repository that may not be looked at' pgbr list main
    chmod 700 repo/main
    chmod 500 repo/main/data
    fails 1 'ermission denied' 'a repository that may not be written to' pgbr backup main --type full
    chmod 700 repo/main/data
fi

# ---- full disks
if [ -n "${IN_NAMESPACE:-}" ]; then
    small() { # SIZE DIRECTORY
        as_owner mkdir -p "$work/$2"
        mount -t tmpfs -o "size=$1,mode=700,uid=$(id -u "$run_as"),gid=$(id -g "$run_as")" tmpfs "$work/$2"
    }
    larger() {
        mount -o remount,size=300M "$work/$1"
    }

    # the repository: WAL waits, nothing is listed, and later all of it is there
    rm -rf repo
    small 2M repo
    pgbr init main
    fails 1 'No space left' 'a full repository: backup' pgbr backup main --type full
    unlike "$out" 'complete' 'does not pretend'
    sql main 'update t set n = n + 1' 'select pg_switch_wal()' 'update t set n = n + 1' \
        'select pg_switch_wal()' 'update t set n = n + 1' 'select pg_switch_wal()'
    refused() { grep -q 'No space left' "$work/log/main.log"; }
    wait_for 30 refused
    waiting=$(find main/pg_wal/archive_status -name '*.ready' | sort | head -1)
    isnt "$waiting" '' 'a full repository: WAL waits in pg_wal'
    waiting=$(basename "$waiting" .ready)
    fails 1 'No space left' 'a full repository: archive-push' pgbr archive-push main "$work/main/pg_wal/$waiting"
    is "$(find repo/main/wal -name "$waiting")" '' 'nothing bears its name'
    is "$(backups)" 0 'a full repository: nothing is listed'
    larger repo
    wait_archived main
    ok 'there is space again: backup' pgbr backup main --type full --json
    isnt "$(adopted)" 0 'it uses what had found room'
    is "$(backups)" 1 'it is listed'
    ok 'and whole' pgbr verify main --deep
    ok 'the segment that waited is there' pgbr archive-get main "$waiting" "$work/got"

    # the state directory: WAL does not depend on it
    rm -rf state
    small 12k state
    segment=$(sql main 'select pg_walfile_name(pg_switch_wal())')
    wait_for 60 is_archived main "$segment"
    pass 'a full state directory: WAL is archived all the same'
    fails 1 'state directory.*No space left' 'a full state directory: backup says so' pgbr backup main --type full
    larger state
    ok 'there is space again: backup' pgbr backup main --type full
    umount state

    # the target of a restore
    small 8M copy
    fails 1 'No space left' 'a full target: restore' pgbr restore main --data-dir "$work/copy"
    like "$out" 'WARNING.*needs up to' 'it had warned'
    like "$out" 'restored in part \(--delta continues\)' 'it says how to go on'
    fails 1 . 'a full target: it does not start' cluster_start copy
    larger copy
    ok 'there is space again: restore goes on' pgbr restore main --data-dir "$work/copy" --delta
    ok 'pg_verifybackup accepts it' as_owner /usr/lib/postgresql/15/bin/pg_verifybackup -n "$work/copy"
    restore_start copy
    is "$(sql copy 'select count(*) from t')" 30000 'all is there'
    cluster_stop copy immediate
    umount copy
    rm -rf copy

    # where a drill makes its sandbox: full before, and full when its server starts
    small 200M drill
    dd if=/dev/zero of=drill/fill bs=4k || true
    fails 1 'FAILED +plan: .*No space left' 'no room for a sandbox' pgbr drill main --no-amcheck --dir "$work/drill"
    is "$(ls drill)" fill 'nothing is left of it'
    rm drill/fill
    as_owner mkdir programs
    as_owner ln -s /usr/lib/postgresql/15/bin/* programs/
    as_owner rm programs/postgres
    as_owner tee programs/postgres >/dev/null <<'END'
#!/bin/sh
[ "$1" != -D ] || dd if=/dev/zero of="$2/../fill" bs=4k
exec /usr/lib/postgresql/15/bin/postgres "$@"
END
    as_owner chmod 755 programs/postgres
    fails 1 'FAILED +(start|replay): .*the server has ended: .*drill/pgbr-drill-.* has [0-9.]+ k?B free' 'a disk that fills up is named' \
        pgbr drill main --no-amcheck --dir "$work/drill" --pg-bin "$work/programs"
    is "$(ls drill)" '' 'and cleared'
    ok 'there is space again: a drill' pgbr drill main --no-amcheck --dir "$work/drill"
    umount drill
    rm -rf drill programs
fi

# A limit on the size of files does much the same, without root.
limited() { # KILOBYTES CMD...
    # shellcheck disable=SC2016
    as_owner "$BASH" -c 'trap "" XFSZ; ulimit -f "$0"; exec "$@"' "$@"
}
before=$(backups)
fails 1 'File too large' 'files that may not grow: backup' limited 200 "$PGBR" -c "$config" backup main --type full
is "$(backups)" "$before" 'it is not listed'
fails 1 'File too large' 'files that may not grow: restore' limited 200 "$PGBR" -c "$config" restore \
    main --data-dir "$work/copy"
ok 'it cannot be started' test ! -e copy/global/pg_control
ok 'a restore without the limit goes on' pgbr restore main --data-dir "$work/copy" --delta
restore_start copy
is "$(sql copy 'select count(*) from t')" 30000 'all is there'
ok 'a backup without the limit' pgbr backup main --type full
ok 'in the end all is well' pgbr verify main --deep
done_testing
