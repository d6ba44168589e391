#!/bin/bash
# Installs what pgbr is built and tested with: the one list of Debian packages. Installs only what
# is missing, so a second call costs a fraction of a second. Needs root, or sudo without questions.
set -eu

packages=(
    # building
    gcc libc6-dev make pkgconf
    libcurl4-openssl-dev libexpat1-dev libjansson-dev libmicrohttpd-dev libpq-dev libsqlite3-dev libssl-dev
    libxxhash-dev libyaml-dev libzstd-dev
    uthash-dev
    # at run time pgbr loads these by itself
    libcurl4 libexpat1 libmicrohttpd12 libpq5 libsqlite3-0
    # testing: a server, the judges (pg_amcheck, pg_verifybackup, pg_checksums), the test runner
    postgresql postgresql-15 postgresql-contrib postgresql-client-15 postgresql-common
    libaws-signature4-perl libcmocka-dev openssl perl procps python3 time util-linux xxd
    # testing: an S3 server (70 MB to fetch, a quarter of a minute to install)
    ceph-mon ceph-osd radosgw
    # testing: a browser, for the status page (100 MB to fetch)
    chromium-headless-shell
    # sanitizers, fuzzers, lint
    clang clang-14 clang-format clang-tidy libclang-rt-14-dev llvm-14
    cppcheck mandoc shellcheck
)
# Other majors of PostgreSQL come as npm packages; any node will do, wherever it came from.
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)

missing() {
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null |
        awk '$2 == "installed" { print $1 }' | sort -u |
        comm -13 - <(printf '%s\n' "${packages[@]}" | sort -u)
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Use-Pty=0 \
        -o Acquire::Retries=3 "$@" </dev/null
}

# The lists of a new machine are empty, those of an old one name versions that are gone.
install_all() {
    if [ -n "$(apt-cache madison "$@" 2>/dev/null)" ] && apt install --no-install-recommends "$@"; then
        return
    fi
    apt update
    apt install --no-install-recommends "$@"
}

mapfile -t wanted < <(missing)
[ ${#wanted[@]} -gt 0 ] || exit 0
echo "installing: ${wanted[*]}" >&2
install_all "${wanted[@]}" >&2
mapfile -t wanted < <(missing)
if [ ${#wanted[@]} -gt 0 ]; then
    echo "could not be installed: ${wanted[*]}" >&2
    exit 1
fi
