#!/usr/bin/env bash
# run.sh BUILD_DIR SECONDS [JUNIT] - runs every libFuzzer target of a build for SECONDS, two at a time.
#
# Seeds of fuzz_NAME come from tests/fuzz/corpus/NAME and are not written to; what the fuzzer finds stays in
# BUILD_DIR/fuzz/fuzz_NAME, and an input that breaks something in BUILD_DIR/fuzz/fuzz_NAME.broken-*.
set -euo pipefail
cd "$(dirname "$0")/../.."

dir=$1 seconds=$2 junit=${3:-}
out=$dir/fuzz
mkdir -p "$out"
rm -f "$out"/*.status

fuzz() { # TARGET
    local name status=0 options=()
    name=$(basename "$1")
    [ ! -f "tests/fuzz/$name.dict" ] || options+=("-dict=tests/fuzz/$name.dict")
    mkdir -p "$out/$name"
    ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        "$1" "${options[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$out/$name.broken-" "$out/$name" "tests/fuzz/corpus/${name#fuzz_}" >"$out/$name.log" 2>&1 ||
        status=$?
    echo "$status" >"$out/$name.status"
    if [ "$status" = 0 ]; then
        echo "$name: fine, $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log") inputs"
    else
        echo "$name: FAILED ($status)"
        tail -n 60 "$out/$name.log"
    fi
}

for target in "$dir"/tests/fuzz/fuzz_*; do
    if [ -f "$target" ] && [ -x "$target" ]; then # not the compiler's folders beside them
        [ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
        fuzz "$target" &
    fi
done
wait

failed=0 cases=
for status in "$out"/*.status; do
    name=$(basename "$status" .status)
    if [ ! -e "$status" ]; then
        echo "run.sh: $dir holds no fuzz target" >&2
        exit 1
    elif [ "$(cat "$status")" = 0 ]; then
        cases+="<testcase classname=\"fuzz\" name=\"$name\"/>"
    else
        cases+="<testcase classname=\"fuzz\" name=\"$name\"><failure/></testcase>"
        failed=1
    fi
done
[ -z "$junit" ] || echo "<testsuite name=\"fuzz\">$cases</testsuite>" >"$junit"
exit $failed
