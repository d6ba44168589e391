#!/bin/bash
# Who is told of what happens: webhooks and commands, what they get, and what is not lost.
. "${0%/*}/../lib/pgbr.sh"

# ---- helpers

hook_start() { # NAME [CERT KEY]: a receiver in $work/NAME, whose port is in $hook_port
    mkdir -p "$work/$1"
    echo 200 >"$work/$1/mode"
    "$lib/hook_server.py" "$work/$1" "${@:2}" 5>&- 6>&- &
    wait_for 20 test -s "$work/$1/port"
    hook_port=$(<"$work/$1/port")
}
mode() { # NAME MODE
    echo "$2" >"$work/$1/mode"
}
got() { # NAME: how many notifications were answered with success
    touch "$work/$1/got"
    grep -c '^200 ' "$work/$1/got" || true
}
comes() { # NAME N: so many have come; as a rule they have when the command ends, or the machine is slow
    wait_for 30 has_come "$@"
}
has_come() {
    [ "$(got "$1")" -ge "$2" ]
}
heard() { # REGEX: by the command
    grep -Eq -- "$1" "$work/told"
}
field() { # NAME KEY: of the last body that came
    tail -1 "$work/$1/got" | cut -d' ' -f2- |
        python3 -c 'import json,sys; v = json.load(sys.stdin)[sys.argv[1]]; print("null" if v is None else v)' "$2"
}
catalog() { # STATEMENT...: straight into the file
    as_owner python3 - "$work/state/catalog.db" "$@" <<'END'
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], timeout=20)
for statement in sys.argv[2:]:
    for row in c.execute(statement):
        print("|".join(map(str, row)))
c.commit()
END
}
event() { # LEVEL KIND TEXT: what a process leaves that dies before it tells anybody
    catalog "insert into event (time_us, level, kind, cluster, text)
             values (cast(strftime('%s', 'now') as integer) * 1000000, '$1', '$2', 'main', '$3')"
}
due() { # nothing waits for its time
    catalog 'update delivery set next_try_us = 0'
}
forget() { # what was told before no longer matters
    catalog 'delete from delivery' 'update receiver set last_event = (select max(id) from event)'
    rm -f "$work"/*/got "$work"/*/headers "$work/told"
}
receivers() { # LINE...: the configuration with these
    write_config main
    {
        echo 'notify:'
        printf '  %s\n' "$@"
    } >>"$config"
    chmod 600 "$config"
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" "$config"
}

# ---- who gets what

cluster_start main
hook_start ops
ops="ops: {url: 'http://127.0.0.1:$hook_port/hidden-path?key=hidden-query', token_file: $work/token, timeout: 6 s}"
printf 'hidden-token\n' >"$work/token"
cat >"$work/tell" <<END
#!/bin/sh
{ cat; env | grep ^PGBR_ | sort; } >>$work/told
echo heard
END
chmod 755 "$work/tell"
chmod 777 "$work"
receivers "$ops" "mail: {command: [$work/tell, word], events: [info, error]}"
pgbr init main
archive_on main

out=$(pgbr notify test)
like "$out" 'ok +receiver "ops" \(webhook http://127.0.0.1:[0-9]+\): answered 200' 'a webhook can be tried out'
like "$out" 'ok +receiver "mail" \(command .*/tell word\): ended with status 0' 'and a command'
like "$out" 'it said: heard' 'what came back is shown'
is "$(field ops test)|$(field ops kind)" 'True|test' 'a test says so'
like "$(<"$work/ops/headers")" 'Authorization: Bearer hidden-token' 'the token is sent'
is "$(pgbr notify test --json ops | python3 -c 'import json,sys; print([(r["receiver"], r["delivered"], r["status"]) for r in json.load(sys.stdin)])')" \
    "[('ops', True, 200)]" 'and all that as JSON, for one receiver'
fails 2 'there is no receiver "oops"' 'one that is not there' pgbr notify test oops
forget

ok 'a backup' pgbr backup main
wait_for 30 heard PGBR_EVENT_TIME
is "$(got ops)" 0 'who wants errors and warnings hears nothing of it'
like "$(<"$work/told")" '"level":"info","kind":"backup","cluster":"main","repo":"local","job":null,"message":"full backup .* is done' \
    'who wants everything does'
like "$(<"$work/told")" 'PGBR_EVENT_LEVEL=info' 'also in the environment'
like "$(<"$work/told")" 'PGBR_EVENT_TEXT=INFO main: backup: full backup' 'as a line for people'

before=$(catalog 'select count(*) from event')
fails 2 'has no repository "nowhere"' 'a command line with a mistake in it' pgbr backup main --repo nowhere
is "$(got ops)|$(catalog 'select count(*) from event')" "0|$before" 'is no event, and nobody is told'
cluster_stop main
fails 1 'cannot connect' 'a backup that fails' pgbr backup main
comes ops 1
is "$(got ops)|$(field ops level)|$(field ops kind)|$(field ops cluster)" '1|error|backup|main' 'is told at once'
like "$(field ops text)" '^ERROR main: backup: backup failed: .*cannot connect' 'with its reason'
fails 1 'cannot connect' 'the same once more' pgbr backup main
is "$(got ops)" 1 'is not told again'
like "$(pgbr notify list)" '1 event told, 1 more of the same, 0 pending' 'but counted'
fails 1 'cannot connect' 'a check that fails' pgbr check main
comes ops 2
is "$(got ops)|$(field ops kind)" '2|check' 'is another matter'
cluster_start main
ok 'a backup that works again' pgbr backup main
comes ops 3
is "$(got ops)|$(field ops level)|$(field ops recovered)" '3|info|True' 'is told to whom it was told that it did not'
ok 'the next' pgbr backup main
is "$(got ops)" 3 'is not'
forget

victim=$(find "$work/repo" -type f -name '*000000010000000000000005*' | head -1)
mv "$victim" "$work/victim"
fails 3 '' 'list finds a gap' pgbr list main
pgbr notify send ops
like "$(field ops level)|$(field ops kind)|$(field ops message)" '^error\|wal gap\|WAL is missing in repository "local": timeline 1 from 0/5000000 to 0/6000000$' \
    'which is told'
fails 3 '' 'list finds it again' pgbr list main
mv "$work/victim" "$victim"
ok 'and no longer' pgbr list main
pgbr notify send ops
is "$(got ops)|$(field ops level)|$(field ops kind)|$(field ops recovered)" '2|info|wal gap|True' 'which is told too'
forget

# ---- what cannot be delivered

mode ops 500
event error job 'nobody is there'
fails 3 '0 notifications sent, 1 failed, 1 event waiting' 'a receiver that answers 500' pgbr notify send ops
fails 3 'last failure: http://127.0.0.1:[0-9]+ answered 500, not 2xx' 'is shown by list' pgbr notify list
like "$out" 'pending: event [0-9]+ of .*, 1 try, next at .*: error main: job: nobody is there' 'with what waits, and until when'
is "$(pgbr notify list --json | python3 -c 'import json,sys; r = json.load(sys.stdin)[0]; print(r["waiting"], r["pending"][0]["tries"])')" \
    '1 1' 'also as JSON'
mode ops 200
ok 'before its time' pgbr notify send ops
is "$(got ops)" 0 'it is not tried again'
due
ok 'and then' pgbr notify send
is "$(got ops)|$(field ops message)" '1|nobody is there' 'it is delivered'
due
ok 'once more' pgbr notify send
is "$(got ops)" 1 'and not twice'

mode ops hang
event error job 'killed in the middle'
as_owner "$PGBR" -c "$config" notify send ops 5>&- 6>&- &
wait_for 20 grep -q 'killed in the middle' "$work/ops/unanswered"
is "$(pgrep -fc hidden- || true)" 0 'no secret is in the list of processes'
kill -KILL "$(<"$work/state/notify-ops.lock")"
wait $! || true
is "$(catalog "select state, tries from delivery order by id desc limit 1")" 'pending|1' 'a process killed in a delivery leaves it pending'
mode ops 200
due
ok 'the next' pgbr notify send
is "$(field ops message)" 'killed in the middle' 'delivers it'

gave_up_waiting() {
    catalog 'select error from delivery' | grep -q 'has not answered within 6 s'
}
for how in hang trickle; do
    mode ops $how
    cluster_stop main
    forget
    begun=$SECONDS
    fails 1 'notifications are not delivered after 5 s, and go on' "a backup while a receiver does $how" pgbr backup main
    ok 'ends after six seconds at most' test $((SECONDS - begun)) -le 6
    wait_for 20 gave_up_waiting
    pass 'what goes on after it gives up in its own time'
    cluster_start main
done
mode ops 200
forget
catalog "update event set time_us = 0"
event error job 'too late'
mode ops cut
fails 3 '1 failed' 'a receiver that hangs up' pgbr notify send ops
catalog 'update delivery set created_us = created_us - 86401000000'
ok 'a day later' pgbr notify send ops
like "$(pgbr notify list)" '0 pending, 1 given up' 'an event is given up'
like "$(grep 'given up' "$work/log/test.log")" 'receiver "ops": 1 notification is given up' 'which is said'
mode ops 200
forget

printf '#!/bin/sh\necho it went wrong >&2; exit 7\n' >"$work/tell"
event info job 'unheard'
fails 3 'tell" ended with status 7: it went wrong' 'what a command says when it fails is logged' pgbr notify send
receivers "$ops" "mail: {command: 'sleep 97 & sleep 98', events: [info], timeout: 1 s}"
due
fails 3 'had not ended after 1 s .* and was killed' 'a command that hangs' pgbr notify send
is "$(pgrep -fc '^sleep 9[78]' || true)" 0 'is killed with its children'
receivers "$ops" "mail: {command: '(trap \"\" TERM; exec sleep 97) & kill -STOP \$\$', events: [info], timeout: 1 s}"
due
fails 3 'had not ended after 1 s .* and was killed' 'one that is stopped' pgbr notify send
is "$(pgrep -fc '^sleep 97|kill -STOP' || true)" 0 'is killed too, with a child that does not want to end'

# ---- many at once

receivers "${ops/timeout: 6 s/timeout: 6 s, rate_limit: 4\/h}"
forget
for i in {1..10}; do
    event error job "job number $i: $(tr 0-9 a-j <<<"$i$i") failed"
    event warning hold "hold $(tr 0-9 a-j <<<"$i$i") ends"
done
ok 'twenty events at once' pgbr notify send
is "$(got ops)" 2 'are two notifications, where four may go in an hour'
is "$(field ops kind)|$(field ops errors)|$(field ops warnings)|$(field ops level)" 'summary|9|10|error' 'the second holds all the rest'
like "$(field ops text)" '^ERROR main: 19 events together.*: 9 errors, 10 warnings; the last: hold' 'in words too'
event error job 'one more of these'
ok 'what comes then' pgbr notify send
is "$(got ops)" 2 'waits'
like "$(pgbr notify list)" '20 events told, 0 more of the same, 1 pending' 'and is not lost'

# ---- TLS

cd "$work"
mkdir tls
for name in ours other; do
    openssl req -x509 -newkey rsa:2048 -nodes -keyout tls/$name.key -out tls/$name.crt -days 2 \
        -subj "/CN=$name authority" 2>/dev/null
done
openssl req -newkey rsa:2048 -nodes -keyout tls/server.key -out tls/server.csr -subj /CN=localhost 2>/dev/null
openssl x509 -req -in tls/server.csr -CA tls/ours.crt -CAkey tls/ours.key -CAcreateserial -days 2 \
    -out tls/server.crt -extfile <(echo subjectAltName=DNS:localhost) 2>/dev/null
chmod 755 tls && chmod 644 tls/*
hook_start tls_hook "$work/tls/server.crt" "$work/tls/server.key"
url="url: https://localhost:$hook_port/hidden-path"
printf '# a comment\nX-Key: hidden-header\n' >"$work/header"
receivers "good: {$url, ca_file: $work/tls/ours.crt, header_file: $work/header}" \
    "bad: {$url, ca_file: $work/tls/other.crt}" "none: {$url}" \
    "name: {url: 'https://127.0.0.1:$hook_port/hidden-path', ca_file: $work/tls/ours.crt}" \
    "gone: {$url, ca_file: $work/tls/nothing.crt}"
fails 1 'ok +receiver "good" .*: answered 200' 'a private authority that is named is trusted' pgbr notify test
like "$out" 'failed +receiver "bad" .*certificate of https://localhost:[0-9]+ is refused' 'another is not'
like "$out" 'failed +receiver "none" .*certificate .* is refused' 'nor is it when none is named'
like "$out" 'failed +receiver "name" .*certificate .* is refused' 'nor for another name'
like "$out" 'failed +receiver "gone" .*"ca_file" "[^"]*nothing.crt" cannot be used' 'a file that is not there is named'
like "$(<"$work/tls_hook/headers")" 'X-Key: hidden-header' 'headers from a file are sent'

# ---- what must not be

printf 'notify: {ops: {url: "http://example.com/x", token: hidden-token}}\n' >>"$config.bad"
{
    grep -v -e '^notify' -e '^  [a-z]*: {u' "$config"
    cat "$config.bad"
} >"$config.both"
fails 2 'would send its token or headers in clear: use https' 'a token never travels in clear' \
    as_owner "$PGBR" -c "$config.both" notify list
receivers "$ops"
forget
printf 'no WAL' >"$work/main/pg_wal/00000001000000FF00000001"
chmod 644 "$work/main/pg_wal/00000001000000FF00000001"
fails 1 'a WAL segment has' 'an archive-push that fails' pgbr archive-push main "$work/main/pg_wal/00000001000000FF00000001"
is "$(got ops)" 0 'tells nobody'
unlike "$(cat "$work/log/test.log" <(catalog 'select error from delivery' 'select text from event'))" \
    'hidden-(path|query|token|header)' 'no secret is in a log, or in the catalog'
is "$(grep -c 'hidden-' "$work/state/catalog.db" || true)" 0 'not anywhere in its file'
done_testing
