# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
# killing.sh - a server under load whose pgbr is killed again and again, and what must hold then.
# To be read after pgbr.sh, whose words it uses.
#
#   CRASHING          the program that knows crash points; $PGBR is the usual one
#
#   roll N                    $rolled becomes a random number below N
#   points_of WHAT CMD...     runs CMD by the program that can be killed, and remembers the points
#                             that it passed, and how often, and how long it took, as those of WHAT;
#                             may be called again with another command
#   points_of_push            the same for archive_command
#   kill_during WHAT CMD...   the same, killed at one of these points or at some moment; $killed_at
#                             tells where, $status and $out how it went
#   missed_points WHAT...     the points of WHAT at which nothing was killed yet, as "WHAT:POINT"
#   kill_pushes N             the next N calls of archive_command are killed
#   must WHAT CMD...          CMD succeeds, else there is a problem; its output is $out
#   problem TEXT              something is not as it must be: the round has failed
#
#   server_start, load_begin, load_end, mark     the server "main", its clients, and a row that counts
#   repository_new            an empty repository, made by an init that is killed
#   backup_again [TYPE]       a backup by the usual program
#   check_acknowledged, check_listed             what pgbr has promised, is it there?
#   check_copy NAME           a restored server starts, and holds what was archived
#
# Files in $work/push: "acked" (what archive_command reported as archived: name and sum),
# "next" (where to kill it, one line per call), "closed" (archiving waits), "killed" (what was, where).

crashing=$work/bin/pgbr-crash
cp "${CRASHING:-$top/build/crash/pgbr}" "$crashing"
mkdir "$work/push" "$work/points" "$work/got"
: >"$work/push/acked" && install -m 666 /dev/null "$work/push/killed" && : >"$work/listed" && : >"$work/reported"
[ "$run_as" = "$(id -un)" ] || chown -R "$run_as" "$work"
adopted=0 marks=0 problems='' epoch=0 forced=''
declare -A took

roll() {
    rolled=$(((RANDOM * 32768 + RANDOM) % $1))
}
problem() {
    problems+="${problems:+; }$1"
    echo "PROBLEM: $1"
}
must() {
    local what=$1
    shift
    status=0
    out=$("$@" 2>&1) || status=$?
    echo "$out"
    [ "$status" -eq 0 ] || problem "$what: status $status: ${out: -600}"
}

# ---- killing

now_ms() {
    local now=$EPOCHREALTIME
    echo $((${now/./} / 1000))
}
points_of() {
    local what=$1 begun
    shift
    begun=$(now_ms)
    must "dry run of $what" as_owner env PGBR_CRASH_LOG="$work/points/$what.log" "$crashing" \
        -c "$config" "$@"
    took[$what]=$(($(now_ms) - begun))
    count_points "$what"
}
count_points() {
    sort "$work/points/$1.log" | uniq -c >"$work/points/$1"
}

# Where to kill: $kill_at is "name:nth", or empty and $kill_ms a moment. $forced is "what:name" of
# the next one, if it is not to be left to chance.
choose_point() {
    local names counts at
    kill_at='' kill_ms=0
    if [ "${forced%%:*}" = "$1" ]; then
        kill_at=${forced#*:}:1 forced=''
        return
    fi
    roll 4
    if [ "$rolled" -eq 0 ]; then
        roll $((${took[$1]} + 1))
        kill_ms=$rolled
        return
    fi
    mapfile -t names < <(awk '{print $2}' "$work/points/$1")
    mapfile -t counts < <(awk '{print $1}' "$work/points/$1")
    roll ${#names[@]}
    at=$rolled
    kill_at=${names[at]}
    # mostly soon: not every run passes a point as often as all dry runs together
    roll 2
    [ "$rolled" -eq 0 ] || counts[at]=1
    roll "${counts[at]}"
    kill_at+=:$((rolled + 1))
}
# "what:name" of all points at which nothing was killed so far.
missed_points() {
    local what
    for what in "$@"; do
        comm -23 <(awk '{print $2}' "$work/points/$what" | sort -u) \
            <(sed -n "s/^$what:\\([a-z][a-z-]*\\):[0-9]*\$/\\1/p" "$work/push/killed" | sort -u) |
            sed "s/^/$what:/"
    done
}
kill_during() {
    local what=$1
    shift
    choose_point "$what"
    status=0
    if [ -n "$kill_at" ]; then
        killed_at="$what at $kill_at"
        out=$(as_owner env PGBR_CRASH_AT="$kill_at" "$crashing" -c "$config" "$@" 2>&1) || status=$?
    else
        killed_at="$what after $kill_ms ms"
        out=$(as_owner timeout -s KILL "$((kill_ms / 1000)).$(printf %03d $((kill_ms % 1000)))" \
            "$crashing" -c "$config" "$@" 2>&1) || status=$?
    fi
    echo "---- $killed_at: status $status: $out"
    case $status in
    137)
        echo "$what:${kill_at:-moment}" >>"$work/push/killed"
        [[ $what == init || $kill_at != posix-torn:* ]] || drop_torn_object
        ;;
    0 | 3) killed_at+=' (over before)' ;;
    *) problem "$killed_at failed by itself with status $status: $out" ;;
    esac
}

# Half an object cannot be told from one that a disk has damaged: it is named, and left to a person.
drop_torn_object() {
    local keys
    out=$(pgbr verify main 2>&1) || true
    mapfile -t keys < <(sed -nE 's/^DAMAGED ([^:]+):.*/\1/p' <<<"$out")
    [ ${#keys[@]} -le 1 ] || problem "one object was torn, verify names ${keys[*]}"
    [ ${#keys[@]} -ne 1 ] || rm "$work/repo/${keys[0]}"
    killed_at+=" (${keys[*]})"
}

# What the server calls. A status above 125 would stop the archiver, so killed means 1.
write_archiver() {
    cat >"$work/bin/archive" <<END
#!/bin/bash
cd '$work/push' && [ ! -e closed ] || exit 1
how=
[ ! -s next ] || { read -r how <next; sed -i 1d next; }
cd - >/dev/null
sum=\$(sha256sum "\$1")
case \$how in
'') '$PGBR' -c '$config' archive-push main "\$1" ;;
log) PGBR_CRASH_LOG='$work/points/push.log' '$crashing' -c '$config' archive-push main "\$1" ;;
*:*) PGBR_CRASH_AT=\$how '$crashing' -c '$config' archive-push main "\$1" ;;
*) timeout -s KILL "\$how" '$crashing' -c '$config' archive-push main "\$1" ;;
esac
status=\$?
[ \$status -eq 0 ] || {
    [ \$status -ne 137 ] || echo "push:\$how" >>'$work/push/killed'
    exit 1
}
echo "\${1##*/} \${sum%% *}" >>'$work/push/acked'
END
    chmod 755 "$work/bin/archive"
}
next_pushes() { # LINE...
    printf '%s\n' "$@" >"$work/push/new"
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" "$work/push/new"
    mv "$work/push/new" "$work/push/next"
}
kill_pushes() {
    local n=$1 lines=()
    killed_at=''
    for (( ; n > 0; n--)); do
        choose_point push
        [ -n "$kill_at" ] || kill_at=0.$(printf %03d "$kill_ms")
        killed_at+="${killed_at:+, }push at $kill_at"
        lines+=("$kill_at")
    done
    next_pushes "${lines[@]}"
}
points_of_push() {
    next_pushes log
    mark
    wait_for 60 pushes_were_killed
    took[push]=30
    count_points push
}
pushes_were_killed() {
    [ ! -s "$work/push/next" ]
}

# ---- the server

server_start() {
    write_config --cipher 'correct horse' --repo "far: {path: $work/far, optional: yes}" \
        --cluster 'archive_push_ahead: 8' \
        --cluster 'archive_timeout: 20s' main
    sed -i "s|^    path: $work/repo|&\n    pack_size: 1MB\n    lease_heartbeat: 1s\n    lease_ttl: 5s|" \
        "$config"
    cp "$config" "$work/encrypted.yml"
    sed '/cipher/d' "$config" >"$work/plain.yml"
    cluster_init main 15 --wal-segsize=1
    cluster_config main "max_wal_size = 64MB" "wal_keep_size = 512MB" "autovacuum = off"
    write_archiver
    cluster_start main
    sql main 'create table mark (n int primary key)'
    pg_client pgbench -q -i -s 2 "$(connection main)"
    points_of init init main
    archive_on main "$work/bin/archive %p"
}
load_begin() {
    pg_client pgbench -n -c 2 -R 80 -T 100000 "$(connection main)" >"$work/log/pgbench" 2>&1 &
    load_pid=$!
}
load_end() {
    kill "$load_pid" 2>/dev/null || true
    wait "$load_pid" 2>/dev/null || true
}
archived_up_to() {
    [ -e "$work/main/pg_wal/archive_status/$1.done" ] || is_archived main "$1"
}
# After a mark is archived no restore may miss it.
mark() {
    local segment
    marks=$((marks + 1))
    sql main "insert into mark values ($marks)"
    segment=$(sql main "select pg_walfile_name(pg_current_wal_insert_lsn() - 1)")
    sql main "select pg_switch_wal()"
    wait_for 100 archived_up_to "$segment"
}

repository_new() {
    touch "$work/push/closed"
    sleep 0.2 # a push that is under way
    rm -rf "$work/repo" "$work/far"
    roll 2
    [ "$rolled" -eq 0 ] || rm -f "$work"/state/catalog.db* # which is made by init too
    : >"$work/push/acked" && : >"$work/listed" && : >"$work/reported"
    epoch=$((epoch + 1))
    if [ $((epoch % 3)) -eq 0 ]; then cat "$work/plain.yml"; else cat "$work/encrypted.yml"; fi >"$config"
    kill_during init init main
    must 'init after one that was killed' pgbr init main
    must 'init once more' pgbr init main
    rm "$work/push/closed"
}
backup_again() {
    local label bytes
    must 'backup' pgbr backup main --json --type "${1:-auto}"
    label=$(grep -o '"label": *"[^"]*' <<<"$out" | sed 's/.*"//')
    bytes=$(grep -o '"adopted_bytes": *[0-9]*' <<<"$out" | sed 's/.* //')
    adopted=$((adopted + ${bytes:-0}))
    echo "$label" >>"$work/reported"
}

# ---- what must hold

# Each acknowledged segment comes back, bit for bit.
check_acknowledged() {
    cat >"$work/bin/fetch" <<END
#!/bin/bash
# FROM: the first line of "acked" to check
n=0
while read -r name sum; do
    rm -f '$work/got/segment'
    '$PGBR' -q -c '$config' archive-get main "\$name" '$work/got/segment' || echo "\$name is missing (\$?)"
    [ "\$(sha256sum <'$work/got/segment')" = "\$sum  -" ] || echo "\$name differs"
    n=\$((n + 1))
done < <(tail -n +\$1 '$work/push/acked')
echo "checked \$n"
END
    chmod 755 "$work/bin/fetch"
    out=$(cd "$work/got" && as_owner "$work/bin/fetch" "$1" 2>&1) || true
    [[ $out =~ ^checked\ [0-9]+$ ]] || problem "acknowledged WAL: ${out:0:600}"
    acknowledged=$(($1 - 1 + ${out##* }))
}
labels() {
    grep -o '"label": *"[^"]*' <<<"$1" | sed 's/.*"//'
}
# What was reported is listed; what is listed is whole.
check_listed() {
    local label listing
    must 'list' pgbr list main --json
    listing=$(labels "$out")
    while read -r label; do
        [[ $listing == *"$label"* ]] || problem "backup $label was reported and is not listed"
    done <"$work/reported"
    for label in $listing; do
        grep -q "$label" "$work/listed" && continue
        must "verify of $label" pgbr verify main --deep --set "$label"
        echo "$label" >>"$work/listed"
    done
}
check_copy() {
    status=0
    restore_start "$1" >"$work/log/start" 2>&1 || status=$?
    cat "$work/log/start"
    if [ "$status" -ne 0 ]; then
        problem "the restored server does not start: $(tail -5 "$work/log/$1.log")"
        return
    fi
    out=$(sql "$1" "select max(n), count(*) from mark")
    [ "$out" = "$marks|$marks" ] || problem "$1 has marks $out, not $marks"
    out=$(sql "$1" "select (select sum(abalance) from pgbench_accounts) =
        (select coalesce(sum(delta), 0) from pgbench_history) and
        (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from pgbench_branches) and
        (select sum(abalance) from pgbench_accounts) = (select sum(tbalance) from pgbench_tellers)")
    [ "$out" = t ] || problem "$1 is not consistent"
}
