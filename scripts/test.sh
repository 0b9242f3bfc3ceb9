#!/usr/bin/env bash
# test.sh [PART...] - builds and runs the tests; the last line is "N passed, N failed".
#
#   tools   checks of the tree: format, rooms, banned calls, headers, links, packages
#   plain   unit, API, load and browser tests
#   asan    unit and API tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan    those of them that are about threads under ThreadSanitizer
#   fuzz    every parser for FUZZ_TEST_SECONDS (5)
# Without a PART all of them. Each step leaves its output and its results in build-results/.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

parts=" ${*:-tools plain asan tsan fuzz} "
results=$PWD/build-results
python=/usr/bin/python3 # Debian's, for which Debian's pytest is
rm -rf "$results"
mkdir -p "$results"

has() {
    [[ $parts == *" $1 "* ]]
}

# step NAME COMMAND...: output to NAME.log, exit status to NAME.status, a line when it begins and ends.
step() {
    local name=$1 status=0 began=$SECONDS
    shift
    echo "test.sh: $name"
    "$@" >"$results/$name.log" 2>&1 </dev/null || status=$?
    echo "$status" >"$results/$name.status"
    if [ "$status" = 0 ]; then
        echo "test.sh: $name: fine, $((SECONDS - began)) s"
    else
        echo "test.sh: $name: FAILED ($status), $((SECONDS - began)) s; the end of $results/$name.log:"
        tail -n 100 "$results/$name.log"
    fi
    return "$status"
}

build() {
    step "build-$1" scripts/build.sh "build-$1"
}

# The environment that the tests read: see tests/api/server_process.py.
with_build() {
    local dir=$PWD/build-$1 kind=$1
    shift
    [ "$kind" != test ] || kind=
    PINNA_BIN=$dir/pinna PINNA_DECODE=$dir/pinna-decode PINNA_SANITIZER=$kind \
        ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
        "$@"
}

# Unit tests of code that has one thread: ThreadSanitizer would only take its time over them.
one_thread='text_|model_|audio_(fbank|features|intake|wav)|asr_(fsmn|silero|vad|segmenter|vocab|punctuation)|hostile|golden'

# The unit tests that a build runs, by name; none: all of them.
chosen() {
    [ "$1" != tsan ] || meson test -C build-tsan --no-rebuild --list | sed -n 's|.* / ||p' | grep -vE "$one_thread"
}

unit() {
    local status=0 multiplier=1 tests
    [ "$1" = test ] || multiplier=6
    mapfile -t tests < <(chosen "$1")
    with_build "$1" meson test -C "build-$1" --no-rebuild --print-errorlogs -t $multiplier "${tests[@]}" || status=$?
    cp "build-$1/meson-logs/testlog.junit.xml" "$results/$1-unit.xml"
    return $status
}

# Two files of tests at once, each with servers of its own: they mostly wait for these. A run that hangs is cut
# off and says how far it came.
pytests() {
    local name=$1 kind=$2
    shift 2
    with_build "$kind" timeout --signal=INT --kill-after=60 1200 "$python" -m pytest -q -n 2 --dist loadfile \
        --durations=10 --junitxml="$results/$name.xml" "$@"
}

unit_and_api() { # KIND MARKERS
    step "$1-unit" unit "$1"
    step "$1-api" pytests "$1-api" "$1" -m "$2" tests/api
}

began=$SECONDS
if has plain || has tools; then
    step build scripts/build.sh build
    build test
fi
if has tools; then
    step tools pytests tools test tests/tools
fi
if has plain && [ -e build-test/pinna ]; then
    step test-unit unit test
    step test-api pytests test-api test tests/api tests/load
    step test-browser pytests test-browser test tests/browser
fi

# Side by side, about a core each: AddressSanitizer takes as long as the two others.
if has asan; then
    build asan && unit_and_api asan 'not load' &
fi
if has tsan; then
    build tsan && unit_and_api tsan threads
fi
if has fuzz && build fuzz; then
    step fuzz tests/fuzz/run.sh build-fuzz "${FUZZ_TEST_SECONDS:-5}" "$results/fuzz.xml"
fi
wait

echo "test.sh: $((SECONDS - began)) s"
exec "$python" scripts/tally.py "$results"
