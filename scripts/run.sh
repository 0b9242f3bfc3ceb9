#!/usr/bin/env bash
# run.sh - starts the service, sends it a spoken sample, prints what it heard, and stays until Ctrl-C.
#
# PORT (9999) is respected; with PINNA_RUN_ONCE=1 the service is stopped after the sample.
set -euo pipefail
cd "$(dirname "$0")/.."

export PORT=${PORT:-9999}
url=http://127.0.0.1:$PORT
sample=build/sample.wav
scripts/sample.sh "$sample"

taken=0
curl -s -o /dev/null --max-time 2 "$url/" || taken=$?
if [ "$taken" != 7 ]; then # 7: refused, so nobody is there
    echo "run.sh: port $PORT is taken; choose another: make run PORT=9998" >&2
    exit 1
fi

export PINNA_AUTO_PULL=${PINNA_AUTO_PULL:-1} # a missing model is fetched; without a network Sphinx answers
export MODEL_NAME=${MODEL_NAME:-${WHISPER_MODEL:-base}} # for live audio, too: the usual one is 880 MB to fetch
setsid build/pinna serve & # out of reach of the terminal's Ctrl-C: stop() passes it on, once
service=$!
stop() {
    kill -TERM "$service" 2>/dev/null || true
}
trap stop INT TERM HUP EXIT

alive() {
    kill -0 "$service" 2>/dev/null
}

for _ in $(seq 9000); do # half an hour: the first start may download
    alive || break
    ! curl -sf -o /dev/null --max-time 2 "$url/ready" || break
    sleep 0.2
done
if ! alive || ! curl -sf -o /dev/null --max-time 2 "$url/ready"; then
    echo "run.sh: the service did not start; what it said stands above" >&2
    exit 1
fi

answer=$(curl -sS --fail-with-body --max-time 60 -F "file=@$sample" "$url/transcribe")
text=$(grep -o '"text": *"[^"]*"' <<<"$answer" | head -n 1 | sed 's/^"text": *"//; s/"$//')
if [ -z "$text" ]; then
    echo "run.sh: no text in the answer: $answer" >&2
    exit 1
fi
cat <<END

The spoken sample ($sample) as text:

    $text

Pinna is listening on port $PORT. Try it with a recording of your own:

    curl -F file=@recording.wav $url/transcribe

or with a microphone, in a browser here: http://localhost:$PORT/test

Ctrl-C here stops it.
END

if [ "${PINNA_RUN_ONCE:-}" = 1 ]; then
    stop
fi
status=0
until wait "$service"; do # a signal that we trapped ends the wait early
    status=$?
    alive || break
    status=0
done
trap - EXIT
exit "$status"
