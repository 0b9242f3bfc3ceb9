#!/usr/bin/env bash
# sample.sh OUT.wav - a spoken sample, "front right, side right", joined from the clips of Debian's alsa-utils.
set -euo pipefail

clips=(/usr/share/sounds/alsa/Front_Right.wav /usr/share/sounds/alsa/Side_Right.wav)
header=44 # bytes before the samples: these clips have no chunks but the format and the data

le32() {
    printf '%b' "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' \
        $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)))"
}

bytes=0
for clip in "${clips[@]}"; do
    if [ ! -r "$clip" ]; then
        echo "sample.sh: no $clip; 'make deps' installs alsa-utils, which has it" >&2
        exit 1
    fi
    bytes=$((bytes + $(stat -c %s "$clip") - header))
done

{
    printf RIFF
    le32 $((bytes + header - 8))
    head -c 40 "${clips[0]}" | tail -c +9 # "WAVE", the format, the word "data"
    le32 $bytes
    for clip in "${clips[@]}"; do
        tail -c +$((header + 1)) "$clip"
    done
} >"$1"
