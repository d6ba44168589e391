#!/bin/bash
# Incremental backups under a load that changes files in every way there is: what is restored from them
# is, page by page, what replay of all WAL makes of an older copy.
#
#   ROUNDS    how many rounds for each version       VERSIONS  of PostgreSQL, "13 15 18"
#   SEED      of the first round; round N of SEED s is round 1 of s+N-1
#   BACKUPS   on top of the full one (3)
# shellcheck disable=SC1091
: "${ROUNDS:=1}" "${VERSIONS:=13 15 18}" "${SEED:=$((RANDOM * 32768 + RANDOM))}" "${BACKUPS:=3}"
TEST_LIMIT=$((300 + 300 * ROUNDS * $(wc -w <<<"$VERSIONS")))
. "${0%/*}/../lib/pgbr.sh"
. "$top/tests/truth/truth.sh"

for ((n = 0; n < ROUNDS; n++)); do
    for major in $VERSIONS; do
        diag "round $((n + 1)) of $ROUNDS, PostgreSQL $major: SEED=$((SEED + n))"
        truth_round "$major" $((SEED + n)) "$BACKUPS"
        truth_end
    done
done
done_testing
