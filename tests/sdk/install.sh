#!/usr/bin/env bash
# install.sh FOLDER - OpenAI's SDK for Node, as package-lock.json names it, into FOLDER/node_modules. What is
# there stays. Needs npm, and the registry where the SDK is not there yet.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
exec 9>lock
flock 9 # several tests may want it at once
if cmp -s "$here/package-lock.json" installed-lock.json; then
    exit 0
fi
command -v npm >/dev/null || { echo "install.sh: npm is missing" >&2 && exit 1; }
cp "$here/package.json" "$here/package-lock.json" .
npm ci --silent --ignore-scripts --no-audit --no-fund --fetch-retries 1 --fetch-timeout 20000
cp package-lock.json installed-lock.json
