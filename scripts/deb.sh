#!/usr/bin/env bash
# deb.sh - builds the Debian packages from the files of the work tree and leaves them in dist/.
set -euo pipefail
cd "$(dirname "$0")/.."

work=build-deb
tree=$work/pinna
rm -rf "$work" dist
mkdir -p "$tree" dist
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree"

(cd "$tree" && dpkg-buildpackage -us -uc -b >../build.log 2>&1) || {
    tail -n 30 "$work/build.log" >&2
    exit 1
}
mv "$work"/*.deb "$work"/*.buildinfo "$work"/*.changes dist/
if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error dist/*.changes
fi
ls -1 dist/*.deb
