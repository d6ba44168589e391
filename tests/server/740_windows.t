#!/bin/bash
# 740_windows.t - what "pgbr windows" claims of random moments is what a restore then shows.
#
# A cluster with a load that notes its commits, full and incremental backups, a lost segment, a
# promotion, and a timeline that was left. MOMENTS=12 SEED=: "make windows MOMENTS=100" is the long
# run. A moment that is claimed is restored to and looked at; one that is not is tried with
# PostgreSQL itself, by hand, past pgbr's refusal.
. "${0%/*}/../lib/pgbr.sh"
MOMENTS=${MOMENTS:-12}
SEED=${SEED:-$RANDOM}
RANDOM=$SEED
diag "$MOMENTS moments, SEED=$SEED"

now_us() { echo $(($(date +%s%N) / 1000)); }
time_text() { # MICROSECONDS
    printf '%s.%06d+00\n' "$(date -u -d "@$(($1 / 1000000))" '+%F %T')" $(($1 % 1000000))
}
field() { # JSON PYTHON-EXPRESSION-OF-d
    python3 -c '
import json, sys, datetime
def us(text):
    if text is None: return 0
    t = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    e = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (t - e) // datetime.timedelta(microseconds=1)
d = json.loads(sys.argv[1])
print(eval(sys.argv[2]))' "$1" "$2"
}

# ---- the history

load() { # NAME SECONDS: single commits, a few a second, enough WAL for a segment every second
    local end=$((SECONDS + $2))
    while [ $SECONDS -lt $end ]; do
        # each in a transaction of its own
        sql "$1" "insert into t(payload) select string_agg(md5(random()::text), '') from generate_series(1, 3000)"
        sleep 0.0$((RANDOM % 9 + 1))
        [ $((RANDOM % 12)) -ne 0 ] || sql "$1" "begin; insert into t(payload) values ('lost'); rollback"
    done
}
segment_now() { sql "$1" "select pg_walfile_name(pg_current_wal_insert_lsn())"; }

cluster_init main 15 --wal-segsize=1
cluster_config main "track_commit_timestamp = on" "autovacuum = off" "wal_keep_size = 0"
cluster_start main
write_config main
pgbr init main
archive_on main
sql main "create table t(id serial primary key, payload text)" "alter table t alter payload set storage external"
began=$(now_us)
load main 1
pgbr backup main --type full
load main 2
pgbr backup main --type incr
load main 2
lost=$(segment_now main)
load main 2
wait_archived main
pgbr backup main --type full
load main 2
pgbr backup main --type incr
load main 1
wait_archived main

# The newest state is promoted elsewhere and goes on under the same name; the old one goes on, too.
pgbr restore main --data-dir "$work/second" --archive on
cluster_config second "archive_mode = on" "archive_command = '$(archive_command main)'"
restore_start second
promoted() { [ "$(sql second 'select pg_is_in_recovery()')" = f ]; }
wait_for 60 promoted
load main 2
sed "s|$work/main|$work/second|; s|port=$(port main)|port=$(port second)|" "$config" >"$work/second.yml"
chown "$run_as" "$work/second.yml" 2>/dev/null || true
chmod 600 "$work/second.yml"
load second 2
pgbr -c "$work/second.yml" backup main --type full
load second 2
wait_archived main
wait_archived second
ended=$(now_us)

file=$(find "$work/repo" -name "$lost*" -type f)
isnt "$file" '' 'the segment that is to be lost was archived'
mv "$file" "$work/lost"

# Commits on the way to the newest timeline, with their times.
sql second "select id, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000)::bigint from t order by 2" >"$work/commits"
sql main "select id, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000)::bigint from t order by 2" >"$work/commits_left"
expected_id() { # US [commits|commits_left]
    awk -F'|' -v t="$1" '$2 <= t { id = $1 } END { print id + 0 }' "$work/${2:-commits}"
}

fails 3 "HOLE from" 'a hole is a warning' pgbr windows main
like "$out" "WAL segment.* are missing|WAL segment \"$lost\" is missing" 'the hole names what is missing'
like "$out" '--target-timeline 1' 'the timeline that was left has a window of its own'
like "$out" 'no drill has passed yet' 'how long a restore takes is not invented'
all=$(pgbr windows main --json) || true
windows_of_second() { pgbr -c "$work/second.yml" windows main --json || true; }
is "$(field "$all" 'len([w for w in d["clusters"][0]["repositories"][0]["windows"] if not w["needs_timeline"]])')" 2 \
    'there are two windows, before and behind the hole'
is "$(field "$all" '(lambda r: (r["server_asked"], r["server_elsewhere"]))(d["clusters"][0]["repositories"][0]["rpo"])')" \
    '(False, True)' 'a server on the timeline that was left says nothing about the newest one'
is "$(field "$(windows_of_second)" 'd["clusters"][0]["repositories"][0]["rpo"]["nothing_committed_since"]')" \
    True 'the newest one is asked: all of it is archived'
sql second "insert into t(payload) values ('late')"
is "$(field "$(windows_of_second)" '(lambda r: (r["nothing_committed_since"], r["bytes_since"] > 0))(d["clusters"][0]["repositories"][0]["rpo"])')" \
    '(False, True)' 'what was committed since is told'

like "$(pgbr windows main || true)" "\"$lost\" is missing \(noticed 2" 'since when a gap is known is told'

# ---- moments

claim() { pgbr windows main --json --at "$1" 2>/dev/null || true; }
restored_state() { # the time of the last commit, and the last row
    sql copy "select coalesce((select (extract(epoch from timestamp) * 1000000)::bigint from pg_last_committed_xact() where xid <> 0), 0), (select coalesce(max(id), 0) from t where payload <> 'lost')"
}
drop_copy() {
    [ ! -e "$work/copy/postmaster.pid" ] || cluster_stop copy immediate || true
    rm -rf "$work/copy"
    : >"$work/log/copy.log"
}

# The plan of a restore says the same, and a restore shows it.
check_reached() { # US TEXT CLAIM
    local state plan
    plan=$(pgbr restore main --target-time "$2" --data-dir "$work/copy" --plan --json) || return 1
    [ "$(field "$plan" 'us(d["last_commit"]), d["backup"], d["timeline"]')" = \
        "$(field "$3" '(lambda a: (us(a["last_commit"]), a["backup"], a["timeline"]))(d["clusters"][0]["repositories"][0])')" ] || return 1
    pgbr restore main --target-time "$2" --data-dir "$work/copy" --target-action pause || return 1
    restore_start copy
    state=$(restored_state)
    echo "restored: $state; claimed: $(field "$3" 'us(d["clusters"][0]["repositories"][0]["last_commit"])'), $(expected_id "$1")"
    [ "$state" = "$(field "$3" 'us(d["clusters"][0]["repositories"][0]["last_commit"])')|$(expected_id "$1")" ]
}

# The newest backup before the moment is made ready without a target, then PostgreSQL is given it.
check_not_reached() { # US TEXT
    local label bin
    ! pgbr restore main --target-time "$2" --data-dir "$work/copy" || return 1
    label=$(field "$(pgbr list main --json)" "max([b['label'] for b in d['clusters'][0]['repositories'][0]['backups'] if us(b['stop']) <= $1], default='none')")
    if [ "$label" = none ]; then
        echo "no backup before"
        return 0
    fi
    pgbr restore main --set "$label" --target immediate --data-dir "$work/copy" || return 1
    sed -i '/^recovery_target/d' "$work/copy/postgresql.auto.conf"
    cat >>"$work/copy/postgresql.auto.conf" <<END
recovery_target_time = '$2'
recovery_target_timeline = 'latest'
END
    bin=$(cluster_bin copy)
    as_owner "$bin/pg_ctl" -D "$work/copy" -l "$work/log/copy.log" -W start \
        -o "-p $(port copy) -k $work/sock -c listen_addresses=''"
    wait_for 60 grep -Eq 'recovery ended before configured|recovery stopping|recovery complete' "$work/log/copy.log"
    ! grep -Eq 'recovery stopping|recovery complete' "$work/log/copy.log"
}

agreed=0 reached=0
hole=$(field "$all" '(lambda h: str(us(h["from"])) + " " + str(us(h["to"])))([h for h in d["clusters"][0]["repositories"][0]["holes"] if h["kind"] == "WAL missing"][0])')
read -r hole_from hole_to <<<"$hole"
edges=$(field "$all" '(lambda w: str(us(w[0]["from"])) + " " + str(us(w[-1]["to"])))([w for w in d["clusters"][0]["repositories"][0]["windows"] if not w["needs_timeline"]])')
read -r first_from last_to <<<"$edges"
for ((i = 0; i < MOMENTS; i++)); do
    case $i in
    0) us=$((hole_from - 1)) ;; # the very edges, first
    1) us=$hole_from ;;
    2) us=$((hole_to - 1)) ;;
    3) us=$hole_to ;;
    4) us=$((first_from - 1)) ;;
    5) us=$first_from ;;
    6) us=$((last_to - 1)) ;;
    7) us=$last_to ;;
    8) us=$((began - 500000)) ;;
    *) us=$((began - 1000000 + (RANDOM * 32768 + RANDOM) % ((ended - began + 2000000) / 1000) * 1000 + RANDOM % 1000)) ;;
    esac
    text=$(time_text "$us")
    got=$(claim "$text")
    is_reached=$(field "$got" 'd["clusters"][0]["repositories"][0]["reachable"]')
    echo "moment $i: $text: $is_reached"
    if [ "$is_reached" = True ]; then
        reached=$((reached + 1))
        if check_reached "$us" "$text" "$got"; then agreed=$((agreed + 1)); else diag "$text is claimed, but $(tail -3 "$work/log/copy.log")"; fi
    else
        if check_not_reached "$us" "$text"; then agreed=$((agreed + 1)); else diag "$text is not claimed, but reached"; fi
    fi
    # the windows say the same as the answer for this moment
    in_window=$(field "$all" "any(us(w['from']) <= $us < us(w['to']) for w in d['clusters'][0]['repositories'][0]['windows'] if not w['needs_timeline'])")
    [ "$in_window" = "$is_reached" ] || { diag "$text: windows say $in_window, --at says $is_reached"; agreed=$((agreed - 1)); }
    drop_copy
done
is "$agreed" "$MOMENTS" "of $MOMENTS moments ($reached reachable) each claim is what a restore shows"

# The timeline that was left: the edges of its window.
read -r left_from left_to <<<"$(field "$all" '(lambda w: str(us(w["from"])) + " " + str(us(w["to"])))([w for w in d["clusters"][0]["repositories"][0]["windows"] if w["needs_timeline"] and w["timeline"] == 1][0])')"
for us in "$left_from" $((left_to - 1)); do
    pgbr restore main --target-time "$(time_text "$us")" --target-timeline 1 --target-action pause --data-dir "$work/copy"
    restore_start copy
    state=$(restored_state)
    is "${state#*|}" "$(expected_id "$us" commits_left)" "at $us the timeline that was left has its own rows"
    drop_copy
done
fails 1 'cannot be reached' 'behind its last commit it has none' \
    pgbr restore main --target-time "$(time_text "$left_to")" --target-timeline 1 --data-dir "$work/copy"

# The segment comes back: so do the moments.
mv "$work/lost" "$file"
chown "$run_as" "$file"
ok 'without the hole nothing is wrong' pgbr windows main
unlike "$out" 'HOLE' 'and no hole is told'
done_testing
