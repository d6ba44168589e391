#!/bin/bash
# A Ceph object gateway with one monitor and one store in memory, all on 127.0.0.1:
#
#     s3_server.sh DIR PID
#
# Everything is in DIR; when the server answers, DIR/env holds its addresses and keys (see s3.sh). The
# script stays until it gets SIGTERM, process PID is gone or one of its own ends, and takes all of them
# with it. They are killed, not asked: a store in memory would first write itself to disk.
#
# It is up in two seconds, because the monitor waits a twentieth of a second instead of a whole one
# before it agrees with itself on each step, and because each pool has one placement group.
set -eu
dir=$1 owner=$2
export CEPH_CONF=$dir/ceph.conf
unset CEPH_ARGS
PATH=$PATH:/usr/sbin:/sbin

end() {
    trap '' TERM INT EXIT
    # shellcheck disable=SC2046
    kill -KILL $(jobs -p) 2>/dev/null
    wait
}
trap end EXIT
trap 'exit 0' TERM INT

# Below the range from which the kernel takes ports for outgoing connections.
free_ports() { # N
    python3 - "$1" <<'END'
import random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randrange(20000, 32000)))
        held.append(s)
    except OSError:
        s.close()
print(*[s.getsockname()[1] for s in held])
END
}
certificate() { # FILE NAMES
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=pgbr test $1" \
        -keyout "$1.key" -out "$1.csr"
    printf '%s\n' "subjectAltName=$2" 'extendedKeyUsage=serverAuth' >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
        -extfile "$1.ext" -out "$1.crt"
    cat "$1.crt" "$1.key" >"$1.pem"
}
# A private authority, and its certificates: the server's for localhost and 127.0.0.1, and one for
# another name. Another authority is made that signed nothing: the wrong one.
certificates() {
    local name
    mkdir -p "$dir/tls"
    cd "$dir/tls"
    for name in ca other; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
            -subj "/CN=pgbr test $name" -addext basicConstraints=critical,CA:TRUE \
            -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$name.key" -out "$name.crt"
    done
    certificate server 'DNS:localhost,DNS:*.localhost,IP:127.0.0.1'
    certificate elsewhere 'DNS:elsewhere.test'
    cd "$dir"
}
configuration() {
    fsid=$(cat /proc/sys/kernel/random/uuid)
    cat >"$CEPH_CONF" <<END
[global]
fsid = $fsid
mon host = v2:127.0.0.1:$mon_port/0
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = 20000
ms bind port max = 32000
keyring = $dir/keyring
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
rgw rados pool pg num min = 1
rgw rados pool autoscale bias = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 2
paxos propose interval = 0.05
paxos min wait = 0.01
mon tick interval = 1
osd objectstore = memstore
memstore device bytes = 8589934592
osd max object name len = 460
osd max object namespace len = 64
log file = $dir/log/\$name.log
run dir = $dir/run
admin socket = $dir/run/\$name.asok
pid file =
crash dir = $dir/crash
mon data = $dir/mon
osd data = $dir/osd
debug ms = 0
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:$http_port ssl_endpoint=127.0.0.1:$tls_port ssl_certificate=$dir/tls/server.pem tcp_nodelay=1
rgw thread pool size = 64
rgw data = $dir/rgw
END
}
keyrings() {
    ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' \
        --cap mgr 'allow *'
    ceph-authtool keyring --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
    ceph-authtool keyring --gen-key -n client.rgw.a --cap mon 'allow rw' --cap osd 'allow rwx'
    monmaptool --create --clobber --addv a "[v2:127.0.0.1:$mon_port]" --fsid "$fsid" monmap
}
daemon() { # NAME COMMAND...
    local name=$1
    shift
    setpriv --pdeathsig KILL "$@" >>"$dir/log/$name.out" 2>&1 </dev/null &
}
listens() { # PORT
    local _
    for _ in {1..600}; do
        (exec 3<>/dev/tcp/127.0.0.1/"$1") 2>/dev/null && return
        sleep 0.1
    done
    echo "nothing listens on port $1 after a minute"
    return 1
}

mkdir -p "$dir"/{log,run,mon,osd,rgw,crash}
cd "$dir"
read -r mon_port http_port tls_port < <(free_ports 3)
certificates
configuration
keyrings
ceph-mon --mkfs -i a --monmap monmap --keyring keyring
daemon mon ceph-mon -i a -f
uuid=$(cat /proc/sys/kernel/random/uuid)
timeout 60 ceph osd new "$uuid"
ceph-osd -i 0 --mkfs --osd-uuid "$uuid"
daemon osd ceph-osd -i 0 -f
daemon rgw radosgw -n client.rgw.a -f
listens "$tls_port"
secret=$(openssl rand -hex 20)
timeout 60 radosgw-admin -n client.rgw.a user create --uid pgbr --display-name pgbr \
    --access-key PGBRTESTKEY --secret-key "$secret" >log/user.json
python3 -B "$dir/s3_client.py" --endpoint "http://127.0.0.1:$http_port" --key PGBRTESTKEY \
    --secret "$secret" make-bucket pgbr

cat >env.new <<END
s3_http=127.0.0.1:$http_port
export PGBR_TEST_S3_ENDPOINT=localhost:$tls_port
export PGBR_TEST_S3_KEY=PGBRTESTKEY
export PGBR_TEST_S3_SECRET=$secret
export PGBR_TEST_S3_BUCKET=pgbr
export PGBR_TEST_S3_REGION=us-east-1
export PGBR_TEST_S3_CA=$dir/tls/ca.crt
END
mv env.new env
while [ -d "/proc/$owner" ]; do sleep 1; done &
wait -n
echo "the test or a process of the S3 server ended"
exit 1
