#!/usr/bin/env bash
# Runs the tests that need a real database: every program in BUILD_DIR/tests/database, one after the
# other (some change settings of the server), on a private PostgreSQL with a private pgbouncer, both
# of which are gone afterwards.
#
#   tests/database/run.sh BUILD_DIR [NAME…]        (NAME as in test_NAME)
#
# Ends with "N passed, N failed"; fails when a program failed.
set -euo pipefail

top=$(realpath "$(dirname "$0")/../..")
if [ $# -lt 1 ] || [ ! -d "$1/tests/database" ]; then
    printf 'usage: tests/database/run.sh BUILD_DIR [NAME…]; with tests/database in BUILD_DIR\n' >&2
    exit 1
fi
build=$(realpath "$1")
shift

folder=$(mktemp -d /tmp/ixn-database-XXXXXX)
chmod 755 "$folder"
# Ports that are free now, below those that the system gives out by itself and beside those of the
# system's cases. Another server may take one before ours does: then the start fails and the next
# numbers are tried.
free_port() {
    local port
    while :; do
        port=$((30000 + RANDOM % 2700))
        [ -n "$(ss -Htln "sport = :$port")" ] || break
    done
    printf '%s\n' "$port"
}

finish() {
    "$top/deploy/pgbouncer.sh" stop "$folder/pooler" || true
    "$top/deploy/postgres.sh" stop "$folder/server" immediate || true
    rm -rf "$folder"
}
trap finish EXIT

for try in 1 2 3; do
    server_port=$(free_port)
    # Not while a test drops what autovacuum looks at: that waits for no lock, it is put off.
    if "$top/deploy/postgres.sh" start "$folder/server" "$server_port" \
        --conf autovacuum=off >/dev/null; then
        break
    fi
    [ "$try" -lt 3 ]
done
for try in 1 2 3; do
    pooler_port=$(free_port)
    if "$top/deploy/pgbouncer.sh" start "$folder/pooler" "$pooler_port" "$server_port" \
        >/dev/null; then
        break
    fi
    [ "$try" -lt 3 ]
done
# No dbname: each test makes its own database.
export IXN_TEST_CONNINFO="host=127.0.0.1 port=$server_port user=postgres"
export IXN_TEST_POOLER="host=127.0.0.1 port=$pooler_port user=postgres"

passed=0
failed=0
for program in "$build"/tests/database/test_*; do
    [ -x "$program" ] || continue
    name=$(basename "$program")
    if [ $# -gt 0 ] && [[ " $* " != *" ${name#test_} "* ]]; then
        continue
    fi
    started=$(date +%s%3N)
    if "$program" >"$folder/output" 2>&1; then
        verdict=ok
        passed=$((passed + 1))
    else
        verdict=FAILED
        failed=$((failed + 1))
        cat "$folder/output"
    fi
    # A leak that the sanitizer saw in a test's process does not fail the test by itself.
    if [ $verdict = ok ] && grep -q 'ERROR: LeakSanitizer\|runtime error:' "$folder/output"; then
        cat "$folder/output"
        verdict=FAILED
        passed=$((passed - 1))
        failed=$((failed + 1))
    fi
    grep -h '^measured: ' "$folder/output" || true
    printf '%-32s %-6s %6d ms\n' "$name" "$verdict" $(($(date +%s%3N) - started))
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
