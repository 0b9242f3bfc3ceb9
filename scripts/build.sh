#!/usr/bin/env bash
# build.sh DIR - configures and compiles one of the build folders; quiet when there is nothing to do.
#
#   build        the program: build/pinna and build/pinna-decode
#   build-test   the same with the routes that only tests use, the unit tests, and the benchmarks
#   build-asan   as build-test, under AddressSanitizer and UndefinedBehaviorSanitizer
#   build-tsan   as build-test, under ThreadSanitizer
#   build-bench  the program and the benchmarks, with oneDNN to compare with
#   build-fuzz   the libFuzzer targets, by clang
# With CI=true a warning is an error, except under the sanitizers: gcc sees ghosts in instrumented code.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$1
checked=(-Dbuildtype=debugoptimized -Db_ndebug=false -Db_lundef=false -Dtest_routes=true)
fuzz_flag=-fsanitize=fuzzer-no-link
targets=()
case $dir in
build) options=() targets=(src/cli/pinna src/cli/pinna-decode) ;;
build-test) options=(-Db_ndebug=false -Dtest_routes=true) targets=(all benchmarks) ;;
build-asan) options=("${checked[@]}" "-Db_sanitize=address,undefined") ;;
build-tsan) options=("${checked[@]}" -Db_sanitize=thread) ;;
build-bench) options=(-Donednn=enabled) targets=(src/cli/pinna src/cli/pinna-decode benchmarks) ;;
build-fuzz)
    options=("${checked[@]}" "-Db_sanitize=address,undefined" -Dfuzz=true
        "-Dc_args=$fuzz_flag -fno-sanitize-recover=undefined")
    targets=(fuzzers)
    export CC=clang-14
    ;;
*)
    echo "build.sh: no build folder '$dir'; see the head of this file" >&2
    exit 2
    ;;
esac
case ${CI:-}/$dir in
true/build | true/build-test | true/build-fuzz) options+=(-Dwerror=true) ;;
esac

for tool in meson ninja "${CC:-cc}"; do
    if ! command -v "$tool" >/dev/null; then
        echo "build.sh: $tool is missing; 'make deps' installs what is needed" >&2
        exit 1
    fi
done

# Other options than last time: configured afresh.
stamp="${options[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.options" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$dir"
    if ! meson setup "$dir" "${options[@]}" >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
    echo "$stamp" >"$dir/.options"
fi
ninja -C "$dir" --quiet "${targets[@]}"
if [ -e "$dir/src/cli/pinna" ]; then
    ln -sfn src/cli/pinna "$dir/pinna"
    ln -sfn src/cli/pinna-decode "$dir/pinna-decode"
fi
