#!/bin/bash
# The whole way over an S3 server: TLS with a private authority, encrypted, under load; and what is said
# when something about the server is configured wrongly.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"
. "$lib/s3.sh"
. "$lib/load.sh"

s3_start
cluster_init main 15 --wal-segsize=4
cluster_config main "track_commit_timestamp = on" "max_prepared_transactions = 20" "autovacuum = off"
cluster_start main
s3_config --cipher 'a passphrase' --s3 'pack_size: 1MB' --s3 'retention_full: 9' --s3 'restore_pin: 1s' \
    --cluster 'rate_limit: 20MB' main
fails 1 'init' 'before init nothing can be used, which is told' pgbr backup main
ok 'a repository is made' pgbr init main
ok 'with a second way in' pgbr key add main --generate "$work/spare.key"
like "$(s3_client list pgbr)" 'backup/pgbr-repo' 'in the bucket, below the path'
archive_on main
load_tables main
sql main "create table t as select n, repeat(md5(n::text), 8) as x from generate_series(1, 60000) n"

# ---- backups, and moments between them
load_start main 2
ok 'a backup under load' pgbr backup main
ok 'check is content' pgbr check main
sql main "create table log (n int)" "insert into log values (1)"
wait_archived main
moment=$(sql main 'select clock_timestamp()')
sleep 0.2
sql main "insert into log values (2)"
ok 'another one' pgbr backup main
sql main "insert into log values (3)" "select pg_create_restore_point('here')"
sql main "insert into log values (4)"
load_stop main
wait_archived main
ok 'they are listed' pgbr list main
is "$(grep -cE '\b(full|incr|diff)\b' <<<"$out")" 2 'both'
rows() {
    sql "$1" "select string_agg(n::text, ' ' order by n) from log"
}
restored_is() { # ROWS NAME OPTION...
    local want=$1 name=$2
    shift 2
    rm -rf copy
    ok "$name: restored" pgbr restore main --data-dir "$work/copy" --target-action promote "$@"
    restore_start copy
    is "$(rows copy)" "$want" "$name"
    is "$(sql copy 'select sum(amount) from account')" 0 "$name: transactions are whole"
}
restored_is '1' 'a moment between the backups' --target-time "$moment"
cluster_stop copy immediate
restored_is '1 2 3' 'a restore point' --target-name here
cluster_stop copy immediate
restored_is '1 2 3 4' 'the latest'
is "$(load_sum copy)" "$(load_sum main)" 'with every transaction'
is "$(dump_sum copy)" "$(dump_sum main)" 'and everything else'
ok 'pg_amcheck finds nothing' pg_client pg_amcheck -h "$work/sock" -p "$(port copy)" -U postgres --all \
    --install-missing --heapallindexed
cluster_stop copy
ok 'pg_checksums finds nothing' as_owner "$(cluster_bin copy)/pg_checksums" -c -D "$work/copy"

# ---- the repository is the truth
ok 'verify finds nothing' pgbr verify main
ok 'verify --deep finds nothing' pgbr verify main --deep
pgbr list main --json >before.json
as_owner find state -name 'catalog.db*' -delete
ok 'the catalog is rebuilt' pgbr catalog rebuild main
pgbr list main --json >after.json
ok 'with the same list' cmp before.json after.json
rm -rf state
pgbr list main --json >after.json
ok 'a host that knows nothing sees the same list' cmp before.json after.json
sql main "insert into log values (5)"
wait_archived main
restored_is '1 2 3 4 5' 'and archives and restores'
cluster_stop copy immediate

# ---- what is no longer kept goes, and only that
cp -p "$config" all.yml
sed -i 's/retention_full: 9/retention_full: 1/' "$config"
kept() { # the backups that have packs in the bucket
    s3_client list pgbr backup/main/data/ | sed -E 's|.*/data/([^/]*)/.*|\1|' | sort -u
}
is "$(kept | wc -l)" 2 'two backups have packs'
ok 'a dry run tells what would go' pgbr expire main --dry-run
is "$(kept | wc -l)" 2 'and removes nothing'
sleep 1.5 # restores pin what they have restored
ok 'the older one is expired' pgbr expire main
is "$(kept)" "$(pgbr list main --json | grep -o '"label": *"[^"]*' | sed 's/.*"//')" \
    'what is left belongs to the one that is listed'
ok 'verify --deep finds nothing' pgbr verify main --deep
restored_is '1 2 3 4 5' 'the one that stays restores'
cluster_stop copy immediate
cp -p all.yml "$config"

# ---- damage is found over the wire, too
victim=$(s3_client list pgbr backup/main/data/ | sort -k2n | tail -1 | cut -d' ' -f1)
s3_client get pgbr "$victim" >kept
cp kept bad
middle=$(($(stat -c %s kept) / 2)) other=X
[ "$(dd if=kept bs=1 skip="$middle" count=1 status=none | tr -d '\0')" != X ] || other=Y
printf '%s' "$other" | dd of=bad bs=1 seek="$middle" conv=notrunc status=none
s3_client put pgbr "$victim" bad
fails 3 "DAMAGED ${victim#backup/}" 'a changed byte in the bucket is found' pgbr verify main
s3_client delete pgbr "$victim"
fails 3 "${victim#backup/}" 'an object that is gone, too' pgbr verify main
s3_client put pgbr "$victim" kept
ok 'all is well when it is back' pgbr verify main

# ---- what is configured wrongly, and what must be said
wrong() { # STATUS PATTERN NAME [--s3 'KEY: VALUE']...
    local status=$1 pattern=$2 name=$3
    shift 3
    s3_config --cipher 'a passphrase' "$@" main
    rm -rf state
    fails "$status" "$pattern" "$name" pgbr list main
    is "$(grep -c ERROR <<<"$out")" 1 "$name: one error"
    unlike "$out" "$PGBR_TEST_S3_SECRET|a passphrase|wrongsecret" "$name: no secret is told"
    fails 200 "$pattern" "$name: archive-get does not say that there is no such file" \
        pgbr archive-get main 000000010000000000000001 "$work/got"
}
wrong 1 'certificate' 'a wrong authority' --s3 "storage_ca_file: $s3_wrong_ca"
wrong 1 'certificate' 'no private authority' --s3 'storage_ca_file: '
wrong 2 'storage_ca_file' 'an authority file that is missing' --s3 "storage_ca_file: $work/no-such-ca.crt"
wrong 1 'InvalidAccessKeyId.*s3_key' 'an unknown key' --s3 's3_key: NOBODY'
wrong 1 'SignatureDoesNotMatch.*s3_key_secret' 'a wrong secret' --s3 's3_key_secret: wrongsecret'
wrong 2 'bucket "nowhere"' 'a wrong bucket' --s3 's3_bucket: nowhere'
wrong 1 'init' 'a wrong path' --s3 'path: /elsewhere'
proxy_start "$s3_dir/tls/elsewhere.pem"
wrong 1 'certificate.*name' 'a certificate for another name' --s3 "s3_endpoint: $proxy"

# What may pass is tried for half a minute first: all at the same time.
declare -A passing=([s3_http]="s3_endpoint: $s3_http" [nobody]='s3_endpoint: localhost:1'
    [nowhere]='s3_endpoint: no-such-host.invalid')
declare -A said=([s3_http]='SSL|TLS' [nobody]="connect" [nowhere]='resolve')
for name in "${!passing[@]}"; do
    s3_config --cipher 'a passphrase' --s3 "${passing[$name]}" --top "# $name" main
    mv "$config" "$name.yml"
    as_owner "$PGBR" -c "$work/$name.yml" list main >"$name.out" 2>&1 &
done
for name in "${!passing[@]}"; do
    ended() {
        grep -q ERROR "$name.out"
    }
    wait_for 60 ended
    like "$(cat "$name.out")" "ERROR.*(${said[$name]})" "${passing[$name]} is told"
    is "$(grep -c ERROR "$name.out")" 1 "${passing[$name]}: one error"
done

s3_config --cipher 'a passphrase' --s3 "s3_endpoint: http://$s3_http" main
ok 'without TLS, where that is asked for' pgbr list main
like "$out" 'WARNING.*in clear' 'with a warning'
s3_config --cipher 'a passphrase' main
ok 'the right configuration works still' pgbr verify main
done_testing
