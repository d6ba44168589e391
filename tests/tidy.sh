#!/bin/bash
# tidy.sh COMPILER FLAGS... FILE... - clang-tidy (checks in .clang-tidy) with the flags of the build.
# Arguments that end in .c are the files, all others are flags.
set -eu
files=() flags=()
for arg in "${@:2}"; do
    case $arg in
    *.c) files+=("$arg") ;;
    -M*) ;;
    *) flags+=("$arg") ;;
    esac
done

tidy() { # its count of suppressed warnings in system headers is of no interest
    clang-tidy --quiet "$@" 2> >(grep -v 'warnings\? generated' >&2)
}
status=0
for file in "${files[@]}"; do
    case $file in
    base/err.c | base/mem.c) tidy "$file" -- "${flags[@]}" || status=1 ;; # define what tidy.h hides
    *) tidy "$file" -- -include tests/tidy.h "${flags[@]}" || status=1 ;;
    esac
done
exit $status
