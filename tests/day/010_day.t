#!/bin/bash
# A day at a hundred times its speed: two hosts whose schedulers run full and incremental backups, expire, verify
# and drill for one cluster in one repository, under load, while schedulers, their children and the server are
# killed and paused at random. At the end every listed backup restores, nothing acknowledged is lost, the windows
# are what a restore finds, and no due time was done twice or forgotten.
#
#   HOURS    of the scheduler's clock (24)          SPEED   how many times as fast as the host's (100)
#   SEED     of what is killed, and when            MOMENTS how many of the windows' claims are tried (20)
# shellcheck disable=SC2154,SC1091
: "${HOURS:=24}" "${SPEED:=100}" "${MOMENTS:=20}" "${SEED:=$((RANDOM * 32768 + RANDOM))}"
seconds=$((HOURS * 3600 / SPEED))
TEST_LIMIT=$((seconds * 2 + 1200))
. "${0%/*}/../lib/pgbr.sh"
. "$lib/load.sh"
RANDOM=$((SEED % 32768))
hosts=(host1 host2)

# ---- a cluster, and what each host knows of it

cluster_init main 15 --wal-segsize=1
cluster_config main "track_commit_timestamp = on" "max_prepared_transactions = 20" \
    "max_wal_size = 128MB" "archive_timeout = 5s"
cluster_start main
# In the night to 2026-03-29 Berlin's clocks go from 02:00 to 03:00.
start=$(date -u -d '2026-03-28 12:00:00' +%s)
job() { # NAME RUN CRON [MORE]
    echo "  $1:"
    echo "    run: $2"
    echo "    cron: \"$3\""
    echo "    time_zone: Europe/Berlin"
    echo "    retry_delay: 60s"
    echo "    before: 'echo \"begin \$PGBR_JOB \$PGBR_DUE\" >>$work/hooks.$host'"
    echo "    after: 'echo \"end \$PGBR_JOB \$PGBR_DUE \$PGBR_STATUS\" >>$work/hooks.$host'"
    [ -z "${4:-}" ] || echo "    $4"
}
for host in "${hosts[@]}"; do
    write_config --cipher 'correct horse' --local 'retention_full: 3' --local 'lease_ttl: 30s' \
        --local 'lease_heartbeat: 5s' --local 'restore_pin: 10s' --cluster 'archive_timeout: 60s' \
        --cluster 'drill: {checks: {balance: {sql: "select sum(amount) from account", expect: 0}}}' main
    sed -i "s|^state_dir: .*|state_dir: $work/state-$host|" "$config"
    {
        echo "scheduler: {stop_wait: 20s}"
        echo "jobs:"
        job full "backup --type full" "0 */2 * * *"
        job incr "backup --type incr" "20,40 * * * *"
        job expire expire "50 * * * *"
        job verify "verify" "10 1-23/2 * * *"
        job drill "drill --target random" "30 */2 * * *"
    } >>"$config"
    cp -p "$config" "$work/$host.yml"
    install -m 666 /dev/null "$work/hooks.$host"
done
config=$work/host1.yml
pgbr init main
archive_on main "$PGBR -c $work/host1.yml archive-push main %p"
load_tables main
load_start main 2

# ---- a day

begun=$(date +%s)
PGBR_TEST_CLOCK=$start:$SPEED:$begun
export PGBR_TEST_CLOCK
pgbr scheduler next --count 1000 --json >due.json
declare -A scheduler
up() { # HOST
    as_owner "$PGBR" -c "$work/$1.yml" scheduler run >>"$work/log/$1" 2>&1 &
    scheduler[$1]=$!
}
# runuser stands between
daemon_of() { # HOST
    pgrep -f -- "^$PGBR -c $work/$1.yml scheduler run" | head -1
}
runs_of() {
    pgrep -f -- "^$PGBR -c $work/host[12].yml (backup|expire|verify|drill|scheduler job)"
}
# One of them, or the next that begins within some seconds.
a_run() {
    local list=()
    for _ in {1..100}; do
        mapfile -t list < <(runs_of)
        [ ${#list[@]} -eq 0 ] || break
        sleep 0.1
    done
    sleep "0.$((RANDOM % 10))"
    one_of "${list[@]}"
}
one_of() {
    local list=("$@")
    [ $# -eq 0 ] || echo "${list[RANDOM % $#]}"
}
server_falls() {
    cluster_stop main immediate
    sleep "$((RANDOM % 3))"
    cluster_start main
    load_stop main
    load_start main 2
    echo "server killed"
}
what_happens() {
    local host pid
    host=$(one_of "${hosts[@]}")
    case $((RANDOM % 8)) in
    0 | 1)
        kill -KILL "$(daemon_of "$host")" || true
        wait "${scheduler[$host]}" || true
        sleep "$((RANDOM % 6))"
        up "$host"
        echo "$host: killed"
        ;;
    2)
        kill -TERM "$(daemon_of "$host")" || true
        wait "${scheduler[$host]}" || true
        up "$host"
        echo "$host: stopped"
        ;;
    3 | 4 | 5)
        pid=$(a_run)
        [ -z "$pid" ] || echo "killed $(tr '\0' ' ' <"/proc/$pid/cmdline")" || true
        [ -z "$pid" ] || kill -KILL "$pid" || true
        ;;
    6)
        pid=$(a_run)
        [ -z "$pid" ] || { kill -STOP "$pid" && sleep "$((2 + RANDOM % 5))" && kill -CONT "$pid" && echo "paused $pid"; } || true
        ;;
    7) [ $((RANDOM % 3)) -ne 0 ] || server_falls ;;
    esac
}
diag "HOURS=$HOURS SPEED=$SPEED SEED=$SEED: $seconds seconds"
for host in "${hosts[@]}"; do up "$host"; done
end=$((SECONDS + seconds))
while [ $SECONDS -lt $end ]; do
    sleep "$((2 + RANDOM % 12))"
    what_happens >>"$work/happened"
done
diag "$(cut -d' ' -f1-2 "$work/happened" | grep -E '^(host|killed|paused|server)' | sed 's/host[12]: //; s/:.*//' | sort | uniq -c | tr -s ' \n' ' ')"

# ---- what holds at its end

settled() {
    [ -z "$(runs_of)" ]
}
wait_for 180 settled
declare -A stopped
for host in "${hosts[@]}"; do
    stopped[$host]=$((start + ($(date +%s) - begun) * SPEED))
    ok "$host: the scheduler stops in order" kill -TERM "$(daemon_of "$host")"
    wait "${scheduler[$host]}" || true
done
unset PGBR_TEST_CLOCK
load_stop main
wait_archived main

# A due time that was done is not done again by the same host.
doubled() {
    awk '$1 == "end" && ($4 == 0 || $4 == 3) && seen[$2 $3]++ { print $2, $3 }' "$work/hooks.$1"
}
for host in "${hosts[@]}"; do
    is "$(doubled "$host")" '' "$host: nothing was done twice"
done
# Every due time was taken up, or told as made up for; and a ledger that lacks one is seen to lack it.
forgotten() { # HOST LOG
    local others=("$work"/hooks.*)
    python3 "$lib/../day/due.py" due.json "${stopped[$1]}" "$2" "$work/state-$1/catalog.db" "${others[@]/"$work/hooks.$1"/\/dev\/null}"
}
for host in "${hosts[@]}"; do
    is "$(forgotten "$host" "$work/log/$host")" '' "$host: no due time was forgotten"
done
noticed=0 taken_out=0
mapfile -t taken_up < <(sed -n 's/.* job incr: .* due at \(.*\)$/\1/p' "$work/log/host1" | sort -u)
for due in "${taken_up[@]}"; do
    grep -v "job incr: .* due at $due" "$work/log/host1" >short.log
    taken_out=$((taken_out + 1))
    [ -z "$(forgotten host1 short.log)" ] || noticed=$((noticed + 1))
done
diag "of $taken_out due times taken out of the ledger one by one, $noticed are noticed"
ok "a due time that is forgotten is noticed" test "$noticed" -gt $((taken_out / 2))
for name in full incr expire verify drill; do
    [ "$HOURS" -ge 4 ] || break # not all of them have fallen due
    done_runs=$(cat "$work"/hooks.host* | grep -c "^end $name .* [03]$" || true)
    isnt "$done_runs" 0 "$name: it was done"
    diag "$name: $(cat "$work"/hooks.host* | grep -c "^begin $name ") begun, $done_runs done"
done
ok "verify --deep finds nothing" pgbr -q verify main --deep
pgbr list main --json >list.json
labels() {
    python3 -c 'import json, sys
for cluster in json.load(open("list.json"))["clusters"]:
    for repo in cluster["repositories"]:
        for b in repo["backups"]:
            print(b["label"], b["stop_lsn"])'
}
labels >listed
diag "$(wc -l <listed) backups are listed, $(load_count main) transactions were acknowledged"
ledger main >told
while read -r label _; do
    rm -rf copy
    ok "$label restores" pgbr -q restore main --set "$label" --target immediate --target-action promote \
        --data-dir "$work/copy"
    restore_start copy
    is "$(sql copy 'select sum(amount) from account')" 0 "$label: no half transaction"
    cluster_stop copy
done <listed
rm -rf copy
ok "the latest state restores" pgbr -q restore main --data-dir "$work/copy"
restore_start copy
sql copy "select id from ledger order by id" | sort >there
awk -F'|' '$1 == "C" { print $2 }' told | sort >acknowledged
is "$(comm -13 there acknowledged | wc -l)" 0 "nothing acknowledged is lost"
cluster_stop copy

# ---- the windows: what is claimed of random moments against what a restore to them finds

field() { # JSON PYTHON-EXPRESSION-OF-r, the repository
    python3 -c 'import json, sys, datetime
def us(text):
    t = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (t - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
r = json.loads(sys.argv[1])["clusters"][0]["repositories"][0]
print(eval(sys.argv[2]))' "$1" "$2"
}
known() { # US: what was acknowledged and committed by then
    # an acknowledgement is "C|id|xid|time|lsn", the time in the zone of the client, UTC
    python3 -c 'import sys, datetime
for line in open("told"):
    f = line.rstrip("\n").split("|")
    if f[0] == "C" and len(f) == 5:
        t = datetime.datetime.fromisoformat(f[3] + ":00" if f[3][-3] in "+-" else f[3])
        if (t - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1) <= int(sys.argv[1]):
            print(f[1])' "$1" | sort
}
agrees() { # US
    local text claim state
    text=$(date -u -d "@$(($1 / 1000000))" '+%F %T')$(printf '.%06d+00' $(($1 % 1000000)))
    claim=$(pgbr windows main --json --at "$text") || true
    echo "$text: $(field "$claim" 'r["reachable"], r.get("last_commit")')"
    rm -rf copy
    if [ "$(field "$claim" 'r["reachable"]')" != True ]; then
        pgbr restore main --target-time "$text" --data-dir "$work/copy" || return 0
        return 1
    fi
    reachable=$((reachable + 1))
    pgbr -q restore main --target-time "$text" --target-action pause --data-dir "$work/copy" || return 1
    restore_start copy
    state=$(sql copy "select (extract(epoch from timestamp) * 1000000)::bigint from pg_last_committed_xact()")
    sql copy "select id from ledger" | sort >there
    known "$1" >wanted
    cluster_stop copy
    echo "last commit: $state, claimed $(field "$claim" 'us(r["last_commit"])')"
    [ "$state" = "$(field "$claim" 'us(r["last_commit"])')" ] || return 1
    # nothing that was committed by then is missing, and nothing later is there
    [ -z "$(comm -13 there wanted)" ] && [ -z "$(comm -12 there <(comm -13 wanted acknowledged))" ]
}
all=$(pgbr windows main --json) || true
read -r from to <<<"$(field "$all" 'str(us(r["windows"][0]["from"])) + " " + str(us(r["windows"][-1]["to"]))')"
agreed=0 reachable=0
for ((i = 0; i < MOMENTS; i++)); do
    us=$((from - 5000000 + (RANDOM * 32768 + RANDOM) * 1000 % (to - from + 10000000)))
    if agrees "$us"; then agreed=$((agreed + 1)); else diag "at $us: $(tail -3 "$work/log/copy.log")"; fi
done
is "$agreed" "$MOMENTS" "of $MOMENTS moments ($reachable reachable) each claim is what a restore shows"
done_testing
