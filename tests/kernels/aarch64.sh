#!/usr/bin/env bash
# aarch64.sh SOURCE_ROOT WORK_DIR - the kernel tests for 64-bit ARM: built with a cross compiler, run in an emulator,
# once as a CPU with SDOT and once as one without. Exit status 77 (skipped) where one of the two is missing.
#
# Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user-static.
set -euo pipefail
root=$1 work=$2
cc=${PINNA_CROSS_CC:-aarch64-linux-gnu-gcc}
qemu=${PINNA_CROSS_RUN:-qemu-aarch64-static}
for tool in "$cc" "$qemu"; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: no $tool"
        exit 77
    fi
done

flags=(-std=gnu11 -O2 -g -D_GNU_SOURCE -DPN_SANITIZED=0 -fno-strict-aliasing -Wall -Wextra -Werror -Wshadow -Wvla
    -Wno-unused-parameter -Wno-sign-conversion -I"$root/src" -I"$root/tests/kernels")
mkdir -p "$work"
objects=()
compile() { # FILE [FLAG...]
    local object
    object=$work/$(tr / _ <<<"${1#"$root"/}").o
    "$cc" "${flags[@]}" "${@:2}" -c "$1" -o "$object"
    objects+=("$object")
}
for f in "$root"/src/base/{error,str}.c "$root"/src/nn/*.c "$root"/tests/kernels/*.c; do
    compile "$f"
done
for f in "$root"/src/nn/arm/*.c; do
    case $f in
    *dotprod*) compile "$f" -march=armv8.2-a+dotprod ;;
    *) compile "$f" -march=armv8-a ;;
    esac
done
"$cc" -static "${objects[@]}" -lm -lpthread -o "$work/check_kernels"

# expect CPU LEVEL: it is the highest there, and its tests pass.
expect() {
    echo "$1"
    "$qemu" -cpu "$1" "$work/check_kernels" 20 "$2" | tee "$work/$1.txt"
    grep -q "levels up to $2\$" "$work/$1.txt"
    grep -q "^$2 " "$work/$1.txt"
}
expect max dotprod
expect cortex-a53 neon
