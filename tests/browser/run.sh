#!/usr/bin/env bash
# The operator's page in Debian's Chromium, and the description of the admin port, on real nodes:
#
#   tests/browser/run.sh BUILD      BUILD as build/release; screenshots: BUILD/screenshots
#
# Ends with 77 where Chromium or the packages of npm cannot be had.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
build=$(cd "${1:-$top/build/release}" && pwd)

skip() {
    printf '%s\n' "$*"
    exit 77
}

command -v chromium >/dev/null || "$top/deploy/install.sh" --only chromium fonts-dejavu-core ||
    skip 'Chromium cannot be installed'
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    "$top/deploy/install.sh" --only nodejs npm || skip 'nodejs and npm cannot be installed'
fi

# What the lock names, outside the tree: nothing of it is ours.
modules=$build/browser
mkdir -p "$modules"
if ! cmp -s "$here/package-lock.json" "$modules/package-lock.json" ||
    [ ! -d "$modules/node_modules/playwright-core" ]; then
    rm -rf "$modules/node_modules"
    cp "$here/package.json" "$here/package-lock.json" "$modules/"
    npm ci --prefix "$modules" --no-audit --no-fund --ignore-scripts >"$modules/npm.log" 2>&1 || {
        rm -rf "$modules/node_modules"
        tail -n 5 "$modules/npm.log"
        skip 'the packages of npm cannot be had'
    }
fi
exec /usr/bin/python3 "$here/run.py" "$build" "$modules"
