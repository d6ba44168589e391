#!/bin/bash
# A standby is promoted, and the old primary goes on for a while: its last segments come into the
# archive too, in full, although the new timeline began inside of one. Standbys that follow the
# newest timeline must not replay them; who wants the old timeline must get them.
. "${0%/*}/../lib/pgbr.sh"

rows() {
    sql "$1" "select string_agg(n, ' ' order by n) from t"
}
has_rows() { # NAME ROWS
    [ "$(rows "$1")" = "$2" ]
}
copy_of_main() { # NAME LINE...: made by copying; to be started later
    as_owner cp -a main "$1"
    cluster_config "$1" "hot_standby = on" "wal_retrieve_retry_interval = 200ms" "archive_mode = off" \
        "restore_command = '$PGBR -c $config archive-get main %f %p'" "${@:2}"
    as_owner touch "$1/standby.signal"
}
same_position() {
    [ "$(sql next "select pg_last_wal_replay_lsn() >= '$(sql main 'select pg_current_wal_lsn()')'")" = t ]
}
archived() { # NAME of a file
    find repo -name "$1" -type f | grep -q .
}
told() { # NAME REGEX
    grep -qE "$2" "log/$1.log"
}

# As a cluster manager leaves it: settings of a member that a copy must not follow.
as_member() {
    cluster_config main "primary_conninfo = 'host=/nowhere'" "primary_slot_name = 'gone'" \
        "recovery_target_timeline = 'latest'" "port = 1"
}
of() { # NAME COMMAND...: as on the host of that cluster
    local name=$1
    shift
    sed "s|^state_dir: .*|state_dir: $work/state.$name|; s|^    data: .*|    data: $work/$name|
        s|^    connection: .*|    connection: \"$(connection "$name")\"|" "$config" >"$name.yml"
    chmod 600 "$name.yml"
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" "$name.yml"
    as_owner "$PGBR" -c "$work/$name.yml" "$@"
}

# What both sides of the split leave in the archive.
both_sides() { # SEGMENT
    local segment=$1
    ok 'the new primary is backed up' of next backup main --json
    like "$out" '"timeline": 2,' 'on its timeline'
    sql stays "select pg_promote()" >/dev/null
    of stays check main >stays.out 2>&1 || true
    like "$(cat stays.out)" 'PostgreSQL 15[.][0-9]+, timeline 3' \
        'right after a promotion the timeline is known, whatever the control file still says'
    wait_for 30 archived "$segment.partial"
    ok 'both files of the old segment are fetched' pgbr archive-get main "$segment" "$work/state/full"
    ok 'the partial one too' pgbr archive-get main "$segment.partial" "$work/state/partial"
    fails 1 . 'they are two files' cmp state/full state/partial
    ok 'a history file is fetched like WAL' pgbr archive-get main 00000002.history "$work/state/history"
    is "$(cut -f1 state/history)" 1 'and says where the timeline came from'
    as_owner mkdir other
    as_owner cp "state/partial" "other/$segment"
    fails 1 'stored already with other content' 'the same name with other content is refused' \
        of next archive-push main "$work/other/$segment"
    as_owner cp "state/full" "other/$segment"
    ok 'from whoever, with equal content it succeeds' of next archive-push main "$work/other/$segment"
    cluster_stop main
    ok 'a stopped server archives, by an absolute path' pgbr archive-push main "$work/main/pg_wal/$segment"
    ok 'and by a relative one' as_owner sh -c "cd main && '$PGBR' -c '$config' archive-push main pg_wal/$segment"
    cluster_start main
}

split() { # VERSION
    local v=$1 segment
    cluster_init main "$v" --wal-segsize=1
    as_member
    cluster_start main
    write_config --cluster "archive_get_timeout: 1s" main
    pgbr init main
    archive_on main
    sql main "create table t (n text)" "insert into t values ('a')"
    pgbr backup main
    sql main "select pg_create_physical_replication_slot('gone')" >/dev/null
    cluster_standby next main
    cluster_stop main
    copy_of_main follower
    copy_of_main streamer "primary_conninfo = '$(connection next)'" "primary_slot_name = ''"
    copy_of_main stays "recovery_target_timeline = '1'"
    copy_of_main current
    cluster_start main
    sql main "insert into t values ('b')"
    wait_for 30 same_position

    # the primary and the standby part inside this segment
    segment=$(sql main "select pg_walfile_name(pg_current_wal_insert_lsn())")
    sql next "select pg_promote()" >/dev/null
    wait_for 30 archived 00000002.history
    sql main "insert into t values ('lost')"
    wait_archived main
    sql main "insert into t values ('more')"
    wait_archived main
    ok "$v: the old primary's segment is archived" archived "$segment"
    fails 1 '' "$v: the new timeline's is not yet" archived "00000002${segment:8}"

    cluster_start follower
    cluster_start streamer
    ok "$v: the old segment is withheld from a standby" \
        wait_for 30 told follower "\"$segment\" is withheld from this standby: timeline 2 left timeline 1 at"
    is "$(rows follower)" 'a' "$v: which waits"
    sql next "insert into t values ('won')"
    ok "$v: one that streams from the new primary goes on at once" wait_for 30 has_rows streamer 'a b won'
    wait_archived next
    ok "$v: one that only reads the archive follows when there is a segment" \
        wait_for 30 has_rows follower 'a b won'

    cluster_start stays
    ok "$v: a standby told to stay on the timeline gets everything" \
        wait_for 30 has_rows stays 'a b lost more'
    cluster_start current '-c recovery_target_timeline=current'
    ok "$v: so does one told so on the command line" wait_for 30 has_rows current 'a b lost more'
    ok "$v: the old timeline is restored" pgbr restore main --data-dir "$work/copy" \
        --target-timeline 1 --target-action promote
    restore_start copy
    is "$(rows copy)" 'a b lost more' "$v: with everything that was on it"
    is "$(sql copy 'show archive_mode')" off "$v: and archives nothing"
    ok "$v: and the new one" pgbr restore main --data-dir "$work/copy2" --target-action promote
    restore_start copy2
    is "$(rows copy2)" 'a b won' "$v: with what is on that"
    [ "$v" != 15 ] || both_sides "$segment"
    for name in copy copy2 current stays follower streamer next main; do
        cluster_stop "$name" immediate
    done
    rm -rf copy copy2 current stays follower streamer next main repo state state.* other
}
for v in ${VERSIONS:-13 14 15 16 17 18}; do split "$v"; done
done_testing
