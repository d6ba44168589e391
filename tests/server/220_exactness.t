#!/bin/bash
# Under a write load, each target brings back exactly the transactions it should. The judge is a
# ledger kept by the clients, ordered by what PostgreSQL itself says of its own WAL.
#   EXACT_TARGETS  how many random targets (6)     EXACT_SEED  to repeat a run
#   EXACT_SECONDS  how long each part of the load lasts (2)
#   EXACT_VERSION  of PostgreSQL, 15 or newer (15)
. "${0%/*}/../lib/pgbr.sh"
. "$lib/load.sh"

targets=${EXACT_TARGETS:-6} part=${EXACT_SECONDS:-2}
RANDOM=${EXACT_SEED:=$((RANDOM * 32768 + RANDOM))}
diag "EXACT_TARGETS=$targets EXACT_SEED=$EXACT_SEED"
export TZ=UTC

cluster_init main "${EXACT_VERSION:-15}" --wal-segsize=1
cluster_config main "track_commit_timestamp = on" "max_prepared_transactions = 20" \
    "wal_keep_size = 2GB" "max_wal_size = 64MB"
cluster_start main
write_config --cipher secret --cluster "rate_limit: 30MB" main
pgbr init main
archive_on main

# ---- the load, with restore points, and a backup in the middle of it
load_tables main
pgbr backup main # so that every target of the load has a backup before it
first=$(pgbr list main --json | grep -o '"label": *"[^"]*' | sed 's/.*"//')
sql main "select pg_create_restore_point('calm')"
load_start main 4
marks=0
mark() {
    sleep 0.3
    marks=$((marks + 1))
    sql main "select pg_create_restore_point('mark $marks')" "select pg_create_restore_point('twice')"
}
for ((until = SECONDS + part; SECONDS < until; )); do mark; done
ok 'a backup in the middle of the load' pgbr backup main
for ((until = SECONDS + part; SECONDS < until; )); do mark; done
load_stop main
sql main "create table afterwards (n int)" # a commit behind every target
wait_archived main
wal_events main >events
ledger main >steps

# ---- what the clients saw is what WAL says: from here on "events" is the truth about order
is "$(awk -F'[| ]' '
    NR == FNR { if ($2 == "C" || $2 == "A") { kind[$3] = $2; lsn[$3] = $1; time[$3] = $4 }; next }
    function number(text, part) {
        split(text, part, "/")
        return hex(part[1]) * 4294967296 + hex(part[2])
    }
    function hex(text, i, n) {
        for (n = i = 0; i++ < length(text); )
            n = n * 16 + index("0123456789ABCDEF", substr(text, i, 1)) - 1
        return n
    }
    $1 == "T" { before[$3] = number($4) }
    $1 == "C" && (kind[$3] != "C" || before[$3] > lsn[$3] || number($6) <= lsn[$3]) { print "C", $0 }
    $1 == "A" && kind[$3] != "A" { print "A", $0 }' events steps)" '' \
    'every commit that was acknowledged lies in WAL where the client saw it'
is "$(awk -F'|' '$1 == "C" { sub(/\+00$/, "", $4); sub(/ /, "T", $4); print $3, $4 }' steps |
    sed -E 's/(\.[0-9]+)?$/\1/' | sort >seen
awk '$2 == "C" { print $3, $4 }' events | sed -E 's/0+$//' | sort >stored
sed -E '/\./s/0+$//; s/\.$//' seen | sort | comm -23 - <(sed -E 's/\.$//' stored | sort))" '' \
    'with the time that it saw'
diag "$(load_count main) transactions, $(wc -l <events) records of WAL, $marks pairs of restore points"
awk -F'|' '$1 == "T" { print $3, $2 }' steps >ids

# ---- targets
# Prints the ids that are there when the records before number $1 have been replayed.
ids_before() {
    awk -v stop="$1" 'NR == FNR { id[$1] = $2; next }
        FNR >= stop { exit }
        $2 == "C" && $3 in id { print id[$3] }' ids events
}
nth_event() { # KIND REGEX: the number of a random record of this kind
    awk -v kinds="$1" '$2 ~ kinds { print NR }' events >numbers
    sed -n "$(((RANDOM * 32768 + RANDOM) % $(wc -l <numbers) + 1))p" numbers
}
field() { # NUMBER COLUMN
    awk -v n="$1" -v column="$2" 'NR == n { print $column; exit }' events
}
lsn_text() {
    printf '%X/%X' $(($1 >> 32)) $(($1 & 0xffffffff))
}
# Sets $option, $value, $exclusive, and $stop: the first record that is not replayed. What
# PostgreSQL does at each kind of target is in its recoveryStopsBefore() and recoveryStopsAfter().
choose_target() {
    local number offset compare
    exclusive=()
    [ $((RANDOM % 2)) -eq 0 ] || exclusive=(--exclusive)
    option=$1
    case $1 in
    time) # stops before the first commit or abort that is later, or, exclusive, not earlier
        number=$(nth_event '[CA]')
        offset=$((RANDOM % 3 - 1))
        value=$(date -u -d "$(field "$number" 4)Z" +%s%6N)
        value=$((value + offset))
        value=$(date -u -d "@$((value / 1000000)).$(printf %06d $((value % 1000000)))" \
            +'%Y-%m-%dT%H:%M:%S.%6N')
        compare='>'
        [ ${#exclusive[@]} -eq 0 ] || compare='>='
        stop=$(awk -v t="$value" '$2 ~ /[CA]/ && $4 '"$compare"' t { print NR; exit }' events)
        value="${value/T/ }+00"
        ;;
    lsn) # the first record that begins there or later: stops after it, or, exclusive, before it
        number=$(nth_event '[CA-]')
        value=$(($(field "$number" 1) - RANDOM % 2 * 8))
        stop=$(awk -v lsn="$value" '$1 >= lsn { print NR; exit }' events)
        [ ${#exclusive[@]} -gt 0 ] || stop=$((stop + 1))
        value=$(lsn_text "$value")
        ;;
    xid)
        stop=$(nth_event '[CA]')
        value=$(field "$stop" 3)
        [ ${#exclusive[@]} -gt 0 ] || stop=$((stop + 1))
        ;;
    name) # stops after the first of that name
        value="mark $((RANDOM % marks + 1))"
        exclusive=()
        # which one is first depends on where recovery begins
        [ $((RANDOM % 6)) -gt 0 ] || value=twice exclusive=(--set "$first")
        stop=$(awk -v n="${value/ /_}" '$2 == "P" && $3 == n { print NR + 1; exit }' events)
        ;;
    esac
}

kinds=(time lsn xid name)
began=$SECONDS
for ((n = 0; n < targets; n++)); do
    choose_target "${kinds[n % 4]}"
    how=(--data-dir "$work/copy" --target-action pause)
    [ $((RANDOM % 3)) -gt 0 ] || how=(--data-dir "$work/copy" --target-action promote)
    if [ -e copy ] && [ $((RANDOM % 3)) -gt 0 ]; then how+=(--delta); else rm -rf copy; fi
    name="$option $value ${exclusive[*]} (${how[*]:3})"
    ok "restored to $name" pgbr -q restore main "--target-$option" "$value" "${exclusive[@]}" "${how[@]}"
    restore_start copy
    is "$(load_sum copy)" "$(ids_before "$stop" | ids_sum)" "exactly what it should have: $name"
    is "$(sql copy 'select sum(amount), count(*) from account')" '0|200' 'and only whole transactions'
    cluster_stop copy immediate
    rm -rf copy/pg_wal.before-restore-*
done
diag "$targets targets in $((SECONDS - began)) s"
done_testing
