#!/bin/bash
# The command line: help and manual tell the same, mistakes are named, nothing crashes.
. "${0%/*}/../lib/pgbr.sh"

# ---- help, and the manual
ok 'there is a list of commands' "$PGBR" --help
names=$(sed -nE 's/^  ([a-z-]+) +.*/\1/p' <<<"$out")
like "$(wc -w <<<"$names")" '^12$' 'of twelve'
is "$("$PGBR" help)" "$out" 'help is --help'
manual=$top/docs/pgbr.1
for command in $names; do
    section=$(awk -v c="$command" '/^\.S[sh] /{on = ($1 == ".Ss" && $2 == c)} on' "$manual")
    isnt "$section" '' "the manual has $command"
    ok "$command has help" "$PGBR" help "$command"
    help=$out
    is "$("$PGBR" "$command" --help)" "$help" "$command --help is the same"
    is "$(sed -nE 's/^  --([a-z-]+).*/\1/p' <<<"$help" | sort)" \
        "$(sed -nE 's/^\.It Fl -([a-z-]+).*/\1/p' <<<"$section" | sort)" \
        "the manual has the options of $command and no others"
done
like "$("$PGBR" --version)" '^pgbr [0-9]+\.[0-9]+\.[0-9]+$' 'the version is told'

# ---- mistakes
fails 2 'usage: pgbr' 'no command at all' "$PGBR"
fails 2 'unknown command "bakcup" \(did you mean "backup"\?\)' 'a mistyped command' "$PGBR" bakcup
fails 2 'unknown command "bakcup"' 'help for one' "$PGBR" help bakcup
fails 2 'unknown command ""' 'an empty command' "$PGBR" ''
fails 2 'did you mean "--target-time"' 'a mistyped option' "$PGBR" restore --taget-time x
fails 2 '"--bogus"' 'an unknown option before the command' "$PGBR" --bogus list
fails 2 'stands alone' '--version with a command' "$PGBR" --version list
fails 2 'there is no configuration "/no/such.yml"' 'no configuration' "$PGBR" -c /no/such.yml list
fails 2 'there is no configuration "/no/such.yml"' '-c may come later' "$PGBR" list -c /no/such.yml
fails 2 'there is no configuration "/no/env.yml"' 'or from the environment' \
    env PGBR_CONFIG=/no/env.yml "$PGBR" list
fails 2 'there is no configuration "/etc/pgbr/pgbr.yml"|.' 'an empty PGBR_CONFIG is none' \
    env PGBR_CONFIG= "$PGBR" list nothing
big=$(head -c 100000 /dev/zero | tr '\0' a)
for argument in "$big" "--$big" "--repo=$big" "-$big" '' -- - --repo= --=x $'\n\t\e[1m' $'\xff\xfe'; do
    for command in list restore archive-push verify backup check init catalog; do
        status=0
        "$PGBR" -c /no/such.yml "$command" "$argument" >odd.out 2>&1 || status=$?
        [ "$status" -eq 2 ] || break 2
    done
done
is "$status ${argument:0:40}" "2 "$'\xff\xfe' 'odd arguments are wrong usage, whatever they are'
status=0
(exec -a '' "$PGBR" list -c /no/such.yml) || status=$?
is "$status" 2 'the name it was called by does not matter'

# ---- restore's options that exclude each other, before anything is opened
write_config main
fails 2 'only one of --target-time' 'two targets' pgbr restore --target-lsn 0/1 --target-xid 5
fails 2 'exclusive' 'exclusive of nothing' pgbr restore --exclusive
fails 2 'not a moment' 'a time that is none' pgbr restore --target-time 'five past two'
fails 2 'absolute path' 'a relative directory' pgbr restore --data-dir here
fails 2 'OLD=NEW' 'half a tablespace' pgbr restore --tablespace-map a
fails 2 'there is no cluster "mian" \(did you mean "main"\?\)' 'a mistyped cluster' pgbr list mian
fails 2 'no cluster here has a repository "far"' 'an unknown repository' pgbr list --repo far
fails 2 'far' 'verify says the same' pgbr verify --repo far

# ---- what was printed but did not arrive
full() {
    "$PGBR" --help >/dev/full
}
fails 1 'cannot write to standard output' 'a full disk behind standard output' \
    full
cluster_init main
init_without_files() {
    pgbr init main <&- >&- 2>&-
}
ok 'closed standard files do no harm' init_without_files
ok 'a second init finds all in place' pgbr init main
like "$out" 'is ready' 'and says so'
like "$out" "archive_command = '$PGBR -c $config archive-push main %p'" 'the command to set is told'
unlike "$(find "$work/repo" "$work/state" -type f -exec grep -l 'archive_command\|WARNING' {} +)" . \
    'no message went into a file of the repository'

# ---- as root
if [ "$run_as" != "$(id -un)" ]; then
    ok 'root becomes the owner of the data' "$PGBR" -c "$config" list
    like "$out" "started as root, working as user \"$run_as\"" 'and says so'
    mkdir -m 755 roots
    sed -i "s|state_dir: .*|state_dir: $work/roots/state|; s|path: $work/repo|path: $work/roots/a/b|" \
        "$config"
    ok 'init by root makes what only root can make' "$PGBR" -c "$config" init main
    is "$(find roots -mindepth 1 ! -user "$run_as")" '' 'for the user'
    rm -rf roots/a
    fails 1 . 'other commands do not make a repository anew' "$PGBR" -c "$config" list
    ok 'not even its directory' test ! -e roots/a
    sed -i '1i user: nobody-of-that-name' "$config"
    fails 2 'no user "nobody-of-that-name"' 'a user who does not exist' "$PGBR" -c "$config" list
fi
done_testing
