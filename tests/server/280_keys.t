#!/bin/bash
# Passphrases and key files are exchanged while WAL is archived; what was taken away opens nothing,
# what was added restores alone; and a sheet of paper is enough.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15 --wal-segsize=1
cluster_config main "max_wal_size = 32MB" "wal_keep_size = 256MB"
cluster_start main
write_config --cipher 'first passphrase' main
pgbr init main
archive_on main
sql main "create table t (n int)"
ok 'a backup' pgbr backup main

# ---- what there is

ok 'the slots are listed' pgbr key list main
like "$out" '00000000 +passphrase +20[0-9-]+ [0-9:]+\+00 +scrypt, N 32768, r 8, p 1 +opens' \
    'with kind, time, parameters, and whether the configuration opens them'
pgbr check main --repo local >out.txt || true
like "$(cat out.txt)" 'warning +key \(local\) +there is one key slot only' 'check warns of a single one'
fails 1 'last one' 'the last slot cannot be removed' pgbr key remove main --slot 0
fails 1 'last one' 'not even by force' pgbr key remove main --slot 0 --force

# ---- what is wrong is said, and no secret is taken from the command line

fails 2 'unknown option' 'a passphrase on the command line is refused' pgbr key add main --passphrase x
fails 2 '"key frobnicate" is unknown' 'so is an unknown word' pgbr key frobnicate
fails 2 'has no option "--slot"' 'and an option of another word' pgbr key list main --slot 0
fails 2 'not several' 'and two secrets' pgbr key add main --pass-file a --key-file b
fails 2 'Say --slot' 'and a removal of nothing' pgbr key remove main
fails 2 'must be the number' 'and of what is no number' pgbr key remove main --slot first
fails 1 'no key slot 00000009' 'and of a slot that is not there' pgbr key remove main --slot 9
fails 2 'where is the new secret' 'without a terminal it is not asked for' \
    as_owner setsid -w "$PGBR" -c "$config" key add main
as_owner touch "$work/empty"
fails 1 'is empty' 'an empty passphrase is refused' pgbr key add main --pass-file "$work/empty"
as_owner cp "$work/empty" "$work/short.key"
fails 1 'has 0 bytes' 'and a key file that is too short' pgbr key add main --key-file "$work/short.key"
fails 1 'is there already' 'and to write over a file' pgbr key add main --generate "$work/short.key"
is "$(find repo/keys -type f | wc -l)" 1 'none of this made a slot'

# ---- all ways to add one

ok 'a key file is made' pgbr key add main --generate "$work/spare.key"
is "$(stat -c '%a %s %U' spare.key)" "400 32 $run_as" 'readable by its owner alone, of 32 bytes'
ok 'a passphrase from the environment' as_owner env PGBR_NEW_CIPHER_PASS='from the environment' \
    "$PGBR" -c "$config" key add main
cat >ask.py <<'END'
# Types its last arguments, one at each prompt, on a new terminal; shows what that showed.
import os, pty, sys
n = int(sys.argv[1])
typed, command = sys.argv[2:2 + n], sys.argv[2 + n:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen, sent = b"", 0
while True:
    try:
        more = os.read(fd, 1000)
    except OSError:
        break
    if not more:
        break
    seen += more
    if more.endswith(b": ") and sent < n:
        os.write(fd, typed[sent].encode() + b"\n")
        sent += 1
sys.stdout.write(seen.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
chmod 644 ask.py
ok 'a passphrase typed' as_owner python3 ask.py 2 'typed in' 'typed in' "$PGBR" -c "$config" key add main
like "$out" 'new passphrase:.*once more:.*the passphrase typed opens it' 'which is asked for twice'
unlike "$out" 'typed in' 'and not shown'
fails 1 'differ' 'a slip is noticed' as_owner python3 ask.py 2 'typed in' 'typed on' "$PGBR" -c "$config" key add main
pgbr check main --repo local >out.txt || true
like "$(cat out.txt)" 'ok +key \(local\) +4 key slots' 'check is content'

with_secret() { # FROM, TO: lines of the configuration
    sed "s|cipher_pass: .*|$2|" "$config" >"$1"
    chmod 600 "$1"
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" "$1"
}
with_secret key.yml "cipher_key_file: $work/spare.key"
with_secret env.yml 'cipher_pass: "from the environment"'
with_secret typed.yml 'cipher_pass: "typed in"'
for way in key env typed; do
    ok "the new secret opens ($way)" as_owner "$PGBR" -c "$work/$way.yml" verify main --deep
done

# ---- exchanged while the archiver is at work

pg_client pgbench -q -i -s 1 "$(connection main)"
pg_client pgbench -n -c 2 -R 100 -T 1000 "$(connection main)" >"$work/log/pgbench" 2>&1 &
load=$!
switch_wal() {
    while sleep 0.1; do sql main "insert into t values (1)" "select pg_switch_wal()"; done
}
switch_wal >/dev/null 2>&1 &
switching=$!
echo 'second passphrase' >second.pass
[ "$run_as" = "$(id -un)" ] || chown "$run_as" second.pass
ok 'a passphrase from a file' pgbr key add main --pass-file "$work/second.pass"
fails 1 'is the one that the configuration opens' 'the one in use is not removed' \
    pgbr key remove main --slot 0
cp "$config" first.yml
sed -i 's/first passphrase/second passphrase/' "$config"
for slot in 0 1 2 3; do ok "slot $slot is removed" pgbr key remove main --slot "$slot"; done
ok 'the slots are listed' pgbr key list main --json
is "$(python3 -c 'import json,sys; print([(s["slot"], s["state"], s["opened_by"]) for r in json.load(sys.stdin) for s in r["slots"]])' <<<"$out")" \
    "[('00000004', 'opens', 'passphrase')]" 'one is left'
[ "$run_as" = "$(id -un)" ] || chown "$run_as" first.yml
fails 1 'opens none of the 1 key slots' 'the old passphrase opens nothing' as_owner "$PGBR" -c "$work/first.yml" backup main
for way in key env typed; do
    fails 1 'opens none of the|is opened by a passphrase' "nor does what was added between ($way)" as_owner "$PGBR" -c "$work/$way.yml" verify main --deep
done
fails 3 'opens none of them' 'list says so' as_owner "$PGBR" -c "$work/first.yml" key list main
ok 'a backup with the new one' pgbr backup main
kill "$switching" "$load"
wait "$switching" "$load" || true
wait_archived main
unlike "$(cat log/main.log)" 'archive command failed' 'archiving never failed'

# An archiver whose configuration is an old one goes on by its state file, and says so when it cannot.
segment=$(sql main "insert into t values (2)" "select pg_walfile_name(pg_current_wal_insert_lsn())")
sql main "select pg_switch_wal()" >/dev/null
wait_for 60 is_archived main "$segment"
ok 'the state file keeps an old configuration archiving' \
    as_owner "$PGBR" -c "$work/first.yml" archive-push main "$work/main/pg_wal/$segment"
ok 'and can save a repository whose passphrase nobody knows any more' \
    as_owner env PGBR_NEW_CIPHER_PASS='rescued' "$PGBR" -c "$work/first.yml" key add main
rm "$work"/state/*.state
fails 1 'opens none of the 2 key slots' 'without it the old configuration is at its end' \
    as_owner "$PGBR" -c "$work/first.yml" archive-push main "$work/main/pg_wal/$segment"
ok 'what was rescued is removed' pgbr key remove main --slot 5

# ---- restored with nothing but the repository and the new secret

cat >bare.yml <<END
state_dir: $work/bare_state
repos:
  local: {path: $work/repo, cipher_type: aes-256-cbc, cipher_pass_file: $work/second.pass}
clusters:
  main: {data: $work/copy, repos: [local]}
END
[ "$run_as" = "$(id -un)" ] || chown "$run_as" bare.yml
cluster_stop main
ok 'restored without a state directory' as_owner "$PGBR" -c "$work/bare.yml" restore main
restore_start copy
is "$(sql copy "select count(*) from t where n = 2")" 1 'everything is there'
cluster_stop copy

# ---- the sheet

ok 'a sheet is printed' pgbr key sheet main
like "$out" "$work/repo.*PostgreSQL 15, system identifier [0-9]+.*slot 00000004  passphrase.*pgbr restore main" \
    'with place, cluster, slots and steps'
unlike "$out" 'second passphrase|key 1: [0-9a-f]{4}' 'without a secret'
pgbr key sheet main --with-key >sheet.txt
grep -E '^key [1-4]:' sheet.txt >key.txt
is "$(wc -l <key.txt)" 4 'with the key, if asked for'
# As the sheet says: its configuration, in other places.
sed -n '/^       state_dir/,/^           repos/s/^       //p' sheet.txt |
    sed "s|/var/lib/pgbr|$work/sheet_state|; s|/etc/pgbr|$work|; s|$work/main|$work/copy2|" >sheet.yml
echo 'nobody knew the old one' >passphrase
[ "$run_as" = "$(id -un)" ] || chown "$run_as" sheet.yml passphrase sheet.txt key.txt
chmod 600 passphrase sheet.yml
as_owner rm "$work"/repo/keys/* # all slots are gone
fails 1 'no key slot' 'without slots nothing opens' as_owner "$PGBR" -c "$work/sheet.yml" list main --repo local || true
sed 's/\([0-9a-f]\)$/x/' key.txt >mistyped.txt
[ "$run_as" = "$(id -un)" ] || chown "$run_as" mistyped.txt
fails 1 '"key 1:" is mistyped' 'a slip on the sheet is named' \
    as_owner "$PGBR" -c "$work/sheet.yml" key add main --from-sheet "$work/mistyped.txt"
ok 'the key on the sheet makes a slot' \
    as_owner "$PGBR" -c "$work/sheet.yml" key add main --from-sheet "$work/sheet.txt"
ok 'with which all is read' as_owner "$PGBR" -c "$work/sheet.yml" verify main --deep
ok 'and restored' as_owner "$PGBR" -c "$work/sheet.yml" restore main
restore_start copy2
is "$(sql copy2 "select count(*) from t where n = 2")" 1 'everything is there again'

# ---- another repository, and a plain one

write_config --cipher other main
sed -i "s|$work/repo|$work/repo2|" "$config"
pgbr init main
fails 1 'is not that of the repository' 'the sheet of another repository is refused' \
    pgbr key add main --from-sheet "$work/sheet.txt"
write_config --repo "second: {path: $work/second}" --cipher other main
sed -i "s|second: {path: $work/second}|second: {path: $work/second, cipher_type: aes-256-cbc, cipher_pass: x}|" "$config"
fails 2 'say --repo \("local", "second"\)' 'with two encrypted repositories it must be said which' \
    pgbr key add main --generate "$work/x.key"
write_config main
sed -i "s|$work/repo|$work/repo3|" "$config"
pgbr init main
ok 'a plain repository has no keys to list' pgbr key list main
like "$out" 'not encrypted, it has no keys' 'which is said'
fails 1 'not encrypted' 'nor to add' pgbr key add main --generate "$work/x.key"
ok 'but a sheet' pgbr key sheet main
unlike "$out" 'WHAT OPENS IT|cipher_type' 'that speaks of none'
done_testing
