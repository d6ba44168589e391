#!/bin/bash
# What pgbr is for, in half a minute, on a throw-away PostgreSQL 15: back up, lose a table, get it back.
# Every command is shown as it runs. Nothing outside one temporary folder is touched.
set -Eeu

pg=/usr/lib/postgresql/15/bin
owner=$(id -un)
[ "$(id -u)" -ne 0 ] || owner=postgres # a server never runs as root
dir=$(mktemp -d /tmp/pgbr-demo.XXXXXX)
started=$SECONDS
unset PGOPTIONS PGSERVICE PGDATA
export LC_ALL=C.UTF-8 PATH=$dir/bin:$pg:$PATH PGHOST=$dir PGUSER=postgres PGDATABASE=postgres PGPORT=5432

say() {
    echo
    printf '%s\n' "$@"
}
as_owner() {
    if [ "$owner" = "$(id -un)" ]; then "$@"; else runuser -u "$owner" -- "$@"; fi
}
run() { # shows the command as one would type it, then runs it
    local arg line='' plain='^[A-Za-z0-9_./=:+-]+$'
    for arg in "$@"; do
        if [[ $arg == *\'* ]]; then
            arg=\"$arg\"
        elif [[ ! $arg =~ $plain ]]; then
            arg="'$arg'"
        fi
        line+=" $arg"
    done
    printf '    $%s\n' "$line"
    as_owner "$@" 2>&1 | sed 's/^/    /'
    return "${PIPESTATUS[0]}"
}
ask() { # PORT STATEMENT: an answer for this script itself
    as_owner psql -XAtq -v ON_ERROR_STOP=1 -p "$1" -c "$2"
}
stop() {
    [ ! -s "$dir/$1/postmaster.pid" ] || as_owner pg_ctl -D "$dir/$1" -s -m immediate stop
}
clean_up() {
    local status=$?
    trap - EXIT ERR
    set +e
    cd /
    if [ $status -ne 0 ]; then
        say "the demo failed (status $status); the servers' last words:"
        tail -n 20 "$dir"/*.log
    fi
    stop shop
    stop copy
    rm -rf "$dir"
    exit $status
}
trap clean_up EXIT
trap 'exit 143' INT TERM HUP

mkdir "$dir/bin"
cp "$PGBR" "$dir/bin/pgbr"
[ "$owner" = "$(id -un)" ] || chown -R "$owner" "$dir"
chmod 755 "$dir"
cd "$dir"

say 'A new database server, "shop", with a table of orders.'
as_owner initdb -D "$dir/shop" -U postgres -A trust --data-checksums -N >/dev/null
echo "unix_socket_directories = '$dir'" >>shop/postgresql.conf
echo "listen_addresses = ''" >>shop/postgresql.conf
run pg_ctl -D shop -l shop.log -s -w start
run psql -q -c "create table orders as select n, md5(n::text) as item from generate_series(1, 100000) n"

say "pgbr's configuration: where backups go, and which cluster."
as_owner tee pgbr.yml <<END | sed 's/^/    /'
state_dir: $dir/state
repos:
  local: {path: $dir/backups, retention_full_type: count, retention_full: 2}
repo: local
clusters:
  shop:
    data: $dir/shop
    connection: "host=$dir user=postgres dbname=postgres"
    repos: [local]
END

say "The repository is made. From now on PostgreSQL hands every WAL segment to pgbr."
run pgbr -c pgbr.yml init shop
run psql -q -c "alter system set archive_mode = on" \
    -c "alter system set archive_command = '$dir/bin/pgbr -c $dir/pgbr.yml archive-push shop %p'"
run pg_ctl -D shop -l shop.log -s -w restart

say "A full backup, taken while the server works."
run pgbr -c pgbr.yml backup shop

say "Business goes on: orders arrive after the backup too."
run psql -q -c "insert into orders select n, md5(n::text) from generate_series(100001, 123456) n"
sleep 1.1
moment=$(ask 5432 "select date_trunc('second', now())")
sleep 1
say "It was $moment when all was well. Then somebody makes a mistake."
run psql -q -c "drop table orders"

say "The mistake is noticed. What was written last is handed to the archive, and a copy is made as of" \
    "that moment, in a directory of its own. The original is not touched."
segment=$(ask 5432 "select pg_walfile_name(pg_current_wal_insert_lsn())")
run psql -q -At -c "select pg_switch_wal()"
for _ in {1..300}; do
    [ ! -e "shop/pg_wal/archive_status/$segment.done" ] || break
    sleep 0.1
done
run pgbr -c pgbr.yml list shop
run pgbr -c pgbr.yml restore shop --target-time "$moment" --target-action promote \
    --data-dir "$dir/copy"

say "PostgreSQL starts on it and replays the WAL up to that moment."
run pg_ctl -D copy -l copy.log -s -w start -o "-p 5433"
for _ in {1..600}; do
    [ "$(ask 5433 "select pg_is_in_recovery()")" = t ] || break
    sleep 0.1
done
run psql -p 5433 -c "select count(*) as orders from orders"
rows=$(ask 5433 "select count(*) from orders")
if [ "$rows" != 123456 ]; then
    say "expected 123456 orders, found $rows"
    exit 1
fi
say "All 123456 orders are back. That took $((SECONDS - started)) seconds; everything is removed again."
