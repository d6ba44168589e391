#!/bin/bash
# The proxy that breaks things on the wire does what its manual says: what the client sees, and what the
# server has afterwards. The client is not pgbr.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"
. "$lib/s3.sh"

s3_start
echo first | s3_client put pgbr a/1
is "$(s3_client get pgbr a/1)" first 'the server keeps what it gets'
is "$(s3_client list pgbr)" 'a/1 6' 'and lists it'
fails 1 SignatureDoesNotMatch 'a wrong secret is refused' s3_client --secret wrong list pgbr
fails 1 'certificate' 'a wrong authority is refused' s3_client --ca "$s3_wrong_ca" list pgbr

proxy_start
is "$(s3_client --endpoint "https://$proxy" list pgbr)" 'a/1 6' 'the proxy passes on what it gets'

# One line for each case: what the client saw of a PUT and a GET, and whether the server has the object
# of the PUT. Each fault is told for the next request only.
cat >cases.py <<'END'
import http.client, json, os, sys, time
sys.path.insert(0, sys.argv[1])
import s3_client
E = os.environ
def client(endpoint, key="PGBR_TEST_S3_KEY", secret="PGBR_TEST_S3_SECRET"):
    return s3_client.Client(endpoint, E[key], E[secret], ca=E["PGBR_TEST_S3_CA"])
direct, proxy = client("https://" + E["PGBR_TEST_S3_ENDPOINT"]), client("https://" + sys.argv[2])
def tell(told):
    with open("proxy/control.new", "w") as f:
        json.dump(told, f)
    os.rename("proxy/control.new", "proxy/control")
def seen(method, key, body=b""):
    begin = time.time()
    try:
        status, _, got = proxy.request(method, "/pgbr/" + key, body=body)
        what = f"{status}"
        if status == 200 and method == "GET":
            what += " whole" if got == DATA else f" {len(got)}" if len(got) != len(DATA) else " other"
    except http.client.IncompleteRead as e:
        what = f"cut {len(e.partial)}"
    except (OSError, http.client.HTTPException):
        what = "gone"
    proxy.connection = None
    return what + (" late" if time.time() - begin > 0.9 else "")
DATA = bytes(range(256)) * 4000
assert direct.request("PUT", "/pgbr/data", body=DATA)[0] == 200
def chance(times): # the faults of so many requests, by chance
    told = {"seed": 7, "rate": 0.3, "faults": 9, "storm": 3, "kinds": ["internal", "slow_down", "storm"]}
    tell(told)
    return " ".join(seen("GET", "a/1").split()[0] for _ in range(times))
for fault in sys.argv[3:]:
    key = "put/" + fault
    told = {"stall": 1, "rules": [{"match": "^(PUT|GET)", "fault": fault, "times": 1}]}
    tell(told)
    put = seen("PUT", key, DATA)
    there = direct.request("HEAD", "/pgbr/" + key)[0] == 200
    tell(told)
    get = seen("GET", "data")
    print(f"{fault}: {put}, {'there' if there else 'not there'}; {get}; then {seen('GET', 'data')}")
print("chance:", chance(60))
print("chance:", chance(60))
END
faults=(reset half_sent stall internal slow_down busy skew expired denied not_implemented lost_reply
    silent_reply late truncated half_reply short garbled none)
python3 -B -W ignore cases.py "$lib" "$proxy" "${faults[@]}" >cases
while IFS='|' read -r want name; do
    like "$(grep "^${want%%:*}:" cases)" "^$want; then 200 whole$" "$name"
done <<'END'
reset: gone, not there; gone|a reset comes before the request is passed on
half_sent: gone, not there; gone|half a body makes no object
stall: gone late, not there; gone late|a stall is silence
internal: 500, not there; 500|an internal error
slow_down: 503, not there; 503|a server that is busy
busy: 503, not there; 503|a load balancer without a server
skew: 403, not there; 403|a clock that is wrong
expired: 400, not there; 400|a token that expired
denied: 403, not there; 403|a right that is missing
not_implemented: 501, not there; 501|something the server does not know
lost_reply: gone, there; gone|a lost reply comes after success
silent_reply: gone late, there; gone late|a lost reply after silence, too
late: 200 late, there; 200 whole late|a late reply is whole
truncated: .*, there; cut 512000|half a reply, ended
half_reply: .*, there; [gc].*|half a reply, reset
short: 200, there; 200 512000|a short reply has a length that fits
garbled: 200, there; 200 other|a changed byte
END
like "$(cat proxy/requests)" 'PUT /pgbr/put/none 200 none' 'each request is written down'

# ---- chance
mapfile -t chance < <(sed -n 's/^chance: //p' cases)
is "${chance[1]}" "${chance[0]}" 'the same seed brings the same faults'
bad=$(grep -oE '50[03]' <<<"${chance[0]}" | wc -l)
ok 'no fewer faults than were asked for' test "$bad" -ge 9
ok 'and no more, but what storms add' test "$bad" -le 27
is "$(proxy_faults)" "$((2 * ${#faults[@]} + 2 * bad))" 'all are counted'

# ---- speed
head -c 6000000 /dev/zero >big
took() { # COMMAND...: milliseconds
    local begin
    begin=$(date +%s%3N)
    "$@" >/dev/null
    echo $(($(date +%s%3N) - begin))
}
proxy_does '{"bandwidth": 3000000}'
ms=$(took s3_client --endpoint "https://$proxy" put pgbr big big)
diag "6 MB at 3 MB/s took $ms ms"
ok 'a limit holds' test "$ms" -ge 1950
proxy_does '{"latency": 0.5}'
ok 'latency is added' test "$(took s3_client --endpoint "https://$proxy" get pgbr a/1)" -ge 500

# ---- a server of another kind: the proxy checks by itself
gate='"key": "TEMPKEY", "secret": "temporary", "token": "t1", "region": "eu-test-1"'
through() {
    s3_client --endpoint "https://$proxy" --key TEMPKEY --secret temporary --region eu-test-1 "$@"
}
proxy_does "{\"gate\": {$gate}}"
fails 1 'InvalidToken' 'without its token nobody passes' through list pgbr
proxy_does "{\"gate\": {${gate/\"token\": \"t1\", /}}}"
echo gate | through put pgbr a/2
is "$(through get pgbr a/2)" gate 'the right credentials pass'
fails 1 'AuthorizationHeaderMalformed.*eu-test-1' 'a wrong region is told' \
    s3_client --endpoint "https://$proxy" --key TEMPKEY --secret temporary get pgbr a/1
fails 1 'SignatureDoesNotMatch' 'a wrong secret' through --secret wrong get pgbr a/1
fails 1 'InvalidAccessKeyId' 'a wrong key' through --key wrong get pgbr a/1
proxy_does "{\"gate\": {${gate/\"token\": \"t1\", /}, \"clock\": 3600}}"
fails 1 'RequestTimeTooSkewed' 'a clock that differs' through get pgbr a/1
done_testing
