#!/bin/bash
# Logs fit a log shipper: every line of standard error is one event, with the same fields.
. "${0%/*}/../lib/pgbr.sh"

check_lines() { # FILE CLUSTER INSTANCE: prints how many lines, or what is wrong with one
    python3 - "$@" <<'END'
import json, re, sys
name, cluster, instance = sys.argv[1:]
lines = open(name, "rb").read().split(b"\n")
assert lines.pop() == b"", "the last line has no end"
for line in lines:
    try:
        row = json.loads(line.decode("utf-8"))
        assert len(line) < 4096, "too long"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["time"]), "time"
        assert row["level"] in ("error", "warning", "info", "debug"), "level"
        assert isinstance(row["pid"], int) and row["host"] and row["command"], "pid, host, command"
        assert isinstance(row["message"], str) and row["message"], "message"
        early = "holds a secret" in row["message"] or row["message"].startswith('line ')
        if not early: # what is said of the file as a whole comes before the cluster is chosen
            assert row["cluster"] == cluster and row["instance"] == instance, "cluster, instance"
        extra = set(row) - {"time", "level", "pid", "host", "command", "cluster", "instance", "message"}
        assert not extra, "unknown: %s" % extra
    except Exception as e:
        print("%s: %r" % (e, line))
        sys.exit()
print("%d lines" % len(lines))
END
}
json() { # ARG...: a command whose standard error goes into $work/err; its status into $status
    status=0
    as_owner env PGBR_LOG_FORMAT=json "$PGBR" -c "$config" "$@" 2>>"$work/err" || status=$?
}

cluster_start main
write_config --top 'log: {format: json, level: debug}' --cluster 'instance: main-1' main
pgbr init main
archive_on main
sql main 'create table "t
\"\\ ümläut" (i int); insert into t values (1)' 2>/dev/null || true
: >"$work/err"
chmod 666 "$work/err"
json backup main
is $status 0 'a backup'
json check main
json verify main
json expire main
json list main
json backup --type incr main
json restore main --plan --target-time '2001-01-01 00:00Z'
is $status 1 'a target that cannot be reached'
json restore main --data-dir "$work/copy" --target immediate
is $status 0 'a restore'
json archive-push main "$work/main/pg_wal/$(printf 'no\nsuch \033[31m\377file')"
is $status 2 'an archive-push with a hostile name'
json archive-get main 000000010000000000000099 "$work/nothing"
is $status 1 'an archive-get of nothing'
cluster_stop main
json backup main
is $status 1 'a backup without a server'
like "$(check_lines "$work/err" main main-1)" '^[0-9]{2,} lines$' 'every line is an object with all fields'
diag "$(check_lines "$work/err" main main-1)"

# Several processes write to one pipe; no line is torn.
for _ in 1 2 3 4; do
    (for _ in {1..8}; do as_owner "$PGBR" -c "$config" backup main || true; done) 5>&- 6>&- &
    writers="${writers:-} $!"
done 2> >(cat >"$work/mixed")
# shellcheck disable=SC2086
wait $writers
wait_for 10 test "$(wc -l <"$work/mixed")" -ge 32
like "$(check_lines "$work/mixed" main main-1)" '^[0-9]{2,} lines$' 'lines of several processes do not mix'

# What is wrong before the configuration can be read.
for wrong in "backup --nonsense" "nonsense" "-c $work/none list"; do
    # shellcheck disable=SC2086
    is "$(as_owner env PGBR_LOG_FORMAT=json "$PGBR" $wrong 2>&1 >/dev/null |
        python3 -c 'import json,sys; print([json.loads(l)["level"] for l in sys.stdin])')" "['error']" \
        "\"${wrong//$work\//}\" is told as JSON, where the environment says so"
done

write_config --top 'log: {format: text, level: debug}' main
fails 1 'cannot connect' 'as text' pgbr backup main
like "$out" '^2[0-9-]{9} [0-9:]{8}\.[0-9]{3}Z \[[0-9]+\] ERROR main cannot connect' 'a line has its time, level and cluster too'
done_testing
