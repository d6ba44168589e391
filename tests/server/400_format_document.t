#!/bin/bash
# A reader written from docs/format.md alone brings a cluster back: what is stored is what the document says.
. "${0%/*}/../lib/pgbr.sh"

cp -r "$top/tests/format" "$work/reader"
chmod -R a+rX "$work/reader"
read_repo() { # REPOSITORY FOLDER, COMMAND...
    local folder=$1
    shift
    as_owner env PASSPHRASE="a word to pass" PYTHONDONTWRITEBYTECODE=1 \
        python3 "$work/reader/read_repo.py" "$folder" "$@"
}

for kind in v1/plain v1/encrypted v2/plain v2/encrypted; do
    golden=$work/golden-${kind/\//-}
    cp -r "$top/tests/golden/$kind" "$golden"
    [ "$run_as" = "$(id -un)" ] || chown -R "$run_as" "$golden"
    ok "the golden repository $kind is read" as_owner env PASSPHRASE="golden passphrase" \
        PYTHONDONTWRITEBYTECODE=1 python3 "$work/reader/read_repo.py" "$golden" main check
done

cluster_start main
write_config --cipher "a word to pass" --repo "plain: {path: $work/plain}" main
pgbr init main
archive_on main
as_owner mkdir "$work/space"
sql main "create tablespace far location '$work/space'"
sql main "create table t as select n, md5(n::text) as word from generate_series(1, 30000) n"
sql main "create table elsewhere tablespace far as select * from t" "create index on t (word)"
# zero pages within a file: a relation extended and never written to
file=$(sql main "create table holes (n int); select pg_relation_filepath('holes')" | tail -1)
sql main "insert into holes select generate_series(1, 20000)" "checkpoint"
for repo in plain local; do
    pgbr backup main --type full --repo "$repo"
done
sql main "update t set word = 'new' where n % 500 = 9" "vacuum t"
for repo in plain local; do
    pgbr backup main --type incr --repo "$repo"
done
sql main "delete from t where n % 3 = 0" "truncate holes"
wait_archived main

for repo in plain local; do
    folder=$work/plain name=plain
    [ "$repo" = plain ] || folder=$work/repo name=encrypted
    ok "$name: every object is as the document says" read_repo "$folder" main check
    labels=$(read_repo "$folder" main backups)
    is "$labels" "$(pgbr list main --repo "$repo" --json | grep -o '"label": *"[^"]*' | sed 's/.*"//' |
        sort -u)" "$name: the backups are those that list shows"
    for label in $labels; do
        [[ $label == *-I-* ]] && kind="$name incremental" || kind="$name full one"
        pgbr restore main --repo "$repo" --set "$label" --target immediate --data-dir "$work/by-pgbr" \
            --tablespace-map "far=$work/far-by-pgbr"
        read_repo "$folder" main file "$label" "data/$file" >"$work/one"
        ok "$kind: a file of the backup is the one that pgbr restores" \
            cmp "$work/one" "$work/by-pgbr/$file"
        ok "$kind: it has content" test -s "$work/one"

        as_owner mkdir -m 700 "$work/by-page"
        ok "$kind: all files of the backup are read" \
            read_repo "$folder" main restore "$label" "$work/by-page"
        ok "$kind: they are those that pgbr restores" diff -r --no-dereference \
            -x backup_manifest -x 'pg_*.signal' -x '*.signal' -x postgresql.auto.conf -x tablespace_map \
            -x pg_wal -x pg_tblspc "$work/by-pgbr" "$work/by-page"
        cluster_start by-page -c allow_in_place_tablespaces=on # as the reader makes them
        is "$(sql by-page "select count(*), sum(hashtext(word)) from elsewhere")" \
            "$(sql main "select count(*), sum(hashtext(word)) from elsewhere")" \
            "$kind: PostgreSQL starts on them and finds its rows"
        is "$(sql by-page "select count(*), count(*) filter (where word = 'new') from t, holes where t.n = holes.n")" \
            "20000|$([[ $label == *-I-* ]] && echo 40 || echo 0)" "$kind: as of the end of the backup"
        cluster_stop by-page
        as_owner rm -rf "$work/by-page" "$work/by-pgbr" "$work/far-by-pgbr"
    done
done

segment=$(find "$work/plain" -regex '.*/[0-9A-F]+/[0-9A-F]+/[0-9A-F]+' -printf '%f\n' | sort | tail -1)
pgbr archive-get main "$segment" "$work/got"
for folder in "$work/plain" "$work/repo"; do
    read_repo "$folder" main wal "$segment" >"$work/wal"
    ok "a WAL segment of ${folder##*/} is the one that archive-get delivers" cmp "$work/wal" "$work/got"
done

pack=$(find "$work/plain/main/data" -type f | sort | head -1)
printf '\x01' | as_owner dd of="$pack" bs=1 seek=5000 conv=notrunc
fails 1 'data/.*hash at rest' 'the reader sees damage' read_repo "$work/plain" main check
done_testing
