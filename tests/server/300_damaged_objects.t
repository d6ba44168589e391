#!/bin/bash
# Objects that were cut, altered, exchanged or brought back from elsewhere are refused, and named:
# by verify, by restore, by archive-get, by list where it reads them. Encrypted and plain.
. "${0%/*}/../lib/pgbr.sh"

# ---- two backups, WAL, and a second cluster in the same repository and in another one

cluster_init main 15 --wal-segsize=1
cluster_init other 15 --wal-segsize=1
small_packs() {
    sed -i "s|^    path: $work/.*|&\n    pack_size: 1MB|" "$config"
}
labels_of() { # CLUSTER
    find "$work/repo/$1/backup" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort
}
make_repository() { # [write_config OPTION...]
    rm -rf "$work/repo" "$work/elsewhere" "$work/state"
    write_config "$@" main other
    sed "s|$work/repo|$work/elsewhere|; s|$work/state|$work/state2|" "$config" >elsewhere.yml
    small_packs
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" elsewhere.yml
    pgbr init main && pgbr init other
    for name in main other; do
        if [ ! -e "$work/$name/postmaster.pid" ]; then
            cluster_start "$name"
            archive_on "$name"
        fi
        sql "$name" 'drop table if exists t' 'create table t as select n, md5(n::text) from generate_series(1, 20000) n'
    done
    pgbr backup main && pgbr backup main --type full && pgbr backup other # several packs each
    wait_archived main
    as_owner "$PGBR" -c elsewhere.yml init main
    mapfile -t labels < <(labels_of main)
    foreign=$(labels_of other)
    mapfile -t segments < <(cd "$work/repo" && find main/wal -regex '.*/[0-9A-F]*' -size +8k | sort)
    segment=${segments[0]##*/}
    cp -a "$work/repo" "$work/kept"
}

# ---- what must be said

get_refuses() { # WHAT PATTERN
    fails 200 "$2" "$1: archive-get refuses it" pgbr archive-get main "$segment" "$work/got"
    ok "$1: nothing was delivered" test ! -e "$work/got"
}
verify_names() { # WHAT KEY
    fails 3 "DAMAGED $2[: ]" "$1: verify names it" pgbr verify main
}
restore_refuses() { # WHAT PATTERN LABEL
    fails 1 "$2" "$1: restore refuses it" pgbr restore main --set "$3" --target immediate \
        --data-dir "$work/copy"
    ok "$1: nothing there could be started" test ! -e "$work/copy/global/pg_control"
    rm -rf "$work/copy"
}
list_names() { # WHAT PATTERN
    fails 3 "$2" "$1: list names it" pgbr list main
}

# ---- one object after the other

put_back() {
    rm -rf "$work/repo"
    cp -a "$work/kept" "$work/repo"
}
damage() { # HOW KEY: as a damaged disk or an enemy would
    local file=$work/repo/$2 size
    size=$(stat -c %s "$file")
    chmod 600 "$file"
    case $1 in
    cut:*) truncate -s "${1#cut:}" "$file" ;;
    half) truncate -s $((size / 2)) "$file" ;;
    shorter) truncate -s $((size - 1)) "$file" ;;
    longer) printf x >>"$file" ;;
    zeros) head -c "$size" /dev/zero >"$file" ;;
    flip:*)
        local at=${1#flip:} byte
        at=$(((at + size) % size)) # negative: from the end
        byte=$(od -An -tu1 -j "$at" -N 1 "$file")
        # shellcheck disable=SC2059
        printf "\\x$(printf %02x $((byte ^ 16)))" | dd of="$file" bs=1 seek="$at" conv=notrunc status=none
        ;;
    esac
}
try_damages() { # KIND
    local pack=main/data/${labels[1]}/00000/00000001 manifest=main/backup/${labels[1]}/manifest how
    for how in cut:0 cut:100 half shorter longer zeros flip:4 flip:70 flip:150 flip:-200 flip:-3; do
        damage "$how" "$pack"
        verify_names "$kind pack, $how" "$pack"
        # what only verify reads (directory, trailer) is nothing to a restore
        case $how in longer | flip:-*) ;; *) restore_refuses "$kind pack, $how" "$pack" "${labels[1]}" ;; esac
        put_back
        damage "$how" "$manifest"
        verify_names "$kind manifest, $how" "$manifest"
        restore_refuses "$kind manifest, $how" "${labels[1]}" "${labels[1]}"
        put_back
        damage "$how" "${segments[0]}"
        verify_names "$kind WAL, $how" "${segments[0]}"
        case $how in flip:-200) ;; *) get_refuses "$kind WAL, $how" "$segment" ;; esac
        put_back
    done
    for how in cut:0 cut:100 half shorter zeros flip:4 flip:150; do
        damage "$how" "$manifest"
        list_names "$kind manifest, $how" "${labels[1]}"
        fails 3 "WARNING.*${labels[1]} cannot be read" \
            "$kind manifest, $how: restore takes the backup before, and says so" \
            pgbr restore main --data-dir "$work/copy"
        rm -rf "$work/copy"
        put_back
        for object in pgbr-repo main/info/00000002; do
            damage "$how" "$object"
            rm -f "$work"/state/*.state # where nothing is remembered, all of it is read
            fails 1 "$object" "$kind $object, $how: list refuses it" pgbr list main
            fails 1 "$object" "$kind $object, $how: verify refuses it" pgbr verify main
            restore_refuses "$kind $object, $how" "$object" "${labels[1]}"
            put_back
        done
    done
}

# ---- whole objects in a wrong place

replace() { # FROM TO
    rm -f "$work/repo/$2"
    as_owner mkdir -p "$(dirname "$work/repo/$2")"
    cp -p "$work/kept/$1" "$work/repo/$2"
}
try_exchanges() { # KIND
    local old=${labels[0]} new=${labels[1]} pack made=20260101T000000Z-F-abcdef
    pack=main/data/$new/00000/00000001
    replace "main/data/$new/00000/00000000" "$pack"
    replace "$pack" "main/data/$new/00000/00000000"
    verify_names "$kind packs exchanged" "$pack"
    restore_refuses "$kind packs exchanged" "main/data/$new/00000/" "$new"
    put_back
    replace "main/data/$old/00000/00000001" "$pack"
    verify_names "$kind pack of an older backup" "$pack"
    restore_refuses "$kind pack of an older backup" "$pack" "$new"
    put_back
    replace "other/data/$foreign/00000/00000001" "$pack"
    verify_names "$kind pack of another cluster" "$pack"
    restore_refuses "$kind pack of another cluster" "$pack" "$new"
    put_back
    replace "main/backup/$old/manifest" "main/backup/$new/manifest"
    verify_names "$kind manifest of an older backup" "main/backup/$new/manifest"
    list_names "$kind manifest of an older backup" "$new"
    restore_refuses "$kind manifest of an older backup" "$new" "$new"
    put_back
    replace "${segments[1]}" "${segments[0]}"
    verify_names "$kind WAL segment of another name" "${segments[0]}"
    get_refuses "$kind WAL segment of another name" "$segment"
    put_back

    # whole backups: under another label, and another cluster's
    for from in "main $old" "other $foreign"; do
        as_owner cp -a "$work/repo/${from% *}/backup/${from#* }" "$work/repo/main/backup/$made"
        as_owner cp -a "$work/repo/${from% *}/data/${from#* }" "$work/repo/main/data/$made"
        verify_names "$kind backup of $from under another label" "main/backup/$made/manifest"
        list_names "$kind backup of $from under another label" "$made"
        restore_refuses "$kind backup of $from under another label" "$made" "$made"
        put_back
    done
    as_owner cp -a "$work/repo/other/backup/$foreign" "$work/repo/main/backup/"
    as_owner cp -a "$work/repo/other/data/$foreign" "$work/repo/main/data/"
    verify_names "$kind backup of another cluster" "main/backup/$foreign/manifest"
    list_names "$kind backup of another cluster" "$foreign"
    restore_refuses "$kind backup of another cluster" "$foreign" "$foreign"
    put_back

    # what makes the repository: of another one
    for object in pgbr-repo main/info/00000002; do
        rm -f "$work/repo/$object" "$work"/state/*.state
        cp -p "$work/elsewhere/$object" "$work/repo/$object"
        fails 1 'another repository' "$kind $object of another repository: list refuses it" pgbr list main
        restore_refuses "$kind $object of another repository" 'another repository' "$new"
        get_refuses "$kind $object of another repository" 'another repository'
        put_back
    done
}

for kind in encrypted plain; do
    if [ "$kind" = encrypted ]; then make_repository --cipher secret; else make_repository; fi
    ok "$kind: all is well before" pgbr verify main --deep
    try_damages
    try_exchanges
    ok "$kind: all is well when everything is back" pgbr verify main --deep
    rm -rf "$work/kept"
done
done_testing
