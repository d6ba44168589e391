# shellcheck shell=bash disable=SC2154,SC2034,SC2119,SC2120
#
# slow_backup.sh - a cluster whose backups can be made to take long enough for something to happen to
# them. To be read after pgbr.sh.
#
#   slow_cluster              makes cluster "main" with about 80 MB, its repository and its archive
#   speed [RATE]              limits the following backups; without RATE nothing does
#   backup_begin              starts one in the background and waits until it copies; its process is
#                             $backup, what it says is in during.log
#   backup_ends STATUS REGEX NAME   waits for its end; what it said is in $out
#   next_one_adopts NAME      nothing was listed, and the next one uses what was stored
#   labels, count_backups     what is listed
#   restores NAME             the newest backup restores, and judges find nothing

slow_cluster() {
    cluster_init main 15 --wal-segsize=1
    cluster_config main "autovacuum = off" "full_page_writes = on" "shared_buffers = 1MB"
    write_config --cipher secret main
    sed -i "s|^    path: $work/repo|&\n    pack_size: 1MB|" "$config"
    cp "$config" fast.yml
    cluster_start main
    pgbr init main
    archive_on main
    pg_client pgbench -q -i -s 3 "$(connection main)"
    sql main 'create table t as select n, repeat(md5(n::text), 8) as x from generate_series(1, 20000) n' \
        'create table u as select * from t' 'vacuum freeze' 'checkpoint'
    before=0
}
speed() { # RATE: nothing for as fast as it can
    cat fast.yml >"$config"
    [ -z "${1:-}" ] || echo "    rate_limit: $1" >>"$config"
}
labels() {
    pgbr list main --json 2>/dev/null | grep -o '"label": *"[^"]*' | sed 's/.*"//'
}
count_backups() {
    labels | wc -l
}
adopted() {
    grep -o '"adopted_bytes": *[0-9]*' <<<"$out" | grep -o '[0-9]*$'
}
# A backup in the background, as far as the copying: $backup is its process.
backup_begin() {
    rm -f status
    : >during.log
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" during.log
    (
        status=0
        pgbr backup main --type full >during.log 2>&1 || status=$?
        echo $status >status.new
        mv status.new status
    ) &
    wait_for 60 copying
    backup=$(pgrep -f "^$PGBR -c $config backup")
}
copying() {
    grep -q ' started at ' during.log && sleep 0.3
}
backup_ends() { # STATUS PATTERN NAME
    wait_for 100 test -e status
    out=$(cat during.log)
    if [ "$(cat status)" -eq "$1" ] && [[ $out =~ $2 ]]; then
        pass "$3"
    else
        fail "$3" "status $(cat status), want $1; output, wanted $2: $out"
    fi
}
# After something that went wrong: nothing is listed, and the next one uses what is there.
next_one_adopts() { # NAME
    is "$(count_backups)" "$before" "$1: nothing is listed"
    speed
    ok "$1: the next backup is taken" pgbr backup main --type full --json
    isnt "$(adopted)" 0 "$1: it uses what was stored"
    ok "$1: it is whole" pgbr verify main --deep --set "$(labels | sort | tail -1)"
    before=$(count_backups)
}
restores() { # NAME
    rm -rf copy
    ok "$1: it restores" pgbr restore main --data-dir "$work/copy"
    restore_start copy
    ok "$1: pg_amcheck finds nothing" pg_client pg_amcheck -h "$work/sock" -p "$(port copy)" \
        -U postgres --all --install-missing
    cluster_stop copy fast
    ok "$1: pg_checksums finds nothing" as_owner "$(cluster_bin copy)/pg_checksums" -c -D "$work/copy"
}
