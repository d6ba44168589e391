#!/bin/sh
# No function over 80 lines, no file over 600. Usage: tests/sizes.sh FILE...
# Not meant for tests: tables of cases may be long.
# A function begins at a "{" in the first column and ends at the next "}" there.
awk '
    FNR == 1 { name = ""; from = 0 }
    /^[a-z].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
    /^\{/ { from = FNR }
    /^\}/ && from {
        if (FNR - from - 1 > 80) {
            printf "%s:%d: %s() has %d lines, 80 are the limit\n", FILENAME, from, name, FNR - from - 1
            bad = 1
        }
        from = 0
    }
    FNR == 601 { printf "%s: more than 600 lines\n", FILENAME; bad = 1 }
    END { exit bad }' "$@"
