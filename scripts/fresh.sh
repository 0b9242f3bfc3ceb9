#!/usr/bin/env bash
# fresh.sh COMMAND... - runs a command, for example `make run`, in a clean clone on a bare Debian bookworm.
#
# The bare system is a chroot with nothing but Debian's minimal set and make, with this machine's package
# sources. It is made once in FRESH_DIR (/var/tmp/pinna-fresh) as FRESH_DIR/base and copied for every run, so
# that each run begins bare. The clone is of HEAD. Needs root and debootstrap.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=${FRESH_DIR:-/var/tmp/pinna-fresh}
base=$dir/base
root=$dir/root
[ $# -gt 0 ] || set -- make run

if [ "$(id -u)" != 0 ]; then
    echo "fresh.sh: needs root" >&2
    exit 1
fi

make_base() {
    command -v debootstrap >/dev/null || apt-get install -qq -y --no-install-recommends debootstrap >/dev/null
    rm -rf "$base"
    mkdir -p "$base"
    debootstrap --variant=minbase --include=make,ca-certificates bookworm "$base" >"$dir/debootstrap.log" || {
        tail -n 20 "$dir/debootstrap.log" >&2
        rm -rf "$base"
        return 1
    }
    rm -rf "$base/etc/apt" "$base"/var/lib/apt/lists/*
    cp -a /etc/apt "$base/etc/apt"
    mkdir -p "$base/usr/share/keyrings"
    cp -an /usr/share/keyrings/. "$base/usr/share/keyrings/"
}

enter() { # in a mount namespace of its own: what is mounted here vanishes with it
    # shellcheck disable=SC2016
    unshare --mount --pid --fork bash -ec '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount --rbind /sys "$root/sys"
        mount --rbind /dev "$root/dev"
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CI="${CI:-}" \
            PINNA_RUN_ONCE="${PINNA_RUN_ONCE:-1}" http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
            chroot "$root" /bin/sh -c "cd /src/pinna && exec \"\$@\"" sh "$@"' enter "$root" "$@"
}

[ -d "$base" ] || make_base
rm -rf "$root"
cp -a --reflink=auto "$base" "$root"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mkdir -p "$root/src"
git clone -q --no-hardlinks . "$root/src/pinna"
[ ! -d ../shared ] || cp -a ../shared "$root/src/shared" # the recordings that some tests use
status=0
enter "$@" || status=$?
rm -rf "$root"
exit "$status"
