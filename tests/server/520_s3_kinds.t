#!/bin/bash
# Single faults at chosen places, and servers of other kinds: with temporary credentials, with a clock
# that differs, with conditional PUT refused or ignored, with rights missing.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"
. "$lib/s3.sh"

s3_start
proxy_start
cluster_init main 15 --wal-segsize=1
cluster_config main "autovacuum = off"
cluster_start main
proxied() { # [s3_config OPTION...]: configuration through the proxy
    s3_config --cipher secret --s3 'pack_size: 1MB' --s3 "s3_endpoint: $proxy" "$@" main
}
proxied
pgbr init main
archive_on main
sql main "create table t as select n, repeat(md5(n::text), 8) as x from generate_series(1, 10000) n"
count() { # backups, as the server has them
    s3_client list pgbr "${1:-backup}/main/backup/" | grep -c '/manifest ' || true
}
rule() { # MATCH FAULT [TIMES]
    echo "{\"match\": \"$1\", \"fault\": \"$2\", \"times\": ${3:-1}}"
}

# ---- a fault at each kind of object that a backup writes
backups=0
for fault in reset half_sent internal slow_down busy skew lost_reply truncated half_reply; do
    proxy_does "{\"rules\": [$(rule 'PUT .*/manifest' $fault), $(rule 'PUT .*/data/' $fault),
        $(rule 'PUT .*/wal/' $fault), $(rule 'PUT .*lease' $fault), $(rule 'GET .*list-type' $fault)]}"
    before=$(proxy_faults)
    ok "$fault: the backup succeeds all the same" pgbr backup main
    ok "$fault: it was met" test "$(($(proxy_faults) - before))" -ge 4
    backups=$((backups + 1))
    is "$(count)" $backups "$fault: one backup more"
done
proxy_does '{}'
ok 'they are whole' pgbr verify main --deep

# ---- and to what a restore reads
wait_archived main
segment=$(basename "$(find main/pg_wal/archive_status -name '*.done' | sort | head -1)" .done)
pgbr archive-get main "$segment" "$work/want"
for fault in reset internal slow_down busy lost_reply truncated half_reply; do
    proxy_does "{\"rules\": [$(rule 'GET ' $fault), $(rule 'GET .*/data/' $fault 2), $(rule 'GET .*manifest' $fault),
        $(rule 'GET .*/wal/' $fault)]}"
    rm -rf copy got
    ok "$fault: archive-get delivers" pgbr archive-get main "$segment" "$work/got"
    ok "$fault: the segment" cmp got want
    ok "$fault: a restore succeeds" pgbr restore main --data-dir "$work/copy" --target immediate
    ok "$fault: pg_verifybackup accepts it" as_owner "$(cluster_bin copy)/pg_verifybackup" -n "$work/copy"
done

# A reply that is too short, with a length that fits, is asked for again.
proxy_does "{\"rules\": [$(rule 'GET .*/(wal|data)/' short 3)]}"
rm -rf copy got
ok 'short: archive-get delivers' pgbr archive-get main "$segment" "$work/got"
ok 'short: the segment' cmp got want
proxy_does "{\"rules\": [$(rule 'GET .*/(wal|data)/' short 3)]}"
ok 'short: a restore succeeds' pgbr restore main --data-dir "$work/copy" --target immediate
ok 'short: pg_verifybackup accepts it' as_owner "$(cluster_bin copy)/pg_verifybackup" -n "$work/copy"

# What was changed on the way is not believed, and not asked for again and again.
proxy_does "{\"rules\": [$(rule 'GET .*/(wal|data)/' garbled -1)]}"
rm -rf copy got
fails 200 "ERROR.*$segment" 'garbled: archive-get tells it' pgbr archive-get main "$segment" "$work/got"
ok 'garbled: and delivers nothing' test ! -e got
fails 1 ERROR 'garbled: a restore tells it' pgbr restore main --data-dir "$work/copy" --target immediate
ok 'garbled: and leaves nothing to start' test ! -e copy/global/pg_control
for fault in short denied; do
    proxy_does "{\"rules\": [$(rule 'GET .*list-type' $fault -1)]}"
    status=0
    pgbr list main --json >list.json || status=$?
    isnt "$status" 0 "$fault: a listing that is cut is an error, not a shorter list"
done

# ---- temporary credentials, by file
gate='"key": "TEMPKEY", "secret": "temporary", "region": "eu-test-1"'
temporary=(--s3 's3_key: TEMPKEY' --s3 's3_key_secret: temporary' --s3 's3_region: eu-test-1')
proxy_does "{\"gate\": {$gate, \"token\": \"token-1\"}}"
token() {
    as_owner sh -c "umask 077; echo '$1' >'$work/token.new' && mv '$work/token.new' '$work/token'"
}
token token-1
proxied "${temporary[@]}" --s3 "s3_token_file: $work/token"
ok 'a session token' pgbr backup main
proxied "${temporary[@]}" --s3 "s3_token_file: $work/token" --cluster 'rate_limit: 8MB'
pgbr backup main --type full >during.out 2>&1 &
backup=$!
packs() {
    proxy_requests '^PUT .*/data/.* 200 '
}
packs_before=$(packs)
written() {
    [ "$(packs)" -gt "$packs_before" ]
}
wait_for 60 written
token token-2 # before the old one expires, as whoever renews tokens does
proxy_does "{\"gate\": {$gate, \"token\": \"token-2\"}}"
status=0
wait $backup || status=$?
[ $status -eq 0 ] || diag "$(cat during.out)"
is "$status" 0 'a token that is renewed in the middle of a backup is read again'
isnt "$(proxy_requests ' 400 ')" 0 'the old one was refused'
proxy_does "{\"gate\": {$gate, \"token\": \"token-3\"}}"
fails 1 'ExpiredToken|token' 'a token that is not renewed is told' pgbr list main
unlike "$out" 'token-2' 'but not the token itself'

# ---- a region that matters, a clock that differs
proxy_does "{\"gate\": {$gate}}"
proxied "${temporary[@]}"
ok 'the right region' pgbr list main
proxied "${temporary[@]}" --s3 's3_region: us-east-1'
status=0
pgbr list main >out 2>&1 || status=$?
cat out
ok 'a wrong one is told, or corrected' test $status -eq 0 -o "$(grep -c 'ERROR.*eu-test-1' out)" -eq 1
for clock in 7200 -7200; do
    proxy_does "{\"gate\": {$gate, \"clock\": $clock}}"
    proxied "${temporary[@]}"
    ok "a server whose clock is $clock s ahead: a backup" pgbr backup main
    ok "a server whose clock is $clock s ahead: verify" pgbr verify main
    wait_archived main
    pass "a server whose clock is $clock s ahead: WAL is archived"
done

# ---- conditional PUT: refused, or ignored
as_owner mkdir a
for kind in refuses ignores; do
    if [ $kind = refuses ]; then
        proxy_does '{"rules": [{"match": "^PUT", "header": "if-none-match", "fault": "not_implemented", "times": -1}]}'
        options=()
    else
        proxy_does "{\"gate\": {$gate, \"ignore\": [\"if-none-match\"]}}"
        options=("${temporary[@]}")
    fi
    rm -rf state
    proxied ${options[@]+"${options[@]}"} --s3 "path: /$kind"
    ok "a server that $kind conditional PUT: init" pgbr init main
    wait_archived main
    ok "a server that $kind conditional PUT: a backup" pgbr backup main
    is "$(count $kind)" 1 "a server that $kind conditional PUT: one backup"
    ok "a server that $kind conditional PUT: verify" pgbr verify main --deep
    segment=$(basename "$(find main/pg_wal/archive_status -name '*.done' | sort | tail -1)" .done)
    pgbr archive-get main "$segment" "$work/a/$segment"
    ok "a server that $kind conditional PUT: the same again" pgbr archive-push main "$work/a/$segment"
    printf 'other' | dd of="a/$segment" bs=1 seek=500000 conv=notrunc status=none
    fails 1 "$segment" "a server that $kind conditional PUT: other content is refused" \
        pgbr archive-push main "$work/a/$segment"
    rm -f got
    pgbr archive-get main "$segment" "$work/got"
    ok "a server that $kind conditional PUT: nothing is overwritten" cmp -s got "main/pg_wal/$segment"
    status=0
    pgbr check main >out 2>&1 || status=$?
    cat out
    like "$(cat out)" 'If-None-Match|conditional|create' "a server that $kind conditional PUT: check says so"
done

# ---- rights
proxy_does "{\"rules\": [$(rule '^DELETE|^POST .*[?&]delete' denied -1)]}"
proxied
ok 'without the right to delete a backup is taken' pgbr backup main
proxy_does "{\"rules\": [$(rule '^PUT' denied -1)]}"
sql main "insert into t values (0, 'x')" "select pg_switch_wal()"
told() {
    grep -q 'ERROR.*AccessDenied' log/main.log
}
ok 'without the right to write WAL is not archived, which is told' wait_for 30 told
proxy_does "{\"rules\": [$(rule '^GET' denied -1)]}"
fails 1 'AccessDenied' 'without the right to read nothing can be told' pgbr list main
done_testing
