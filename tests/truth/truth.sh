# shellcheck shell=bash
# shellcheck disable=SC2154
#
# truth.sh - whether restored incremental backups hold, page by page, what replay of the whole WAL makes of an
# older copy. To be read after pgbr.sh:
#
#     truth_round MAJOR SEED BACKUPS      one server, its load, a full backup and so many others
#     truth_proof                         behind it: what the judges say when pages are stale
#     truth_end
#
# The reference is a copy that cp made between the server's own start and stop of a backup, before the full one,
# and that is then recovered from one position to the next by the archived WAL alone. For each backup the server
# makes a checkpoint and notes a position behind it; backup and reference are recovered up to there and shut down
# by PostgreSQL itself (recovery_target_action = shutdown), which the checkpoint allows to write all pages. Then
# pages.py compares them, and the promoted copy is judged by amcheck and pg_visibility.

truth=$top/tests/truth
rates=(100MB 20MB 12MB) # of backups, so that the load gets between what they copy
cp "$truth/pages.py" "$truth/churn.py" "$truth/judge.sql" "$work/bin/"

# ---- chance

chance() { # OF: true in one of so many cases; repeatable
    [ $((RANDOM % $1)) -eq 0 ]
}
one_of() { # VARIABLE WORD...; not printed, for a subshell has a chance of its own
    local i=$((RANDOM % ($# - 1) + 2))
    printf -v "$1" %s "${!i}"
}

# ---- the load

truth_load_start() { # NAME MAJOR SEED WORKERS
    local n # from 100 on they have a task of their own
    load_pids=() load_runs=$((${load_runs:-0} + 1))
    for n in $(seq 0 $(($4 - 1))) 100 101 102; do
        PGOPTIONS='-c client_min_messages=warning' /usr/lib/postgresql/15/bin/psql -XAtq \
            -d "$(connection "$1")" -o /dev/null 2>>"$work/churn.errors" 5>&- 6>&- \
            < <(exec python3 "$work/bin/churn.py" work "$2" "$3.$load_runs" "$n" 2>/dev/null 5>&- 6>&-) &
        load_pids+=($!)
    done
}
truth_load() { # STOP|CONT|KILL
    [ ${#load_pids[@]} -eq 0 ] || kill -"$1" "${load_pids[@]}" 2>/dev/null || true
}
truth_load_end() {
    truth_load KILL
    [ ${#load_pids[@]} -eq 0 ] || wait "${load_pids[@]}" 2>/dev/null || true
    load_pids=()
}

# Databases are made and moved by one command after the other, and not while a copy is made (pgbr refuses a
# backup that such a move hit: 205_moving_databases.t).
#
# One moves away and comes back, changed, to the files that a backup has of it; another is dropped and made again
# with the same number, and so the same names of files: of neither tells a block in the WAL.
truth_databases() { # NAME MAJOR COUNT
    local i name where strategy=''
    for ((i = 0; i < $3; i++)); do
        name=d$((RANDOM % 3))
        one_of where pg_default one two
        [ "$2" -lt 15 ] || one_of strategy 'strategy wal_log' 'strategy file_copy'
        case $((RANDOM % 6)) in
        0 | 1) sql "$1" "create database $name template d $strategy tablespace $where" ;;
        2) sql "$1" "alter database $name set tablespace $where" ;;
        3) sql "$1" "drop database $name" ;;
        4)
            sql "$1" "alter database moving set tablespace two"
            database_changes "$1/moving"
            sql "$1" "alter database moving set tablespace one"
            ;;
        5)
            [ "$2" -lt 15 ] || sql "$1" "drop database again" "create database again oid 20001 template d $strategy"
            name=again
            ;;
        esac || true
        chance 2 || database_changes "$1/$name" || true
        sleep 0.3
    done
}
database_changes() { # NAME/DATABASE
    sql "$1" "update t set m = md5(m) where n % 100 = 1" "create table made$RANDOM as select * from t"
}

# A transaction that makes a table before a backup and empties it behind it: its own table is cut off in place, and
# so is the hash index, which is then made longer by pages that no WAL tells of.
in_place_begin() { # NUMBER
    rm -f in_place.ready
    exec 7> >(exec /usr/lib/postgresql/15/bin/psql -XAtq -d "$(connection main)" >/dev/null 2>&1 5>&- 6>&-)
    cat >&7 <<END
begin;
create table in_place$1 (n int);
create index on in_place$1 using hash (n);
insert into in_place$1 select generate_series(1, 40000);
\! touch '$work/in_place.ready'
END
    wait_for 60 test -e in_place.ready
}
in_place_end() { # NUMBER
    rm -f in_place.ready
    cat >&7 <<END
truncate in_place$1;
insert into in_place$1 select generate_series(1, 12000);
commit;
\! touch '$work/in_place.ready'
END
    exec 7>&-
    wait_for 60 test -e in_place.ready
}

# ---- the reference

reference_session() { # MAJOR: what psql is to do
    if [ "$1" -lt 15 ]; then
        echo "select pg_start_backup('reference', true, false);"
        echo "\\! cp -a '$work/main' '$work/reference' 2>>'$work/copy.errors'"
        echo "select labelfile from pg_stop_backup(false, false) \\g '$work/label'"
    else
        echo "select pg_backup_start('reference', true);"
        echo "\\! cp -a '$work/main' '$work/reference' 2>>'$work/copy.errors'"
        echo "select labelfile from pg_backup_stop(false) \\g '$work/label'"
    fi
}
reference_make() { # MAJOR
    local link oid
    : >"$work/copy.errors"
    reference_session "$1" | pg_client psql -XAtq -v ON_ERROR_STOP=1 -d "$(connection main)"
    # files that went away meanwhile; whatever else is not expected
    ! grep -v 'No such file or directory' "$work/copy.errors"
    as_owner rm -rf "$work/reference/postmaster.pid" "$work/reference/pg_wal"
    as_owner mkdir -p "$work/reference/pg_wal/archive_status"
    for link in "$work"/reference/pg_tblspc/*; do
        oid=${link##*/}
        cp -a "$(readlink "$link")" "$work/reference.$oid" 2>>"$work/copy.errors" || true
        ln -sfn "$work/reference.$oid" "$link"
    done
    install -o "$run_as" -m 600 "$work/label" "$work/reference/backup_label"
    as_owner touch "$work/reference/recovery.signal"
}

# ---- recovery up to a position

position() { # sets $lsn: behind a checkpoint, and archived
    truth_load STOP
    sql main checkpoint
    lsn=$(sql main "select pg_current_wal_insert_lsn()")
    wait_archived main
}
recover() { # NAME OPTION...: until PostgreSQL shuts down at its target, having written all pages
    local name=$1 bin status=0
    shift
    bin=$(cluster_bin "$name")
    [ -e "$work/log/$name.log" ] || install -o "$run_as" /dev/null "$work/log/$name.log"
    as_owner timeout 300 "$bin/postgres" -D "$work/$name" -p "$(port "$name")" -k "$work/sock" \
        -c listen_addresses= -c hot_standby=off -c log_checkpoints=on -c archive_mode=off \
        -c recovery_target_action=shutdown "$@" >"$work/log/$name.log" 2>&1 || status=$?
    if [ "$status" -ne 0 ] || ! sed '1,/recovery stopping after/d' "$work/log/$name.log" |
        grep -q 'recovery restart point at'; then
        return 1
    fi
}
recover_reference() { # LSN TIMELINE
    recover reference -c "restore_command=$PGBR -c $config archive-get main %f %p" \
        -c recovery_target_lsn="$1" -c recovery_target_timeline="$2"
}

# ---- the judges

compare_pages() { # COPY
    rm -f orphans
    python3 "$work/bin/pages.py" compare "$work/reference" "$work/$1" ${crashed:+orphans}
}
# A crash leaves files of transactions whose WAL it took with it: an index is written past the WAL that tells of it.
# They belong to nothing.
judge_orphans() { # NAME
    local path parts database oid
    while read -r path; do
        IFS=/ read -ra parts <<<"$path"
        oid=0
        [ "${parts[0]}" != global ] || return 1 # not looked into: it has to be by hand
        [ "${parts[0]}" != pg_tblspc ] || oid=${parts[1]}
        database=$(sql "$1" "select datname from pg_database where oid = ${parts[-2]}")
        [ -n "$database" ] || continue
        [ -z "$(sql "$1/$database" "select pg_filenode_relation($oid, ${parts[-1]%%[._]*})")" ] || return 1
    done <orphans
}
judge_database() { # NAME/DATABASE
    local said
    said=$(pg_client psql -XAtq -v ON_ERROR_STOP=1 -d "$(connection "${1%%/*}" "${1#*/}")" \
        -f "$work/bin/judge.sql" 2>&1) && [ -z "$said" ] && return
    echo "$1: $said"
    return 1
}
judge_databases() { # NAME
    local database gid status=0
    for gid in $(sql "$1" "select gid from pg_prepared_xacts"); do
        sql "$1" "commit prepared '$gid'" # their locks are in the way
    done
    for database in $(sql "$1" "select datname from pg_database where datallowconn order by 1"); do
        judge_database "$1/$database" || status=1
    done
    return $status
}
remove_copy() {
    rm -rf "$work/copy" "$work"/copy.ts.*
}
tablespace_maps() { # NAME: the options of a restore, in $maps
    maps=(--tablespace-map "one=$work/$1.ts.one" --tablespace-map "two=$work/$1.ts.two")
}
restore_copy() { # LABEL LSN TIMELINE
    local maps
    tablespace_maps copy
    remove_copy
    pgbr -q restore main --set "$1" --target-lsn "$2" --target-timeline "$3" --target-action shutdown \
        --data-dir "$work/copy" "${maps[@]}"
}
promote_copy() {
    cluster_start copy -c recovery_target_action=promote -c hot_standby=off
    wait_for 60 recovery_over copy
}
judge_backup() { # NAME LABEL LSN TIMELINE
    local sums
    ok "$1 is restored to $3" restore_copy "$2" "$3" "$4"
    ok "$1 is recovered to it" recover copy
    ok "$1: no page differs from the reference" compare_pages copy
    sums=$(tail -1 <<<"$out")
    diag "$sums"
    [[ ! $sums =~ ^([0-9]+)\ pages ]] || pages_compared=$((pages_compared + BASH_REMATCH[1]))
    promote_copy
    if [ -s orphans ]; then
        diag "$(wc -l <orphans) files that a crash left"
        ok "$1: files that a crash left belong to nothing" judge_orphans copy
    fi
    ok "$1: amcheck and pg_visibility find nothing" judge_databases copy
    cluster_stop copy
}

# ---- a standby

standby_make() {
    local maps
    tablespace_maps standby
    pgbr -q restore main --standby --archive on --data-dir "$work/standby" "${maps[@]}"
    cluster_config standby "primary_conninfo = '$(connection main)'" "wal_retrieve_retry_interval = 500ms"
    cluster_start standby
    sed "s|^state_dir: .*|state_dir: $work/state2|; s|^    data: .*|    data: $work/standby|
        s|^    connection: .*|    connection: \"$(connection standby)\"\n    primary: \"$(connection main)\"|" \
        "$config" >"$work/standby.yml"
    chmod 600 "$work/standby.yml"
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" "$work/standby.yml"
}
standby_has() { # LSN
    [ "$(sql standby "select pg_last_wal_replay_lsn() >= '$1'")" = t ]
}
# A backup of a standby begins at its last restartpoint, which is here behind the last backup.
standby_follows() {
    sql main checkpoint
    wait_for 60 standby_has "$(sql main "select pg_current_wal_flush_lsn()")"
}
# The primary is lost in the middle of its work; the standby takes its name and its place.
standby_takes_over() {
    local name
    wait_for 60 standby_has "$lsn"
    cluster_stop main immediate
    truth_load_end
    # what it had not archived is archived for it, as Patroni does: else the reference could not follow
    for name in $(cd main/pg_wal/archive_status && find . -name '*[0-9A-F].ready' | sort); do
        name=${name#./}
        pgbr archive-push main "$work/main/pg_wal/${name%.ready}"
    done
    sql standby "select pg_promote()"
    cluster_stop standby
    mv "$work/main" "$work/lost"
    mv "$work/standby" "$work/main"
    cluster_start main
}

# ---- a round

backup_label=''
backup_to_file() {
    as_owner "$PGBR" -c "$1" -q backup main --type "$2" --json >"$work/made"
}
take_backup() { # TYPE [CONFIG]: sets $backup_label
    ok "a backup: $1${2:+ of the standby}" backup_to_file "${2:-$config}" "$1"
    backup_label=$(grep -o '"label": *"[^"]*' "$work/made" | sed 's/.*"//')
    backup_made=$(python3 -c 'import json, sys
v = json.load(open(sys.argv[1]))
print(v["type"], "found by", v["changes_found"], "of a standby" if v["from_standby"] else "",
      "%.1f MB read, %.1f MB stored" % (v["read_bytes"] / 1e6, v["stored_bytes"] / 1e6))' "$work/made")
    diag "backup $backup_label: $backup_made"
}
# A segment between the last backup and the next is nowhere to be found, and no sum stands for it.
wal_hide() {
    local segment
    segment=$(sql main "select pg_walfile_name(pg_current_wal_insert_lsn())")
    sql main "select pg_switch_wal()" checkpoint
    wait_archived main
    rm -f "main/pg_wal/$segment"
    find repo/*/wal -type f \( -name "*$segment*" -o -path '*/sum/*' \) >hidden.names
    wal_move '' .hidden
}
wal_return() {
    wal_move .hidden ''
}
wal_move() { # FROM TO: ends of names that nobody reads, or none
    local file
    while read -r file; do
        mv "$file$1" "$file$2"
    done <hidden.names
}
timeline() {
    sql main "select ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int"
}
judge_now() { # NAME
    position
    local tli
    tli=$(timeline)
    ok "$1: the reference is recovered to $lsn" recover_reference "$lsn" "$tli"
    judge_backup "$1" "$backup_label" "$lsn" "$tli"
}

truth_server() { # MAJOR SEED
    local checksums segments buffers compress hints level rate name
    one_of checksums --data-checksums --data-checksums --no-data-checksums
    one_of segments 1 1 4 16
    one_of buffers 2MB 16MB 64MB
    one_of compress on off
    one_of hints on off
    one_of level replica logical
    one_of rate "${rates[@]}"
    diag "PostgreSQL $1, seed $2: $checksums, segments of $segments MB, buffers $buffers, hints logged: $hints, $rate/s"
    cluster_init main "$1" "$checksums" --wal-segsize="$segments"
    cluster_config main "max_prepared_transactions = 20" "wal_compression = $compress" \
        "checkpoint_timeout = 1h" "max_wal_size = 2GB" "autovacuum_naptime = 2s" \
        "wal_log_hints = $hints" "shared_buffers = $buffers" \
        "wal_level = $level" "max_wal_senders = 4"
    as_owner mkdir "$work/ts1" "$work/ts2"
    write_config --cluster "rate_limit: $rate" main
    cluster_start main
    pgbr init main
    archive_on main
    sql main "create tablespace one location '$work/ts1'" "create tablespace two location '$work/ts2'" \
        "create database d" "create database moving tablespace one"
    [ "$1" -lt 15 ] || sql main "create database again oid 20001"
    for name in d moving; do
        sql "main/$name" "create table t as select n, md5(n::text) m from generate_series(1, 5000) n" "create index on t (n)"
    done
}
truth_tables() { # MAJOR SEED WORKERS
    python3 "$work/bin/churn.py" tables "$1" "$2" "$3" >"$work/tables.sql"
    pg_client psql -XAtq -v ON_ERROR_STOP=1 -d "$(connection main)" -f "$work/tables.sql"
    # for the proof: nobody changes them
    sql main "create table proof as select n, md5(n::text) t from generate_series(1, 5000) n" \
        "create table seen as select * from proof" "vacuum proof" "vacuum seen"
}
truth_event() { # SEED MAJOR WORKERS: what happens to the server between two backups
    local event
    one_of event none none none restart crash promote promote
    [ "$event" != promote ] || [ -d standby ] || event=none
    case $event in
    none) return ;;
    promote)
        diag "the standby is promoted"
        standby_takes_over
        ;;
    restart)
        diag "the server is restarted"
        truth_load_end
        cluster_restart main
        ;;
    crash)
        diag "the server crashes"
        crashed=1
        cluster_stop main immediate
        truth_load_end
        cluster_start main
        ;;
    esac
    truth_load_start main "$2" "$1" "$3"
    sleep 1
}
truth_round() { # MAJOR SEED BACKUPS
    local i type workers=2 from
    RANDOM=$(($1 * 1000 + $2))
    pages_compared=0 load_pids=() crashed=''
    truth_server "$1" "$2"
    truth_tables "$1" "$2" "$workers"
    truth_load_start main "$1" "$2" "$workers"
    sleep 2
    reference_make "$1"
    in_place_begin 0
    take_backup full
    judge_now "full"
    chance 2 || standby_make
    for ((i = 1; i <= $3; i++)); do
        truth_load CONT
        in_place_end $((i - 1))
        truth_event "$2" "$1" "$workers"
        in_place_begin "$i"
        truth_databases main "$1" 4
        sleep $((RANDOM % 3))
        one_of type incr incr diff
        from=
        if chance 2 && [ -d standby ]; then
            from=$work/standby.yml
            standby_follows
        fi
        if [ -z "$from" ] && chance 3; then
            wal_hide
            take_backup "$type"
            wal_return
            like "$backup_made" 'found by compared' 'without the WAL everything is compared'
        else
            take_backup "$type" "$from"
            # most often from the same restartpoint: the two overlap
            [ -z "$from" ] || take_backup incr "$from"
        fi
        judge_now "backup $i ($type)"
    done
    exec 7>&-
    truth_load_end
    diag "$pages_compared pages compared"
}
truth_end() {
    cluster_stop main immediate
    [ ! -d standby ] || cluster_stop standby immediate
    remove_copy
    rm -rf "${work:?}"/{main,lost,standby,standby.*,ts1,ts2,old,reference,reference.*,repo,state,state2}
}

# That the judges can say no: behind a round, what is restored gets stale pages where a backup has changed ones.
truth_proof() {
    local file tli spoiled
    mv copy old
    sql main "alter system set autovacuum = off" "select pg_reload_conf()"
    sql main "update proof set t = 'x' || t where n % 500 = 3" "delete from seen where n % 500 = 3"
    take_backup incr
    position
    tli=$(timeline)
    recover_reference "$lsn" "$tli"
    restore_copy "$backup_label" "$lsn" "$tli"
    file=$(sql main "select pg_relation_filepath('proof')")
    spoiled=$(as_owner python3 "$work/bin/pages.py" spoil old copy "$file" 3 | wc -l)
    is "$spoiled" 3 'three pages of what is restored are made stale'
    file=$(sql main "select pg_relation_filepath('seen')")_vm
    ok 'and a visibility map' as_owner python3 "$work/bin/pages.py" spoil old copy "$file" 1
    recover copy
    fails 1 'differs base/' 'stale pages are found' compare_pages copy
    is "$(grep -c '^differs' <<<"$out")" 3 'these, and no others'
    promote_copy
    fails 1 'all-visible, says the map.*seen' 'and so is the map' judge_databases copy
    cluster_stop copy
}
