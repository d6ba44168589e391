#!/bin/bash
# tidy.sh COMPILER FLAGS... FILE... - clang-tidy (checks in .clang-tidy) with the flags of the build.
# Arguments that end in .c are the files, all others are flags.
set -u
files=() flags=()
for arg in "${@:2}"; do
    case $arg in
    *.c) files+=("$arg") ;;
    -M*) ;;
    *) flags+=("$arg") ;;
    esac
done
clang-tidy --quiet --warnings-as-errors='*' "${files[@]}" -- "${flags[@]}" 2> >(
    grep -v 'warnings generated\|Suppressed\|Use -header-filter' >&2)
