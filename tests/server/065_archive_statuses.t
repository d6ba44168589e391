#!/bin/bash
# Whatever goes wrong, PostgreSQL is told what it can act on: archive-push fails with 1 to 125 and
# never 3; archive-get says 1 only when the file is certainly nowhere, because that ends recovery,
# except to a standby, which any higher status would shut down.
. "${0%/*}/../lib/pgbr.sh"

cluster_start main
write_config --cipher secret --cluster "archive_get_timeout: 1s" main
pgbr init main
archive_on main
wait_archived main
segment=$(sql main "select last_archived_wal from pg_stat_archiver")
absent=0000000100000FFF00000001
cluster_stop main
cp "$config" good.yml

as_good() {
    cp good.yml "$config"
    chmod 600 "$config"
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" "$config"
}
in_data() { # as PostgreSQL does it: in the data directory, with relative paths
    (cd "$work/main" && "$@")
}
push() {
    in_data pgbr archive-push main "$@"
}
get() {
    in_data pgbr archive-get main "$@"
}
push_fails() { # REGEX WHAT ARG...
    local pattern=$1 what=$2 status=0
    shift 2
    out=$(push "$@" 2>&1) || status=$?
    echo "$out"
    if [ "$status" -ge 1 ] && [ "$status" -le 125 ] && [ "$status" -ne 3 ] && [[ $out =~ $pattern ]]; then
        pass "$what: archive-push fails with a status that makes the archiver try again"
    else
        fail "$what: archive-push fails with a status that makes the archiver try again" \
            "status $status, wanted $pattern: $out"
    fi
}
# The same trouble for a recovery and for a standby.
get_fails() { # REGEX WHAT ARG...
    local pattern=$1 what=$2
    shift 2
    fails 200 "$pattern" "$what: recovery is stopped" get "$@"
    as_owner touch main/standby.signal
    fails 1 "ERROR.*($pattern)" "$what: a standby asks again" get "$@"
    rm main/standby.signal
    ok "$what: nothing was delivered" test ! -e main/pg_wal/RECOVERYXLOG
}
to=pg_wal/RECOVERYXLOG

# ---- what works
ok 'an archived segment is delivered' get "$segment" "$to"
is "$(stat -c %s "main/$to")" 16777216 'whole'
as_owner cp "main/$to" "$work/$segment"
as_owner rm "main/$to"
ok 'pushing what is there already succeeds' push "$work/$segment"
fails 1 '^$' 'a segment that no repository has ends recovery' get "$absent" "$to"
as_owner touch main/standby.signal
fails 1 '^$' 'a standby is told the same' get "$absent" "$to"
rm main/standby.signal
fails 1 '^$' 'so is a history file that is nowhere' get 00000009.history "$to"

# ---- the call itself
push_fails 'unknown option' 'an unknown option' --bogus "$work/$segment"
push_fails 'unexpected' 'a word too many' a b
push_fails 'not the name of a WAL' 'a file that is no WAL' postgresql.conf
push_fails 'not the name of a WAL' 'an empty path' ''
push_fails "$absent" 'a file that is not there' "pg_wal/$absent"
push_fails 'unknown option' 'help for something else' --help "$work/$segment"
get_fails 'not the name of a WAL' 'a name that is no WAL' postgresql.conf "$to"
get_fails 'not the name of a WAL' 'an empty name' '' "$to"
get_fails 'unknown option' 'an unknown option' --bogus "$segment" "$to"
get_fails 'something is missing' 'neither file nor destination'
get_fails 'no repository "none"' 'an unknown repository' --repo none "$segment" "$to"
get_fails 'cannot create' 'a destination that cannot be' "$segment" no-such-directory/RECOVERYXLOG
fails 200 'unknown option' 'a broken option before the command' in_data pgbr --bogus archive-get \
    main "$segment" "$to"
fails 2 'unknown option' 'the same for archive-push' in_data pgbr --bogus archive-push main x
fails 200 'no cluster "other"' 'an unknown cluster' in_data pgbr archive-get other "$segment" "$to"
fails 2 'no cluster "other"' 'the same for archive-push' in_data pgbr archive-push other "$work/$segment"

# ---- the configuration
printf 'repos: {local: {path: /x}\n' >"$config"
push_fails 'pgbr.yml' 'broken YAML' "$work/$segment"
get_fails 'pgbr.yml' 'broken YAML' "$segment" "$to"
rm "$config"
push_fails 'there is no configuration' 'no configuration' "$work/$segment"
get_fails 'there is no configuration' 'no configuration' "$segment" "$to"
as_good
if [ "$run_as" != "$(id -un)" ]; then
    chown root "$config"
    push_fails 'ermission' 'an unreadable configuration' "$work/$segment"
    get_fails 'ermission' 'an unreadable configuration' "$segment" "$to"
    as_good
fi

# ---- the key: what the state directory keeps is enough, without it a wrong one is noticed
sed -i 's/cipher_pass: "secret"/cipher_pass: "wrong"/' "$config"
rm -rf "$work/state"
push_fails 'local.*(passphrase|key)' 'a wrong passphrase' "$work/$segment"
get_fails 'local.*(passphrase|key)' 'a wrong passphrase' "$segment" "$to"
get_fails 'local.*(passphrase|key)' 'a wrong passphrase and a file that is nowhere' "$absent" "$to"
unlike "$out" 'wrong"' 'the passphrase is not told'
as_good

# ---- the store
mv "$work/repo" "$work/away"
push_fails 'repository "local"' 'a store that went away' "$work/$segment"
get_fails 'repository "local"' 'a store that went away' "$segment" "$to"
get_fails 'repository "local"' 'a store that went away and a file that is nowhere' "$absent" "$to"
as_owner mkdir "$work/repo"
push_fails 'repository "local"' 'an empty directory in its place' "$work/$segment"
get_fails 'repository "local"' 'an empty directory in its place' "$absent" "$to"
rmdir "$work/repo"
mv "$work/away" "$work/repo"
stored=$(find "$work/repo" -name "*$segment*" -type f)
as_owner cp -p "$stored" "$work/stored"
as_owner chmod 600 "$stored"
printf 'damage' | dd of="$stored" bs=1 seek=5000 conv=notrunc status=none
get_fails 'local' 'a damaged object' "$segment" "$to"
as_owner truncate -s 300 "$stored"
get_fails 'local' 'a cut object' "$segment" "$to"
cp "$work/stored" "$stored"
ok 'after all that it is delivered' get "$segment" "$to"

# ---- another cluster's segment
as_owner mkdir "$work/foreign"
cluster_init foreign
push_fails 'system identifier|written by' "another cluster's segment" \
    "$(find "$work/foreign/pg_wal" -name '0*' -type f | head -1)"
done_testing
