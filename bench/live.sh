#!/usr/bin/env bash
# live.sh FOLDER [ARGUMENT...] - how many speakers one server follows: starts it with a streaming Paraformer of true
# size and random weights from FOLDER (made there if it is missing, 900 MB) and lets bench_live loose on it, by
# default with --ramp --over 1.5 over every protocol.
#
# PINNA_BIN, RANDOM_PARAFORMER and BENCH_LIVE name the programs. Settings of the server may be given in the
# environment; without them it detects by loudness alone and has no punctuation and no second pass.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=$1
shift
build=$here/../build-bench
pinna=${PINNA_BIN:-$build/pinna}
model=$dir/streaming

if [ ! -e "$model/config.yaml" ]; then
    mkdir -p "$dir"
    rm -rf "${model:?}.part"
    "${RANDOM_PARAFORMER:-$build/bench/random_paraformer}" streaming "$model.part"
    mv "$model.part" "$model"
fi
model=$(cd "$model" && pwd)
[ $# -gt 0 ] || set -- --ramp --over 1.5 --protocol ptt,ptt-binary,funasr,realtime,realtime-vad

work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
ulimit -n "$(ulimit -Hn)"

mkfifo "$work/out"
(
    cd "$work"
    export WHISPER_MODEL=$model MODEL_NAME=$model PINNA_VAD=${PINNA_VAD:-energy}
    export PINNA_PUNCTUATION=${PINNA_PUNCTUATION:-off} PINNA_FINAL_MODEL=${PINNA_FINAL_MODEL:-off}
    export MAX_CONNECTIONS=${MAX_CONNECTIONS:-5000} LOG_LEVEL=${LOG_LEVEL:-error}
    exec "$pinna" serve --port 0 --host 127.0.0.1 >"$work/out"
) &
server=$!
read -r line <"$work/out" # "pinna: listening on http://127.0.0.1:PORT"
case $line in
*http://*) ;;
*)
    echo "live.sh: the server did not start: $line" >&2
    exit 1
    ;;
esac
"${BENCH_LIVE:-$build/bench/bench_live}" --url "ws://127.0.0.1:${line##*:}" --pid "$server" "$@"
