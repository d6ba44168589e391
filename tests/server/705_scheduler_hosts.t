#!/bin/bash
# Jobs of two hosts that share a repository: the one with the right role runs them, one of them, also
# while roles change. The hosts are two state directories and two servers.
. "${0%/*}/../lib/pgbr.sh"

cluster_init main 15 --wal-segsize=1
cluster_start main
write_config --cluster 'wal_wait_timeout: 20s' --local 'lease_ttl: 4s' --local 'lease_heartbeat: 1s' main
pgbr init main
archive_on main
sql main 'create table t as select generate_series(1, 1000)'
cluster_standby standby main
cp "$config" plain.yml
patroni=''

jobs() { # LINE...: both hosts' configurations with these jobs
    { printf '%s\n' 'jobs:' "${@/#/  }" && cat plain.yml; } >"$config"
    sed "s|^state_dir: .*|state_dir: $work/state2|; s|^    data: .*|    data: $work/standby|
        s|^    connection: .*|    connection: \"$(connection standby)\"|" "$config" >there.yml
    echo "    primary: \"$(connection main)\"" >>there.yml
    [ -z "$patroni" ] || echo "    patroni: $patroni" >>"$config"
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" "$config" there.yml
    chmod 600 "$config" there.yml
}
at() { # TIME (UTC) [FACTOR]: what the schedulers' clocks show from now on, and how fast they are
    PGBR_TEST_CLOCK=$(date -u -d "$1 UTC" +%s):${2:-1}:$(date +%s)
    export PGBR_TEST_CLOCK
}
here() { # one pass of this host's scheduler; what it says
    pgbr scheduler run --once 2>&1 || true
}
there() {
    as_owner "$PGBR" -c "$work/there.yml" scheduler run --once 2>&1 || true
}
count_backups() {
    pgbr list main --json 2>/dev/null | grep -c '"label"' || true
}
count_leases() {
    find "$work/repo/main/lease" -type f | wc -l
}

# ---- primary, replica
jobs "p: {run: verify, cron: '0 1 * * *', time_zone: UTC, role: primary}" \
    "r: {run: 'verify --deep', cron: '0 2 * * *', time_zone: UTC, role: replica}"
at '2026-03-01 00:59'
here && there
at '2026-03-01 01:00:01'
like "$(there)" 'job p: waits: the server here is a replica; waiting whether another host does it' \
    'a replica looks whether the primary does it'
like "$(here)" 'job p: done' 'the primary does'
at '2026-03-01 01:01:01'
like "$(there)" 'job p: not run here: host ".*/state" ran it' 'the replica sees that it did'
unlike "$(there)$(here)" 'job p' 'that is all'
at '2026-03-01 02:00:01'
like "$(here)" 'job r: waits: the server here is a primary' 'a job of replicas waits on the primary'
like "$(there)" 'job r: done' 'and runs on the replica'
at '2026-03-01 02:10:01'
like "$(here)" 'job r: not run here: host ".*/state2" ran it' 'which the primary sees'
at '2026-03-02 01:10:01'
like "$(there)" 'job p: not run here: the server here is a replica' 'after ten minutes the replica looks no more'

# ---- prefer-replica
jobs "v: {run: verify, cron: '0 3 * * *', time_zone: UTC, role: prefer-replica}"
at '2026-03-02 02:59'
here && there
at '2026-03-02 03:00:01'
like "$(here)" 'job v: waits: the server here is a primary' 'the primary leaves it to replicas'
like "$(there)" 'job v: done' 'a replica does it'
at '2026-03-02 03:01:01'
like "$(here)" 'job v: not run here: host ".*/state2" ran it' 'so the primary need not'
at '2026-03-03 03:00:01'
like "$(here)" 'job v: waits' 'where no replica is there'
at '2026-03-03 03:10:01'
like "$(here)" 'job v: done' 'the primary does it after role_wait'
like "$(there)" 'job v: not run here: host ".*/state" ran it' 'and the replica, back again, does not'

# ---- a host that fails
jobs "f: {run: verify, cron: '30 4 * * *', time_zone: UTC, retries: 0, before: 'false'}"
sed -i "s/before: 'false'/before: 'true'/" there.yml
at '2026-03-03 04:29'
here && there
at '2026-03-03 04:30:01'
before=$(count_leases)
like "$(here)" 'job f: failed .*the "before" command ended with status 1' 'what fails on one host'
like "$(there)" 'job f: done' 'is not done: the other host does it'
is "$(count_leases)" $((before + 1)) 'no lease is left of what failed'

# ---- a host that runs it and dies, seen by one that would be the second choice
jobs "v: {run: verify, cron: '40 4 * * *', time_zone: UTC, role: prefer-replica, role_wait: 0, before: 'sleep 30'}"
at '2026-03-03 04:39'
here && there
at '2026-03-03 04:40:01'
as_owner "$PGBR" -c "$work/there.yml" scheduler run --once >there.log 2>&1 &
begun_there() { grep -q 'running its "before"' there.log; }
wait_for 10 begun_there
like "$(here)" 'job v: waits: host ".*/state2" runs it' 'what is under way elsewhere is not done yet'
pkill -KILL -f "^$PGBR -c $work/there.yml scheduler" # this test's own program
sleep 5
jobs "v: {run: verify, cron: '40 4 * * *', time_zone: UTC, role: prefer-replica, role_wait: 0}"
at '2026-03-03 04:41:00'
like "$(here)" 'job v: done' 'and where that host dies, it is done here'

# ---- any: both start at the same moment
jobs "b: {run: backup --type full, cron: '0 4 * * *', time_zone: UTC}"
at '2026-03-04 03:59'
here && there
at '2026-03-04 04:00:00'
before=$(count_backups)
here >here.log &
there >there.log
wait $!
is "$(count_backups)" $((before + 1)) 'of two hosts at the same moment, one takes the backup'
like "$(cat here.log there.log)" 'job b: done' 'it says so'
at '2026-03-04 04:02:00'
like "$(here)$(there)" 'job b: not run here: (host .* ran it|backup .* was begun at its time or later)' 'and the other that it need not'
is "$(count_backups)" $((before + 1)) 'no more is taken'

# ---- a host that dies
jobs "b: {run: backup --type full, cron: '0 4 * * *', time_zone: UTC, before: 'sleep 20'}"
sleep 2 # the backup before is older than this second
at '2026-03-05 04:00:00' 20
pgbr scheduler run --once >here.log 2>&1 &
begun() { grep -q 'running its "before"' here.log; }
wait_for 10 begun
like "$(there)" 'job b: waits: host ".*/state" runs it' 'while one host runs it, the other waits'
pkill -KILL -f "^$PGBR -c $config scheduler" # this test's own program
sleep 5
jobs "b: {run: backup --type full, cron: '0 4 * * *', time_zone: UTC}"
like "$(there)" 'job b: done' 'when that host is silent for longer than its lease lives, the other does it'

# ---- a role that is not certain
jobs "p: {run: backup --type full, cron: '0 5 * * *', time_zone: UTC, role: primary}"
at '2026-03-06 04:59'
here && there
cluster_stop main immediate
sleep 2
at '2026-03-06 05:00:00' 20
like "$(here)" 'job p: waits: the role of the server here is not certain: cannot connect' 'a server that is down has no role'
like "$(pgbr scheduler list)" 'waits: the role of the server here is not certain' 'list tells why it waits'
like "$(there)" 'job p: waits: the server here is a replica' 'the standby is not promoted yet'
cluster_config standby "archive_command = '$PGBR -c $work/there.yml archive-push main %p'"
as_owner "$(cluster_bin standby)/pg_ctl" -D "$work/standby" -w promote
sleep 2
before=$(count_backups)
like "$(there)" 'job p: done' 'after the failover the new primary does what was due meanwhile'
is "$(count_backups)" $((before + 1)) 'a backup'

# ---- Patroni
cluster_start main # the old primary comes back, and takes itself for one
freeport=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >patroni.py <<'END'
import http.server, sys
class Patroni(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = open("answer").read().split(" ", 1)
        self.send_response(int(status) if self.path == "/patroni" else 404)
        self.end_headers()
        self.wfile.write(body.encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Patroni).serve_forever()
END
answer() {
    echo "$*" >answer.new && mv answer.new answer
}
answer 200 '{"state": "running", "role": "replica"}'
python3 patroni.py "$freeport" &
server=$!
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$freeport"); }
wait_for 10 listens
patroni=http://127.0.0.1:$freeport
jobs "q: {run: check, cron: '* * * * *', time_zone: UTC, role: primary, retries: 0}"
at '2026-03-07 00:00:59'
here
at '2026-03-07 00:01:00'
like "$(here)" 'job q: waits: .*Patroni says that the server is a replica, the server itself that it does not recover' \
    'where Patroni and the server do not agree, nothing is certain'
answer 200 '{"state": "running", "role": "master", "timeline": 1}'
at '2026-03-07 00:02:00'
like "$(here)" 'job q: running its|job q: (done|failed)' 'where they do, the job runs'
answer 503 '{"state": "starting", "role": "replica"}'
at '2026-03-07 00:03:00'
like "$(here)" 'job q: waits: .*Patroni at "http://.*it says that the server is \\?"starting' 'a server that is starting is waited for'
answer 200 '<html>'
at '2026-03-07 00:04:00'
like "$(here)" 'job q: waits: .*its answer has no "state" and "role"' 'so is an answer that is none of Patroni'
kill "$server"
at '2026-03-07 00:05:00'
like "$(here)" 'job q: waits: .*Patroni at .*(refused|connect)' 'and a Patroni that is not there'
done_testing
