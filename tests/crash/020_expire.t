#!/bin/bash
# An expirer is killed at each of its points: whatever is listed then is whole, nothing that stays is
# touched, and the next run finishes what was begun.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"

crashing=$work/bin/pgbr-crash
cp "${CRASHING:-$top/build/crash/pgbr}" "$crashing"

settings=(--local "retention_full: 2" --local "expire_auto: n" --local "resume_window: 1 s"
    --local "lease_ttl: 3 s" --local "lease_heartbeat: 1 s" --local "pack_size: 256 KiB")
cluster_init main 15 --wal-segsize=1
cluster_start main
write_config "${settings[@]}" main
pgbr init main
archive_on main

labels() {
    pgbr list main --json | sed '/"hidden": \[/,/\]/d' | grep -o '"label": "[^"]*' | cut -d'"' -f4 |
        sort -u
}

# WAL that is worth summing up: 16 segments from a multiple of 16 on
many_segments() {
    for _ in {1..34}; do
        sql main "select pg_logical_emit_message(false, 'a', 'b')" "select pg_switch_wal()"
    done
    wait_archived main
}

# Four backups, of which the first is held, and one that was killed; none in the second of another, so
# that labels are in the order of time
pgbr backup main --type full
pgbr hold main "$(labels)" --note 'kept'
sleep 1
pgbr backup main --type full
many_segments
pgbr expire main
as_owner env PGBR_CRASH_AT=backup-stored "$crashing" -c "$config" backup main --type full || true
wait_archived main
sleep 1
pgbr backup main --type full
sleep 1
pgbr backup main --type full
many_segments
cluster_stop main
sleep 5 # the lease of the killed one is over, and nobody adopts it any more
all=$(labels)
stay=$(sed 2d <<<"$all")
is "$(wc -l <<<"$all")" 4 'there are four backups'
is "$(find repo/main/data -mindepth 1 -maxdepth 1 | wc -l)" 5 'and what a killed one left'
cp -a repo whole

expire() {
    as_owner env "$@" "$crashing" -c "$config" expire main
}
# WAL behind the third backup, in one sum
wal_that_stays() {
    find repo/main/wal -type f -not -path '*/sum/*' | sort | tail -4 | xargs -d '\n' sha256sum | sha256sum
}
wal=$(wal_that_stays)
for _ in 1 2 3 4 5; do # where all is slow a heartbeat comes between, which another time does not
    rm -rf repo "$work/bin/points" && cp -a whole repo
    expire PGBR_CRASH_LOG="$work/bin/points" >done.txt
    grep -q lease-renewed "$work/bin/points" || break
done
is "$(labels)" "$stay" 'not killed, it leaves the held one and the newest two'
like "$(cat done.txt)" '1 interrupted backup,' 'and removes what the killed one left'
for point in expire-wal-sum sum-merged sum-stored; do
    ok "it comes by $point" grep -qx "$point" "$work/bin/points"
done
files=$(find repo/main/backup repo/main/data repo/main/wal -type f | sort)

# After a kill at this point, and after the next run.
killed_at() {
    local status=0 label now
    rm -rf repo && cp -a whole repo
    expire PGBR_CRASH_AT="$1" || status=$?
    [ "$status" -eq 137 ] || { echo "$1 was not reached: $status" && return 1; }
    now=$(labels)
    for label in $stay; do grep -q "$label" <<<"$now" || { echo "$label is lost" && return 1; }; done
    # a mark that was cut off counts all the same, but verify names it
    pgbr verify main --deep || [[ $1 == posix-torn* ]] || return 1
    rm -f repo/main/lease/*-G-* # as if it were old
    pgbr expire main || return 1
    [ "$(labels)" = "$stay" ] || return 1
    [ "$(wal_that_stays)" = "$wal" ] || return 1
    # what a killed one marked is left for a later run, so nothing but the same files may be there
    [ "$(find repo/main/backup repo/main/data repo/main/wal -type f | sort)" = "$files" ]
}
points=$(sort bin/points | uniq -c)
while read -r count point; do
    ok "killed at $point" killed_at "$point"
    [ "$count" -lt 2 ] || ok "killed at the last of $count $point" killed_at "$point:$count"
done <<<"$points"

# A restore sleeps between its plan and its lease; the backup that it chose is removed meanwhile.
rm -rf repo && cp -a whole repo
gone=$(sed -n 2p <<<"$all")
as_owner env PGBR_STOP_AT=restore-planned "$crashing" -c "$config" restore main --set "$gone" \
    --target immediate --data-dir "$work/copy" >slept.txt 2>&1 &
sleeper=$!
asleep() {
    pid=$(pgrep -f "^$crashing .* restore main") && [ "$(ps -o state= "$pid")" = T ]
}
wait_for 30 asleep
pgbr expire main
# shellcheck disable=SC2046
kill -CONT $(children "$sleeper") "$sleeper" # runuser sleeps with it
status=0
wait "$sleeper" || status=$?
is "$status" 1 'a restore whose backup went away while it slept fails'
like "$(cat slept.txt)" "backup $gone was expired and removed since it was chosen" 'and says so'
ok 'without having touched the directory' test ! -e copy
done_testing
