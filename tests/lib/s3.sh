# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2120
#
# s3.sh - an S3 server for tests, and a proxy before it that injects faults. To be read after pgbr.sh:
#
#     . "${0%/*}/../lib/pgbr.sh"
#     . "$lib/s3.sh"
#     s3_start
#     s3_config --cipher secret main
#     pgbr init main
#
# Each test has a server of its own, in $work/s3: a Ceph object gateway that keeps everything in memory
# (tests/lib/s3_server.sh). It is up in two seconds, takes 200 MB and the size of what is stored, listens
# on 127.0.0.1 only, and ends with the test, however that ends.
#
#   s3_start             starts it, with bucket "pgbr". It speaks TLS with a certificate of a private
#                        authority. Exports PGBR_TEST_S3_ENDPOINT (host:port), _KEY, _SECRET, _BUCKET,
#                        _REGION, _CA (file); sets $s3_http (host:port without TLS), $s3_wrong_ca
#   s3_config [--cipher PASS] [--s3 'KEY: VALUE']... [--cluster 'KEY: VALUE']...
#             [--top 'KEY: VALUE']... CLUSTER...
#                        $config with the one repository "s3"; --s3 adds keys to it or replaces them
#   s3_client COMMAND... make-bucket, policy, put, get, list, delete: see s3_client.py
#   s3_user NAME         makes a user with no rights of its own; sets $user_key and $user_secret
#
#   proxy_start [PEM]    starts wire_proxy.py before the server, with the same certificate or another
#                        one (elsewhere.pem is for another name); sets $proxy (host:port). It only passes
#                        on until it is told otherwise
#   proxy_does JSON      what it does from now on: see wire_proxy.py
#   proxy_faults         prints how many faults it has injected since it was started
#   proxy_requests REGEX prints how many requests matched, as lines "METHOD TARGET STATUS FAULT"
#                        (STATUS - when there was no reply; FAULT - when there was none)

s3_dir=$work/s3

s3_start() {
    as_owner mkdir -p "$s3_dir"
    cp "$lib/s3_server.sh" "$lib/s3_client.py" "$s3_dir/"
    chmod 755 "$s3_dir"/s3_*
    as_owner bash "$s3_dir/s3_server.sh" "$s3_dir" $$ >"$work/log/s3.log" 2>&1 &
    s3_server=$!
    wait_for 120 s3_is_up
    . "$s3_dir/env"
    s3_wrong_ca=$s3_dir/tls/other.crt
}
s3_is_up() {
    [ ! -e "$s3_dir/env" ] || return 0
    kill -0 "$s3_server" && return 1
    fail 'the S3 server starts' "$(tail -5 "$work/log/s3.log")"
    exit 1
}

s3_config() {
    local cipher='' keys=() tops=() name
    local -A s3=([s3_endpoint]=$PGBR_TEST_S3_ENDPOINT [s3_bucket]=$PGBR_TEST_S3_BUCKET
        [s3_region]=$PGBR_TEST_S3_REGION [s3_uri_style]=path [path]=/backup
        [s3_key]=$PGBR_TEST_S3_KEY [s3_key_secret]=$PGBR_TEST_S3_SECRET
        [storage_ca_file]=$PGBR_TEST_S3_CA)
    while [[ ${1:-} == --* ]]; do
        case $1 in
        --cipher) cipher=$2 ;;
        --s3) s3[${2%%: *}]=${2#*: } ;;
        --cluster) keys+=("$2") ;;
        --top) tops+=("$2") ;;
        *) echo "s3_config: $1?" && return 1 ;;
        esac
        shift 2
    done
    {
        echo "state_dir: $work/state"
        [ ${#tops[@]} -eq 0 ] || printf '%s\n' "${tops[@]}"
        printf 'repos:\n  s3:\n    type: s3\n'
        for name in "${!s3[@]}"; do
            [ -z "${s3[$name]}" ] || echo "    $name: ${s3[$name]}"
        done
        [ -z "$cipher" ] || printf '    cipher_type: aes-256-cbc\n    cipher_pass: "%s"\n' "$cipher"
        printf 'repo: s3\nclusters:\n'
        for name in "$@"; do
            printf '  %s:\n    data: %s\n    connection: "%s"\n' "$name" "$work/$name" \
                "$(connection "$name")"
            [ ${#keys[@]} -eq 0 ] || printf '    %s\n' "${keys[@]}"
        done
    } >"$config"
    [ "$run_as" = "$(id -un)" ] || chown "$run_as" "$config"
    chmod 600 "$config"
}
s3_client() {
    python3 -B -W ignore::DeprecationWarning "$lib/s3_client.py" "$@" 5>&- 6>&-
}
s3_user() {
    user_key=USER$1
    user_secret=$(openssl rand -hex 20)
    as_owner env CEPH_CONF="$s3_dir/ceph.conf" radosgw-admin -n client.rgw.a user create --uid "$1" \
        --display-name "$1" --access-key "$user_key" --secret-key "$user_secret"
}

proxy_start() {
    local dir=$work/proxy
    mkdir -p "$dir"
    python3 -B -W ignore::DeprecationWarning "$lib/wire_proxy.py" --to "$s3_http" \
        --tls "${1:-$s3_dir/tls/server.pem}" --dir "$dir" >"$work/log/proxy.log" 2>&1 5>&- 6>&- &
    wait_for 30 test -s "$dir/port"
    proxy=localhost:$(cat "$dir/port")
}
proxy_does() {
    echo "$1" >"$work/proxy/control.new"
    mv "$work/proxy/control.new" "$work/proxy/control"
}
proxy_faults() {
    proxy_requests ' [^-][^ ]*$'
}
proxy_requests() {
    grep -cE "$1" "$work/proxy/requests" || true
}
