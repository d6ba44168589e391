#!/bin/bash
# The S3 driver keeps the contract of a store (tests/lib/store_contract.c), against a real server: over
# TLS, where conditional PUT is missing, and while requests fail.
# shellcheck disable=SC2154
program=$(readlink -f "${PGBR:-${0%/*}/../../build/release/pgbr}")
program=${program%/*}/tests/unit/repo/test_store_s3
. "${0%/*}/../lib/pgbr.sh"
. "$lib/s3.sh"

contract() { # NAME [VARIABLE=VALUE...]
    local name=$1
    shift
    s3_client make-bucket "contract$((test_count + 1))"
    ok "$name" env CMOCKA_MESSAGE_OUTPUT=TAP PGBR_TEST_S3_BUCKET="contract$((test_count + 1))" "$@" "$program"
    unlike "$out" '(^|'$'\n'')not ok|1\.\.0' "$name: every test was run"
}
s3_start
proxy_start
contract 'over TLS'
proxy_does '{"rules": [{"match": "^PUT", "header": "if-none-match", "fault": "not_implemented", "times": -1},
    {"match": "^POST .*[?]delete", "fault": "not_implemented", "times": -1}]}'
contract 'where conditional PUT and lists of deletions are refused' PGBR_TEST_S3_ENDPOINT="$proxy"
proxy_does '{"gate": {"key": "TEMPKEY", "secret": "temporary", "clock": 5000, "ignore": ["if-none-match"]}}'
contract 'where it is ignored, and the clock differs by more than signatures may' \
    PGBR_TEST_S3_ENDPOINT="$proxy" PGBR_TEST_S3_KEY=TEMPKEY PGBR_TEST_S3_SECRET=temporary
proxy_does '{"seed": 1, "rate": 0.05, "faults": 1000, "storm": 3, "stall": 1}'
contract 'while requests fail' PGBR_TEST_S3_ENDPOINT="$proxy"
proxy_does '{"seed": 1, "rate": 0.3, "faults": 500, "kinds": ["lost_reply"]}'
contract 'while replies are lost after success' PGBR_TEST_S3_ENDPOINT="$proxy"
diag "$(proxy_requests .) requests, $(proxy_faults) faults"
done_testing
