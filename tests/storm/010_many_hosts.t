#!/bin/bash
# Many hosts work on one repository, and each is killed or paused for longer than its lease lives: every
# listed backup restores, nothing acknowledged is lost, nothing is left over.
#
#   ROUNDS  how many rounds         SEED  of the first round; round N of SEED s is round 1 of s+N-1
#   STORE   posix, or s3: a bucket of the server that tests/lib/s3.sh starts
# shellcheck disable=SC2154,SC1091
TEST_LIMIT=$((180 + 60 * ${ROUNDS:=3}))
. "${0%/*}/../lib/pgbr.sh"
: "${SEED:=$((RANDOM * 32768 + RANDOM))}" "${STORE:=posix}"
passphrase='correct horse' keep=3 window=8

crashing=$work/bin/pgbr-crash
cp "${CRASHING:-$top/build/crash/pgbr}" "$crashing"
mkdir "$work/points" "$work/got" "$work/copy" "$work/other"
cp -r "$top/tests/format" "$work/reader"
cp "$top/tests/storm/storm.py" "$work/bin/"
head -c 32 /dev/urandom >"$work/spare.key"
chmod 700 "$work/copy"

# ---- one repository, a configuration and a state directory for each host

hosts=(judge push1 push2 push3 push4 backup1 backup2 expire1 expire2 restore1 keeper1)
settings=(pack_size lease_heartbeat lease_ttl restore_pin resume_window retention_full expire_auto)
values=(1MB 1s 5s 6s "${window}s" "$keep" n)
if [ "$STORE" = s3 ]; then
    . "$lib/s3.sh"
    s3_start
    words=()
    for i in "${!settings[@]}"; do words+=(--s3 "${settings[i]}: ${values[i]}"); done
    s3_config --cipher "$passphrase" "${words[@]}" --cluster 'archive_timeout: 60s' main
    cp "$top/tests/storm/mirror.py" "$lib/s3_client.py" "$work/bin/"
    mirror="python3 -W ignore::DeprecationWarning $work/bin/mirror.py backup/"
else
    write_config --cipher "$passphrase" --cluster 'archive_timeout: 60s' main
    for i in "${!settings[@]}"; do
        sed -i "s|^    path: $work/repo|&\n    ${settings[i]}: ${values[i]}|" "$config"
    done
    mirror="cp -r $work/repo"
fi
for host in "${hosts[@]}"; do
    sed "s|^state_dir: .*|state_dir: $work/state-$host|" "$config" >"$work/$host.yml"
    chmod 600 "$work/$host.yml"
done
[ "$run_as" = "$(id -un)" ] || chown -R "$run_as" "$work"

# What the server calls. "next" says what happens to the next call: "none", "kill [POINT]", "stop [POINT]";
# a stopped one is woken after a while. A status above 125 would stop the archiver, so killed means 1.
mkdir "$work/push"
install -m 666 /dev/null "$work/push/acked"
cat >"$work/bin/archive" <<END
#!/bin/bash
how=none point=
mv '$work/push/next' '$work/push/now' 2>/dev/null && read -r how point <'$work/push/now'
sum=\$(sha256sum <"\$1")
case \$how in
none) '$PGBR' -c '$work/push1.yml' archive-push main "\$1" ;;
kill)
    if [ -n "\$point" ]; then
        PGBR_CRASH_AT=\$point '$crashing' -c '$work/push1.yml' archive-push main "\$1"
    else
        timeout -s KILL 0.0\$((RANDOM % 10)) '$crashing' -c '$work/push1.yml' archive-push main "\$1"
    fi
    ;;
stop)
    PGBR_STOP_AT=\${point:-wal-put} '$crashing' -c '$work/push1.yml' archive-push main "\$1" &
    while state=\$(ps -o state= \$!); do # until it has ended; it may come to its point late
        [ "\$state" != T ] || { sleep 1; kill -CONT \$!; break; }
        [ "\$state" != Z ] || break
        sleep 0.1
    done
    wait \$!
    ;;
esac || exit 1
echo "\${1##*/} \${sum%% *}" >>'$work/push/acked'
END
chmod 755 "$work/bin/archive"
[ "$run_as" = "$(id -un)" ] || chown -R "$run_as" "$work/push"

# ---- a server under load, whose archiver is the first of the hosts that push

cluster_init main 15 --wal-segsize=1
cluster_config main "max_wal_size = 64MB" "wal_keep_size = 512MB" "autovacuum = off"
cluster_start main
sql main 'create table mark (n int primary key)'
pg_client pgbench -q -i -s 1 "$(connection main)"
config=$work/push1.yml
pgbr init main
archive_on main "$work/bin/archive %p"
pg_client pgbench -n -c 2 -R 50 -T 1000000 "$(connection main)" >"$work/log/pgbench" 2>&1 &

owner=$run_as
[ "$run_as" != "$(id -un)" ] || owner=
python3 - "$work/settings.json" <<END
import json, sys
json.dump({"work": "$work", "pgbr": "$PGBR", "crashing": "$crashing", "rounds": $ROUNDS, "seed": $SEED,
           "psql": "/usr/lib/postgresql/15/bin/psql -XAtq -v ON_ERROR_STOP=1", "bin": "$(cluster_bin main)",
           "server": "$(connection main)", "port": $(port main), "mirror": "$mirror", "owner": "$owner",
           "keep": $keep, "window_s": $window, "passphrase": "$passphrase",
           "local": "$STORE" == "posix"}, open(sys.argv[1], "w"))
END
diag "STORE=$STORE ROUNDS=$ROUNDS SEED=$SEED"
while IFS= read -r line; do
    case $line in
    'ok '*) pass "${line#ok }" ;;
    'not ok '*) fail "${line#not ok }" ;;
    *) diag "${line#\# }" ;;
    esac
done < <(PYTHONDONTWRITEBYTECODE=1 python3 "$work/bin/storm.py" "$work/settings.json" 2>&1 || echo 'not ok the storm itself')
done_testing
