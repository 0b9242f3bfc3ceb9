#!/usr/bin/env bash
# deps.sh TARGET... - installs the Debian packages that the targets need (build, run, test, fuzz, bench, deb).
#
# Only what is missing is installed, and nothing is printed when nothing is. Needs root or sudo for that.
# deps.sh --list TARGET... prints the packages and installs nothing.
set -euo pipefail

compile=(gcc libc6-dev make meson ninja-build pkg-config git ca-certificates)
libraries=(libmicrohttpd-dev libwslay-dev libcurl4-openssl-dev libjansson-dev libssl-dev zlib1g-dev libyaml-dev
    libseccomp-dev libutf8proc-dev libopus-dev libasound2-dev
    libavformat-dev libavcodec-dev libavutil-dev libswresample-dev
    libpocketsphinx-dev libsphinxbase-dev pocketsphinx-en-us)
sample=(curl alsa-utils) # alsa-utils: its spoken clips are the sample
browser=(chromium chromium-driver python3-selenium fonts-noto-cjk)
fuzzers=(clang-14 libclang-rt-14-dev)
node=(nodejs)
command -v npm >/dev/null || node+=(npm) # some builds of nodejs bring it and refuse Debian's
yardsticks=(libdnnl-dev libgomp1 python3-torch libopenblas0-pthread python3-onnx)

packages_of() {
    case $1 in
    build) echo "${compile[@]}" "${libraries[@]}" ;;
    run) echo "${sample[@]}" pocketsphinx-en-us ;;
    test) echo "${sample[@]}" "${fuzzers[@]}" "${browser[@]}" "${node[@]}" libcmocka-dev clang-format shellcheck strace ffmpeg zzuf \
        python3 python3-pytest python3-pytest-xdist python3-requests python3-websockets python3-aiohttp python3-numpy espeak-ng ;;
    fuzz) echo "${fuzzers[@]}" ;;
    bench) echo "${sample[@]}" "${yardsticks[@]}" "${node[@]}" wrk nginx python3 espeak-ng ffmpeg ;;
    deb) echo dpkg-dev debhelper fakeroot lintian libcmocka-dev ;;
    *)
        echo "deps.sh: no target '$1' (build, run, test, fuzz, bench, deb)" >&2
        return 2
        ;;
    esac
}

wanted() {
    local target list
    for target in "$@"; do
        list=$(packages_of "$target")
        tr ' ' '\n' <<<"$list"
    done | sort -u
}

installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "deps.sh: run this as root or install sudo: $*" >&2
        return 1
    fi
}

if [ "${1:-}" = --list ]; then
    shift
    wanted "$@"
    exit
fi

list=$(wanted "$@")
missing=()
for package in $list; do
    installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "deps.sh: this is no Debian; install the counterparts of: ${missing[*]}" >&2
    exit 1
fi
echo "deps.sh: installing for $*: ${missing[*]}"
as_root apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
echo "deps.sh: done"
