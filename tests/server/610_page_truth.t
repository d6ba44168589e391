#!/bin/bash
# A short run of tests/truth: what is restored from incremental backups is, page by page, what replay of all WAL
# makes of an older copy; and a page that is not would be found.
# shellcheck disable=SC1091,SC2034
. "${0%/*}/../lib/pgbr.sh"
. "$top/tests/truth/truth.sh"

major=${VERSIONS:-15}
rates=(100MB 30MB)
truth_round "${major%% *}" "${SEED:=$((RANDOM * 32768 + RANDOM))}" 1
truth_proof
truth_end
done_testing
