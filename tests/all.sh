#!/bin/bash
# Runs the suites of `make test` one after the other and ends with one line:
#     N passed, N failed, N skipped
# Counts come from the results that prove dumps. A suite that fails without a failed test in them (it
# did not build, a program died, something could not be installed) counts as one failure.
set -u
results=$B/results
passed=0 failed=0 skipped=0

count() { # PATTERN DIR
    find "$2" -type f -exec cat {} + | grep -cE "$1"
}

suite() { # NAME TARGET [VARIABLE=VALUE...]
    local name=$1 dir=$PWD/$results/$1 status=0 bad good
    shift
    mkdir -p "$dir"
    PERL_TEST_HARNESS_DUMP_TAP=$dir $MAKE --no-print-directory -j"$JOBS" B="$B" JOBS="$JOBS" "$@" ||
        status=$?
    skipped=$((skipped + $(count '^(not )?ok\b.*# *SKIP' "$dir")))
    good=$(($(count '^ok\b' "$dir") - $(count '^ok\b.*# *SKIP' "$dir")))
    bad=$(($(count '^not ok\b' "$dir") - $(count '^not ok\b.*# *SKIP' "$dir")))
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    case $name in
    deps | build) ;;
    *) [ $((good + bad)) -gt 0 ] || { echo "suite $name has no tests" && bad=1; } ;;
    esac
    passed=$((passed + good))
    failed=$((failed + bad))
    return "$status"
}

rm -rf "$results"
if suite deps deps && suite build all units; then
    suite unit unit
    suite model model
    suite server server
    suite crash crash ROUNDS="$ROUNDS"
    suite storm storm ROUNDS=3 # more take minutes: by hand
    suite day day HOURS=2 MOMENTS=5 # a whole one takes a quarter of an hour
    suite fuzz fuzz SECONDS="$SECONDS_EACH"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
