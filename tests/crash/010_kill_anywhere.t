#!/bin/bash
# pgbr is killed anywhere, again and again: what was acknowledged is there, what is listed restores,
# and whatever was begun can be begun again.
#
#   ROUNDS  how many times          SEED  of the first round; round N of SEED s is round 1 of s+N-1
# shellcheck disable=SC2154
TEST_LIMIT=$((1800 + 60 * ${ROUNDS:=5}))
. "${0%/*}/../lib/pgbr.sh"
. "$top/tests/crash/killing.sh"
: "${SEED:=$((RANDOM * 32768 + RANDOM))}"

# ---- rounds, each of another kind

# The next backup is not hindered, and uses what interrupted ones have stored.
round_backup() {
    local what='' type
    while :; do
        roll 2
        type=$([ "$rolled" -eq 0 ] && echo full || echo incr)
        kill_during backup backup main --type "$type"
        what+="${what:+, }$type $killed_at"
        roll 3
        [ "$rolled" -eq 0 ] || break
    done
    killed_at=$what
    mark
    backup_again "$type"
}
round_push() {
    local how
    roll 3
    how=$rolled
    # for a while the optional repository is away, and gets what it missed when it is back
    [ "$how" -eq 0 ] || mv "$work/far" "$work/far.away"
    [ "$how" -eq 2 ] || kill_pushes 2
    mark
    [ "$how" -eq 0 ] || mv "$work/far.away" "$work/far"
    [ "$how" -ne 2 ] || kill_pushes 2
    mark
    wait_for 100 pushes_were_killed
}
# Killed with everything it wrote still in memory: what was not synced may be lost.
lose_unsynced() {
    local file
    [ ! -e "$work/copy/global/pg_control" ] || return 0
    find "$work/copy" -type f -size +0 | shuf -n 5 --random-source=<(yes "$round") |
        while read -r file; do truncate -s $(($(stat -c %s "$file") / 2)) "$file"; done
}
startable() {
    "$(pg_version_dir 15)/bin/pg_controldata" "$work/copy"
}
round_restore() {
    local what='' options=() mode
    mark
    roll 3
    mode=$rolled
    case $mode in
    0) rm -rf "$work/copy" ;;
    1) [ ! -e "$work/copy" ] || options=(--delta) ;;
    2) [ ! -e "$work/copy" ] || options=(--force) ;;
    esac
    while :; do
        kill_during restore restore main --data-dir "$work/copy" "${options[@]}"
        what+="${what:+, }$killed_at ${options[*]}"
        roll 3
        if [ "$rolled" -eq 0 ] && [ "$status" -eq 137 ]; then
            lose_unsynced
            what+=" and what was unsynced lost"
        fi
        half_restored_cannot_start
        options=(--delta)
        roll 3
        [ "$rolled" -eq 0 ] || break
    done
    killed_at=$what
    must 'restore after one that was killed' pgbr restore main --data-dir "$work/copy" --delta
}
half_restored_cannot_start() {
    [ -e "$work/copy/PG_VERSION" ] && [ ! -e "$work/copy/global/pg_control" ] || return 0
    cluster_start copy >/dev/null 2>&1 && problem 'a half-restored directory starts'
    status=0
    out=$(pgbr restore main --data-dir "$work/copy" 2>&1) || status=$?
    [ "$status" -eq 1 ] || problem "a half-restored directory is not refused: $status $out"
}
round_catalog() {
    roll 2
    if [ "$rolled" -eq 0 ]; then
        kill_during catalog catalog rebuild
    else
        rm -f "$work"/state/catalog.db*
        kill_during list list main
    fi
    must 'list after a kill' pgbr list main --json
    before=$(labels "$out")
    must 'catalog rebuild' pgbr catalog rebuild
    must 'list' pgbr list main --json
    [ "$(labels "$out")" = "$before" ] || problem "list differs after a rebuild"
    mark
}

# Restored in place: what the server had not archived yet is not lost.
round_in_place() {
    local what=''
    load_end
    mark
    touch "$work/push/closed"
    for _ in 1 2 3; do
        marks=$((marks + 1))
        sql main "insert into mark values ($marks)" "select pg_switch_wal()"
    done
    cluster_stop main immediate
    while :; do
        kill_during in-place restore main --delta --archive on
        what+="${what:+, }$killed_at"
        roll 2
        [ "$rolled" -eq 0 ] || break
    done
    killed_at=$what
    must 'restore in place' pgbr restore main --delta --archive on
    rm "$work/push/closed"
    check_copy main
    load_begin
    mark
}
round_init() {
    repository_new
    mark
    backup_again
}

restore_newest() {
    rm -rf "$work/copy"
    pgbr restore main --data-dir "$work/copy"
}
one_round() { # KIND
    kind=$1
    "round_$kind"
    check_acknowledged $((acknowledged + 1))
    check_listed
    # the newest backup restores, in every round
    [ "$kind" = restore ] || must 'restore' restore_newest
    check_copy copy
    cluster_stop copy immediate || true
}
declare -A kind_of=([init]=init [backup]=backup [push]=push [restore]=restore [in-place]=in_place
    [catalog]=catalog [list]=catalog)
kinds=(backup backup backup backup backup backup backup backup push push push push restore restore
    restore restore restore in_place in_place catalog)

# ---- what there is to kill

server_start
pgbr init main # the archiver has waited for it
load_begin
points_of_push
mv "$work/far" "$work/away"
points_of_push
mv "$work/away" "$work/far"
points_of_push
points_of backup backup main --type full
points_of backup backup main --type incr
points_of list list main
points_of catalog catalog rebuild
mark
points_of restore restore main --data-dir "$work/copy"
points_of restore restore main --data-dir "$work/copy" --delta
cp "$work/points/restore" "$work/points/in-place"
took["in-place"]=${took[restore]}
acknowledged=0
is "$problems" '' 'nothing goes wrong where nothing is killed'

started=$SECONDS
for ((round = 1; round <= ROUNDS; round++)); do
    RANDOM=$((SEED + round - 1))
    problems='' begun=$(now_ms)
    roll 20
    kind=${kinds[rolled]}
    [ $((round % 10)) -ne 1 ] || kind=init
    one_round "$kind"
    is "$problems" '' "seed $((SEED + round - 1)): $killed_at ($(($(now_ms) - begun)) ms)"
done

# ---- what chance has left out, in a long run; some points are passed in some states only
if [ "$ROUNDS" -ge 50 ]; then
    for try in 1 2 3 4 5 6; do
        for point in $(missed_points "${!kind_of[@]}"); do
            forced=$point problems='' begun=$(now_ms)
            one_round "${kind_of[${point%%:*}]}"
            is "$problems" '' "try $try of $point: $killed_at ($(($(now_ms) - begun)) ms)"
        done
    done
    forced=''
    is "$(missed_points "${!kind_of[@]}")" '' 'there was a kill at every point'
fi
load_end

# ---- and in the end
problems=''
check_acknowledged 1
must 'verify' pgbr verify main --deep
is "$problems" '' "all $acknowledged segments archived since the last init, and all backups, are whole"
diag "$ROUNDS rounds from SEED=$SEED in $((SECONDS - started)) s; $adopted bytes adopted; $marks marks"
diag "$(sed -E 's/:[0-9]+$//; s/:0[.].*/:moment/' "$work/push/killed" | sort | uniq -c)"
done_testing
