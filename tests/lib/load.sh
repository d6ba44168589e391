# shellcheck shell=bash
#
# load.sh - clients that write, and keep a ledger of what they wrote outside the database. To be
# read after pgbr.sh by tests that need it:
#
#     . "$lib/load.sh"
#
#   load_tables NAME          makes the tables; the cluster needs track_commit_timestamp = on and
#                             max_prepared_transactions = 20
#   load_start NAME CLIENTS   starts so many clients; may be called again after load_stop
#   load_stop NAME            ends them; what they had begun may or may not be committed
#   load_count NAME           prints how many transactions were acknowledged
#   load_sum NAME             prints a hash of what the database holds of it
#   ids_sum                   the same of a list of payload ids, from standard input
#   wal_events NAME           all WAL records since load_tables, as PostgreSQL itself tells them from
#                             the cluster's own pg_wal: "lsn kind xid time", kinds C (commit),
#                             A (abort), P (restore point; its name instead of xid, with "_" for
#                             blanks), - (others); the LSN as a decimal number
#   ledger NAME               what the clients know, in one stream, one line per step:
#                             T|id|xid|lsn       written, and about to be committed
#                             C|id|xid|time|lsn  the server acknowledged the commit
#                             A|id|xid           rolled back on purpose
#
# Each transaction writes its id into table "ledger" and moves an amount between two accounts, whose
# sum is therefore always 0; some use subtransactions, some are prepared first, some are rolled back.

load_dir=${work:?}/load
mkdir -p "$load_dir"

load_tables() {
    sql "$1" "create table ledger (id bigint primary key, filler text)" \
        "create table account (id int primary key, amount bigint)" \
        "insert into account select n, 0 from generate_series(0, 199) n" "checkpoint"
    [ "$(cat "$work/$1/PG_VERSION")" -le 15 ] || sql "$1" "create extension pg_walinspect"
    sql "$1" "select pg_current_wal_insert_lsn()" >"$load_dir/$1.start"
}

# Endless: the pipe keeps it from running ahead by more than its size.
load_script() { # CLIENT ROUND
    awk -v client="$1" -v round="$2" 'BEGIN {
        srand(client * 1000 + round)
        print "set timezone = \x27UTC\x27;"
        for (n = 1;; n++) {
            id = (round * 100 + client) * 1000000 + n
            kind = int(rand() * 16)
            print "begin;"
            printf "insert into ledger values (%d, repeat(md5(\x27%d\x27), %d));\n", id, id, \
                rand() * 40
            if (kind == 1) print "savepoint s;"
            printf "update account set amount = amount - %d where id = %d;\n", n, client * 2
            if (kind == 1) print "release s;"
            printf "update account set amount = amount + %d where id = %d;\n", n, client * 2 + 1
            print "select pg_current_xact_id() as xid, pg_current_wal_insert_lsn() as lsn \\gset"
            printf "\\qecho T|%d|:xid|:lsn\n", id
            if (kind == 2) {
                printf "rollback;\n\\qecho A|%d|:xid\n", id
                continue
            }
            if (kind == 3)
                printf "prepare transaction \x27p%d\x27;\ncommit prepared \x27p%d\x27;\n", id, id
            else
                print "commit;"
            printf "select \x27C\x27, %d, :xid, pg_xact_commit_timestamp((:xid)::text::xid), " \
                "pg_current_wal_insert_lsn();\n", id
            printf "select from pg_sleep(%.4f);\n", rand() * 0.02
        }
    }'
}
load_start() {
    local client round
    round=$(find "$load_dir" -name "$1.*.ledger" | wc -l)
    rm -f "$load_dir/$1.pids"
    for ((client = 0; client < $2; client++)); do
        PGOPTIONS="-c client_min_messages=warning" pg_client psql -XAtq -v ON_ERROR_STOP=1 \
            -d "$(connection "$1")" -o "$load_dir/$1.$round.$client.ledger" \
            < <(load_script "$client" "$round" 2>/dev/null) &
        echo $! >>"$load_dir/$1.pids"
    done
}
load_stop() {
    local pid pids
    mapfile -t pids <"$load_dir/$1.pids"
    for pid in "${pids[@]}"; do
        # shellcheck disable=SC2046
        kill $(children "$pid") "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm "$load_dir/$1.pids"
    # no transaction is left half-way, and none of the clients' sessions
    wait_for 30 load_is_over "$1"
    # a client that ended between PREPARE and COMMIT PREPARED leaves locks behind
    local gid
    for gid in $(sql "$1" "select gid from pg_prepared_xacts where database = current_database()"); do
        sql "$1" "rollback prepared '$gid'"
    done
}
load_is_over() {
    [ "$(sql "$1" "select count(*) from pg_stat_activity where query ~ 'ledger|pg_sleep|account'
                   and pid <> pg_backend_pid() and backend_type = 'client backend'")" = 0 ]
}
ledger() {
    cat "$load_dir/$1".*.ledger
}
load_count() {
    ledger "$1" | grep -c '^C'
}
ids_sum() {
    sort -n | sha256sum | cut -d' ' -f1
}
load_sum() {
    sql "$1" "select id from ledger" | ids_sum
}
# pg_waldump of Debian's version, or, of newer servers, the same from SQL
wal_dump() {
    local start
    start=$(cat "$load_dir/$1.start")
    if [ "$(cat "$work/$1/PG_VERSION")" -gt 15 ]; then
        sql "$1" "select format('rmgr: %s tx: %s, lsn: %s, prev %s, desc: %s %s', resource_manager, xid,
                start_lsn, prev_lsn, record_type, description)
            from pg_get_wal_records_info('$start', pg_current_wal_flush_lsn())"
    else
        as_owner /usr/lib/postgresql/15/bin/pg_waldump -p "$work/$1/pg_wal" -s "$start" || true
    fi # pg_waldump ends where WAL ends, which is an error to it
}
wal_events() {
    TZ=UTC PGTZ=UTC wal_dump "$1" |
        perl -ne '
            /^rmgr: (\S+) .*tx: +(\d+), lsn: (\w+)\/(\w+), prev \S+, desc: (.*)/ or next;
            my ($rmgr, $xid, $high, $low, $what) = ($1, $2, $3, $4, $5);
            my ($kind, $time) = ("-", "-");
            if ($rmgr eq "Transaction" &&
                $what =~ /^(COMMIT|ABORT)(_PREPARED)? (?:(\d+): )?(\S+ [\d:.]+)(?: UTC|\+00)/) {
                $kind = substr $1, 0, 1;
                $xid = $3 if defined $3;
                $time = $4 =~ tr/ /T/r;
            } elsif ($rmgr eq "XLOG" && $what =~ /^RESTORE_POINT (.*)/) {
                ($kind, $xid) = ("P", $1 =~ tr/ /_/r);
            }
            print hex($high) * 4294967296 + hex($low), " $kind $xid $time\n";'
}
