#!/usr/bin/env bash
# exports.sh LIBRARY - fails when the shared library lets anything be seen but pinna_*, or lacks a function of
# include/pinna.h.
set -euo pipefail
header=$(dirname "$0")/../../include/pinna.h

seen=$(nm -D --defined-only --format=posix "$1" | awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }' | sort)
declared=$(sed -n 's/^[a-z].*[ *]\(pinna_[a-z_]*\)(.*/\1/p' "$header" | sort)

[ -n "$declared" ]
diff <(echo "$declared") <(echo "$seen") && echo "$(wc -l <<<"$seen") functions"
