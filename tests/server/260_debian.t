#!/bin/bash
# A cluster as Debian makes it: its configuration is in /etc/postgresql, so the data directory alone
# could not be started. Restored to a directory of its own, it starts with the command that restore
# prints, and touches nothing of the original.
. "${0%/*}/../lib/pgbr.sh"

if [ "$(id -u)" -eq 0 ]; then # the real place
    major=15 name=pgbr$$
    etc=/etc/postgresql/$major/$name
    drop_it() {
        pg_dropcluster --stop "$major" "$name"
        rm -rf "$etc"
    }
    at_end=drop_it
    pg_createcluster -d "$work/main" -s "$work/sock" -l "$work/log/main.log" -p "$(port main)" \
        "$major" "$name" -- -U postgres -A trust -N --data-checksums
    main_ctl() {
        pg_ctlcluster --skip-systemctl-redirect "$major" "$name" "$@"
    }
else # the same in a place of our own
    cluster_debian main
    etc=$work/etc/15/main
    main_ctl() {
        if [ "$1" = start ]; then cluster_start main; else cluster_stop main; fi
    }
fi
cat >>"$etc/postgresql.conf" <<CONF
fsync = off
ssl = off
shared_buffers = 17MB
work_mem = 5MB
archive_mode = on
archive_command = '$(archive_command main)'
CONF
mkdir -p "$etc/conf.d"
echo "maintenance_work_mem = 19MB" >"$etc/conf.d/extra.conf"
echo "# a line of our own" >>"$etc/pg_hba.conf"
# what the server reads and no view of it names: includes alone, an empty directory, a list of names
printf '%s\n' "include 'only.conf'" "include_dir 'empty.d'" >>"$etc/postgresql.conf"
echo "include_if_exists 'deep/none.conf'" >"$etc/only.conf"
mkdir "$etc/deep" "$etc/empty.d"
echo "# no setting" >"$etc/deep/none.conf"
echo "local @shops all trust" >>"$etc/pg_hba.conf"
echo "shop" >"$etc/shops"
chown -R "$run_as" "$etc"
write_config --cipher secret main
pgbr init main
main_ctl start
is "$(sql main 'show config_file')" "$etc/postgresql.conf" 'the configuration is outside the data directory'
is "$(sql main 'show maintenance_work_mem')" 19MB 'in several files'
ok 'the data directory has none' test ! -e main/postgresql.conf

sql main "create table t as select generate_series(1, 1000) n"
ok 'a backup is taken' pgbr backup main
echo "include 'gone.conf'" >>"$etc/only.conf"
fails 3 'included configuration may be missing in the backup: .*gone.conf' 'with a warning where a file is not there' \
    pgbr backup main --type full
sed -i '$d' "$etc/only.conf"
ok 'and one without' pgbr backup main
sql main "insert into t values (5000)"
wanted=$(dump_sum main)
moment=$(sql main 'select clock_timestamp()')
sleep 0.1
sql main "drop table t"
wait_archived main
before=$(find "$etc" -type f -exec sha256sum {} + | sort)

ok 'it is restored to a directory of its own' pgbr restore main --target-time "$moment" \
    --target-action promote --data-dir "$work/copy"
start=$(sed -n 's/^start it with: //p' <<<"$out")
isnt "$start" '' 'restore says how to start it'
ok 'an empty directory is in the copy' test -d "$(find copy/pgbr_config -path '*/empty.d' | head -1)/"
is "$(find "$etc" -type f -exec sha256sum {} + | sort)" "$before" 'nothing in the original place was touched'
for file in postgresql.conf conf.d/extra.conf pg_hba.conf pg_ident.conf only.conf deep/none.conf shops; do
    ok "$file is in the copy" cmp "$etc/$file" "$(find copy/pgbr_config -path "*/$file" | head -1)"
done
is "$(find copy/pgbr_config ! -user "$run_as")" '' 'belonging to the owner'

# with a port of its own, which cannot come from the configuration of the original
printf '%s' "$start" >start.sh
echo " -w -l $work/log/copy.log -o '-p $(port copy)'" >>start.sh
ok 'the command that was told starts it' as_owner bash -e "$work/start.sh"
wait_for 60 recovery_over copy
is "$(sql copy 'show shared_buffers' 'show work_mem' 'show maintenance_work_mem')" $'17MB\n5MB\n19MB' \
    'with the settings of the original'
is "$(sql copy 'show archive_mode')" off 'but without archiving'
like "$(sql copy 'show hba_file')" "^$work/copy/" 'and who may connect from its own file'
is "$(sql copy 'show data_directory')" "$work/copy" 'in its own directory'
is "$(dump_sum copy)" "$wanted" 'it holds what the original held at that time'
is "$(sql main "select to_regclass('t') is null")" t 'the original runs on'
ok 'stopped again' as_owner /usr/lib/postgresql/15/bin/pg_ctl -D "$work/copy" -w stop

# ---- in place: the configuration of the original is there, and stays
main_ctl stop
ok 'restored in place' pgbr restore main --delta --archive on --target-action promote \
    --target-time "$moment"
is "$(find "$etc" -type f -exec sha256sum {} + | sort)" "$before" 'its configuration stays'
main_ctl start
wait_for 60 recovery_over main
is "$(dump_sum main)" "$wanted" 'the dropped table is back'
is "$(sql main 'show config_file')" "$etc/postgresql.conf" 'with the configuration it always had'
wait_archived main
ok 'it archives on a new timeline' pgbr backup main
main_ctl stop
done_testing
