#!/bin/bash
# tidy.sh COMPILER FLAGS... FILE... - clang-tidy (checks in .clang-tidy) with the flags of the build.
# Arguments that end in .c are the files, all others are flags.
set -eu
files=() flags=(-include tests/tidy.h)
for arg in "${@:2}"; do
    case $arg in
    base/err.c) clang-tidy --quiet base/err.c -- -std=gnu17 -D_GNU_SOURCE -I. ;;
    *.c) files+=("$arg") ;;
    -M*) ;;
    *) flags+=("$arg") ;;
    esac
done
[ ${#files[@]} -eq 0 ] || clang-tidy --quiet "${files[@]}" -- "${flags[@]}" 2> >(
    grep -v 'warnings generated\|Suppressed\|Use -header-filter' >&2)
