#!/bin/bash
# "pgbr check": each line is true, says what to do, and the exit status sums them up.
. "${0%/*}/../lib/pgbr.sh"

# The line of a subject: "finding 'archive_mode'" prints "failed off; set ..."
finding() {
    sed -nE "s/^(ok|warning|failed) +$1  +/\1 /p" <<<"$out"
}
cluster_start main
cluster_config main "archive_timeout = 60"
write_config --repo "second: {path: $work/second, optional: yes}" --cipher secret \
    --cluster "archive_timeout: 30s" main

fails 1 'failed +repository' 'before init it fails' pgbr check main
like "$(finding 'repository \(local\)')" '^failed .*init' 'a missing repository: what makes it is said'
like "$(finding 'repository \(second\)')" '^warning ' 'an optional one that is missing is a warning'
pgbr init main
fails 1 'failed +archive_mode' 'it fails where nothing is archived' pgbr check main
like "$(finding archive_mode)" '^failed off; set archive_mode = on' 'and says what to set'
like "$(finding archive_command)" "; set archive_command = $(archive_command main)" \
    'in the words that init uses'
unlike "$out" 'archiving \(' 'a round trip that cannot succeed is not tried'

archive_on main
fails 3 'cluster "main": [0-9]+ ok, [0-9]+ warnings, 0 failed' 'warnings alone end with 3' \
    pgbr check main
like "$(finding 'archiving \(local\)')" '^ok WAL segment "[0-9A-F]{24}" went there and came back' \
    'WAL goes there and comes back'
like "$(finding 'archiving \(second\)')" '^ok ' 'to each repository'
like "$(finding 'repository \(local\)')" '^ok encrypted, its key opens' 'the key is tried'
like "$(finding 'store \(local\)')" '^ok .*written, read, listed, deleted' 'the store is tried'
like "$(finding 'place \(local\)')" '^warning .*same file system' 'a repository beside the data is no good'
like "$(finding 'backups \(local\)')" '^warning there is none; take one' 'so is having no backup'
for subject in configuration 'data directory' 'state directory' catalog connection role rights \
    wal_level archive_mode archive_command archive_timeout full_page_writes 'data checksums' clock \
    'identity \(local\)' 'disk \(local\)' archiver 'WAL to archive' 'disk of pg_wal'; do
    like "$(finding "$subject")" '^ok ' "$subject is well"
done

# With a backup, on a file system of its own, nothing is left to say.
shm=$(as_owner mktemp -d /dev/shm/pgbr-test.XXXXXX) || shm=
if [ -n "$shm" ] && [ "$(stat -c %d "$shm")" != "$(stat -c %d "$work")" ]; then
    trap 'rm -rf "$shm"; at_exit' EXIT
    mv "$config" kept.yml
    write_config --local "retention_full: 2" --cluster "archive_timeout: 30s" main
    sed -i "s|path: $work/repo|path: $shm/repo|" "$config"
    pgbr init main
    pgbr backup main
    ok 'where all is well check ends with 0' pgbr check main
    like "$out" 'cluster "main": [0-9]+ ok, 0 warnings, 0 failed' 'and counts no warning'
    like "$(finding 'backups \(local\)')" '^ok 1, the newest [0-9]{8}' 'the backup is told'
    like "$(finding 'WAL \(local\)')" '^ok without a gap' 'and its WAL'
    out=$(pgbr -q check main)
    is "$out" '' 'quiet says nothing'

    wait_archived main
    wait_archived main
    wait_archived main
    segments=$(find "$shm/repo" -path '*/wal/*' -type f | grep -E '/[0-9A-F]{24}$' | sort)
    rm "$(tail -2 <<<"$segments" | head -1)"
    fails 3 'warning +WAL \(local\) +[0-9A-F]{24} is missing; take a new backup' \
        'a gap behind the backup is a warning' pgbr check main
    start=$(pgbr list main --json | python3 -c '
import json, sys
print(json.load(sys.stdin)["clusters"][0]["repositories"][0]["backups"][0]["start_lsn"])')
    name=$(sql main "select pg_walfile_name('$start'::pg_lsn + 1)")
    rm "$(grep "$name" <<<"$segments")"
    fails 1 "failed +WAL \\(local\\) +$name is missing, without which .* cannot be restored" \
        'a gap inside a backup is a failure' pgbr check main
    mv kept.yml "$config"
fi

fails 3 . '--repo asks of one repository only' pgbr check main --repo second
like "$(finding 'repository \(second\)')" '^ok ' 'of the one that was named'
unlike "$out" '\(local\)' 'and not of the other'
fails 2 'no repository "third"|third' 'an unknown repository is wrong usage' pgbr check main --repo third

status=0
pgbr check main --json >check.json || status=$?
is "$status" 3 'JSON has the same status'
is "$(python3 -c '
import json
a = json.load(open("check.json"))
print(all(set(x) == {"state", "subject", "repo", "found", "todo"} for x in a),
      sorted({x["state"] for x in a}), len(a) > 20)')" "True ['ok', 'warning'] True" \
    'it is an array of findings'
status=0
out=$(pgbr -q check main) || status=$?
is "$status" 3 'quiet has the same status'
unlike "$out" '(^|'$'\n'')ok |cluster' 'quiet shows only what is not well'
like "$out" 'warning  place' 'and that it does'

sed -i 's/archive_timeout: 30s/archive_timeout: 1s/' "$config" # what fails now need not take long

# One part that fails does not keep the others from being tried.
mv "$work/repo" "$work/away"
fails 1 'failed +repository \(local\)' 'a repository that went away is a failure' pgbr check main
like "$(finding 'repository \(second\)')" '^ok ' 'the other one is still looked at'
like "$(finding 'archiving \(second\)')" '^ok ' 'and still gets its WAL'
like "$(finding 'WAL to archive')" '[0-9]+ files wait' 'what waits is counted'
like "$(finding archiver)" '^(failed it fails|ok )' 'the archiver tells'
mv "$work/away" "$work/repo"

archiver_failed() {
    [ "$(sql main 'select failed_count > 0 from pg_stat_archiver')" = t ]
}
sql main "alter system set archive_command = 'pgbr-is-not-here archive-push main %p'" \
    'select pg_reload_conf()' "select pg_logical_emit_message(true, 'test', 'so that there is something')" \
    'select pg_switch_wal()'
wait_for 30 archiver_failed
fails 1 'failed +archiving \(local\)' 'an archive_command that fails is a failure' pgbr check main
like "$(finding 'archiving \(local\)')" 'did not reach repository "local" within 1 s' \
    'after the configured time'
like "$(finding archiver)" '^failed it fails, [0-9]+ times' 'the archiver says the same'

sql main "alter system set archive_command = '$PGBR -c $config archive-push other %p'" \
    'select pg_reload_conf()'
pgbr check main >out.txt || true
out=$(cat out.txt)
like "$(finding archive_command)" '^failed .*another cluster' 'a command for another cluster is noticed'
sql main "alter system set archive_command = '/bin/true'" 'select pg_reload_conf()'
pgbr check main >out.txt || true
out=$(cat out.txt)
like "$(finding archive_command)" '^warning .*does not say "archive-push"' 'so is one that is not ours'
sql main 'alter system reset archive_command' 'alter system set full_page_writes = off' \
    'select pg_reload_conf()'
pgbr check main >out.txt || true
out=$(cat out.txt)
like "$(finding full_page_writes)" '^warning off' 'full_page_writes = off is a warning'
sql main 'alter system reset full_page_writes' 'select pg_reload_conf()'

# Rights: a role that may only log in, then one with what the grants give.
sql main 'create role backup login'
sed -i "s/user=postgres/user=backup/" "$config"
fails 1 'GRANT pg_read_all_settings TO' 'a missing right is told with its grant' pgbr check main
sql main 'grant pg_monitor to backup'
fails 1 'failed +rights' 'missing functions too' pgbr check main
like "$out" 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_start\(text,boolean\) TO "backup"' \
    'each with its grant'
sql main 'grant execute on function pg_backup_start(text, boolean), pg_backup_stop(boolean),
    pg_switch_wal() to backup'
pgbr check main >out.txt || true
out=$(cat out.txt)
unlike "$(finding rights)" 'failed' 'with these grants a backup can be taken'
sed -i "s/user=backup/user=postgres/" "$config"

# A key that does not fit, a cluster that is another one, a file for everybody.
sed -i 's/cipher_pass: "secret"/cipher_pass: "tarantella"/' "$config"
fails 1 'failed +repository \(local\).*passphrase' 'a wrong passphrase is a failure' pgbr check main
unlike "$out" 'tarantella' 'it is not repeated'
sed -i 's/cipher_pass: "tarantella"/cipher_pass: "secret"/; s/archive_timeout: 1s/archive_timeout: 30s/' \
    "$config"
chmod 644 "$config"
fails 3 'warning +configuration .*(read|chmod)' 'a secret for everybody is a warning' pgbr check main
chmod 600 "$config"

# Jobs that no scheduler would take.
cp -p "$config" whole.yml
cat >>"$config" <<'END'
jobs:
  nightly: {run: backup --tipe full, cron: "@daily"}
  weekly: {run: verify --deep, cron: "@weekly", time_zone: Europe/Bonn}
END
fails 1 'failed +configuration .*job "nightly": "run": unknown option "--tipe" \(did you mean "--type"' \
    'a mistyped option of a job is a failure' pgbr check main
like "$out" 'failed +configuration .*job "weekly": .*Europe/Bonn' 'a time zone that is none as well'
cp -p whole.yml "$config"

cluster_stop main
fails 1 'failed +connection' 'a stopped server is a failure' pgbr check main
like "$(finding 'repository \(local\)')" '^ok ' 'without it the repositories are still checked'
unlike "$out" 'archiving \(|wal_level' 'what needs it is left out'
mv main first
cluster_start main
fails 1 'failed +identity \(local\) .*accept-new-system-id' 'another cluster is noticed' \
    pgbr check main
cluster_stop main
rm -r main
mv first main

# A standby, and its primary.
cluster_start main
cluster_standby copy main
write_config --cipher secret --cluster "primary: \"$(connection main)\"" copy
sed -i "s/^  copy:/  main:/" "$config" # the same cluster, seen from the standby's host
fails 3 'ok +role +standby' 'a standby can be checked' pgbr check main
like "$(finding primary)" '^ok ' 'its primary answers'
like "$(finding 'archiving \(local\)')" '^ok ' 'and is asked for the round trip'
sed -i "s/^    primary: .*/    primary: \"$(connection copy | sed 's/[&/]/\\&/g')\"/" "$config"
fails 3 'warning +primary .*is a standby itself' 'a primary that is none is a warning' pgbr check main
like "$(finding archiving)" '^warning only the primary can prove' 'nothing is proved then'
sed -i '/^    primary: /d' "$config"
fails 3 'warning +primary +not configured' 'so is a standby without one' pgbr check main
done_testing
