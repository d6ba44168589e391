#!/bin/bash
# Faults on the wire, by chance, while backups are taken and expired, WAL is archived and fetched, and
# copies are restored: what was reported as done is there, what is listed restores, and a failure is told.
#
# FAULTS=60 says how many at least, SEED= which ones; "FAULTS=1000 TEST_LIMIT=7200" for a long run.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"
. "$lib/s3.sh"
. "$lib/load.sh"

FAULTS=${FAULTS:-60}
SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
diag "FAULTS=$FAULTS SEED=$SEED"
s3_start
proxy_start
cluster_init main 15 --wal-segsize=1
cluster_config main "track_commit_timestamp = on" "max_prepared_transactions = 20" "autovacuum = off"
cluster_start main
s3_config --cipher secret --s3 'pack_size: 1MB' --s3 'restore_pin: 1s' main
cp "$config" direct.yml
sed "s|s3_endpoint: .*|s3_endpoint: $proxy|" direct.yml >"$config"
[ "$run_as" = "$(id -un)" ] || chown "$run_as" direct.yml
direct() { # pgbr, past the proxy, as another host would
    as_owner "$PGBR" -c "$work/direct.yml" "$@"
}
direct init main
archive_on main
load_tables main
sql main "create table t as select n, repeat(md5(n::text), 8) as x from generate_series(1, 20000) n"
load_start main 1

: >made       # labels of backups that were reported as done
: >uncertain  # of those that were not, and may be there all the same: the last reply can be lost
: >told       # what was done, and its status
worst=ok
broken() { # WHAT: something that must not be
    worst=bad
    diag "$1"$'\n'"$(tail -15 output)"
}
# Runs pgbr; a failure has to be told, and only these statuses are allowed.
try() { # STATUSES COMMAND...
    local allowed=$1
    shift
    status=0
    pgbr "$@" >output 2>&1 || status=$?
    cat output
    echo "$1 $status" >>told
    [[ " $allowed " == *" $status "* ]] || broken "$*: status $status"
    [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || grep -q 'ERROR' output || broken "$*: failed without a word"
}
labels() { # FILE: of a list --json, without what is hidden until it is deleted, or of a backup --json
    python3 - "$1" <<'END'
import json, re, sys

def backups(found):
    if isinstance(found, list):
        return [b for part in found for b in backups(part)]
    if not isinstance(found, dict):
        return []
    own = [b["label"] for b in found.get("backups", [])]
    return own + [b for name, part in found.items() if name != "hidden" for b in backups(part)]

text = open(sys.argv[1]).read()  # messages may stand before it and behind it
at = re.search(r"^[\[{]", text, re.M)
found = json.JSONDecoder().raw_decode(text, at.start())[0] if at else {}
for label in sorted(set([found["label"]] if "label" in found else backups(found))):
    print(label)
END
}
try_backup() {
    try '0 1' backup main --json
    if [ "$status" -eq 0 ]; then labels output >>made; else
        direct list main --json >listed.json 2>/dev/null
        labels listed.json | grep -vxF -f made >>uncertain || true
    fi
}
try_list() {
    try '0 1 3' list main --json # 3: of segments that are pushed in parallel the later one may be first
    [ "$status" -ne 1 ] || return 0
    labels output >seen
    [ -z "$(sort -u made | comm -23 - seen)" ] || broken 'a backup is not listed'
    [ -z "$(sort -u made uncertain | comm -13 - seen)" ] || broken 'something is listed that nobody made'
}
try_get() { # a segment that was archived, from the proxy and directly
    local segment
    segment=$(basename "$(find main/pg_wal/archive_status -name '*[0-9A-F].done' | sort -R | head -1)" .done)
    [ -n "$segment" ] || return 0
    rm -f got want
    try '0 1 200' archive-get main "$segment" "$work/got"
    [ "$status" -ne 200 ] || return 0
    want=0
    direct archive-get main "$segment" "$work/want" || want=$?
    [ "$status" -eq "$want" ] || broken "$segment: status $status, without faults $want"
    [ "$status" -eq 0 ] || return 0 # expired
    cmp got want || broken "$segment: not what was archived"
}
try_restore() {
    [ -s made ] || return 0
    rm -rf copy
    try '0 1' restore main --data-dir "$work/copy" --target immediate
    if [ "$status" -eq 0 ]; then
        as_owner "$(cluster_bin copy)/pg_verifybackup" -n "$work/copy" >output 2>&1 ||
            broken 'pg_verifybackup does not accept the copy'
    elif [ -e copy/global/pg_control ]; then
        broken 'a restore that failed left something that could be started'
    fi
}
# The oldest one goes, or has perhaps gone. What another one needs of it stays.
try_expire() {
    local label
    [ "$(sort -u made | wc -l)" -gt 3 ] || return 0
    label=$(sort -u made | head -1)
    try '0 1' expire main --set "$label"
    grep -vxF "$label" made >made.new
    mv made.new made
    [ "$status" -eq 0 ] || echo "$label" >>uncertain
}
try_verify() {
    try '0 1' verify main
}

# ---- as long as there are too few faults
for ((round = 0; $(proxy_faults) < FAULTS; round++)); do
    proxy_does "{\"seed\": $((SEED + round)), \"faults\": 1000000, \"rate\": 0.05, \"stall\": 1, \"storm\": 4}"
    try_backup
    sql main "select pg_switch_wal()" "update t set x = md5(x) where n % 7 = $((round % 7))" \
        "select pg_switch_wal()"
    try_list
    try_get
    try_restore
    try_get
    try_expire
    [ $((round % 3)) -ne 2 ] || try_verify
done
proxy_does '{}'
load_stop main
wait_archived main
diag "$(proxy_faults) faults in $(wc -l <proxy/requests) requests of $round rounds:" \
    "$(awk '$4 != "-" { n[$4]++ } END { for (f in n) printf "%s %d, ", f, n[f] }' proxy/requests)"
diag "what became of them: $(sort told | uniq -c | tr -s ' \n' ' ,')"
is "$worst" ok 'what was reported is true, and every failure was told'
isnt "$(wc -l <made)" 0 'there are backups'
ok 'most succeeded all the same' test "$(grep -c ' 0$' told)" -gt "$(grep -vc ' 0$' told)"

# ---- afterwards
direct list main --json >listed.json
labels listed.json >seen
is "$(sort -u made | comm -23 - seen)" '' 'no backup is lost'
is "$(sort -u made uncertain | comm -13 - seen)" '' 'nothing is listed that nobody made'
ok 'verify --deep finds nothing' direct verify main --deep
while read -r label; do
    rm -rf copy
    direct restore main --data-dir "$work/copy" --set "$label" --target immediate
    as_owner "$(cluster_bin copy)/pg_verifybackup" -n "$work/copy" || broken "$label is not whole"
done <seen
is "$worst" ok 'each that is listed restores'
rm -rf copy
ok 'all WAL is there' direct restore main --data-dir "$work/copy"
restore_start copy
is "$(load_sum copy)" "$(load_sum main)" 'no transaction is lost'
is "$(dump_sum copy)" "$(dump_sum main)" 'nor anything else'

# A lost reply is not a reason to write twice: only leases, and what the store is tried out with, are ever overwritten. (A
# tombstone that an expirer has deleted is made once more by another one that judged before that.)
effects=$(awk '$1 == "PUT" && $2 !~ /lease|\/tmp\/probe|\/expired$/ && ($3 == 200 || $4 ~ /^(lost_reply|silent_reply|truncated|half_reply)$/) {
    print $2 }' proxy/requests | sort | uniq -d)
is "$effects" '' 'nothing was overwritten'
done_testing
