#!/usr/bin/env bash
# Runs the tests that need a real database: every program in BUILD_DIR/tests/database. Some change
# settings of the server, and most wait for its disk: so as many as there are cores run at a time,
# at most four, each on a private PostgreSQL with a private pgbouncer, gone afterwards.
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

programs=()
for program in "$build"/tests/database/test_*; do
    [ -x "$program" ] || continue
    name=$(basename "$program")
    if [ $# -eq 0 ] || [[ " $* " == *" ${name#test_} "* ]]; then programs+=("$program"); fi
done

folder=$(mktemp -d /tmp/ixn-database-XXXXXX)
chmod 755 "$folder"
mkdir "$folder/taken"
lanes=()
end_lanes() {
    local lane
    trap '' INT TERM
    for lane in "${lanes[@]}"; do kill -TERM "$lane" 2>/dev/null || true; done
    for lane in "${lanes[@]}"; do
        while kill -0 "$lane" 2>/dev/null; do wait "$lane" || true; done # a signal ends a wait
    done
    rm -rf "$folder"
}
trap end_lanes EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

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

start_servers() { # DIR
    local try server_port pooler_port
    for try in 1 2 3; do
        server_port=$(free_port)
        # Not while a test drops what autovacuum looks at: that waits for no lock, it is put off.
        if "$top/deploy/postgres.sh" start "$1/server" "$server_port" \
            --conf autovacuum=off >/dev/null; then
            break
        fi
        [ "$try" -lt 3 ]
    done
    for try in 1 2 3; do
        pooler_port=$(free_port)
        if "$top/deploy/pgbouncer.sh" start "$1/pooler" "$pooler_port" "$server_port" \
            >/dev/null; then
            break
        fi
        [ "$try" -lt 3 ]
    done
    # No dbname: each test makes its own database.
    export IXN_TEST_CONNINFO="host=127.0.0.1 port=$server_port user=postgres"
    export IXN_TEST_POOLER="host=127.0.0.1 port=$pooler_port user=postgres"
}

end_lane() {
    trap '' TERM
    [ -z "$running" ] || kill "$running" || true
    "$top/deploy/pgbouncer.sh" stop "$own/pooler" || true
    "$top/deploy/postgres.sh" stop "$own/server" immediate || true
}

test_program() { # PROGRAM OUTPUT: prints what it measured and its verdict
    local name started verdict=ok
    name=$(basename "$1")
    started=$(date +%s%3N)
    "$1" >"$2" 2>&1 &
    running=$!
    wait "$running" || verdict=FAILED
    running=
    # A leak that the sanitizer saw in a test's process does not fail the test by itself.
    if grep -q 'ERROR: LeakSanitizer\|runtime error:' "$2"; then verdict=FAILED; fi
    if [ $verdict = FAILED ]; then cat "$2"; fi
    grep -h '^measured: ' "$2" || true
    printf '%-32s %-6s %6d ms\n' "$name" $verdict $(($(date +%s%3N) - started))
    printf '%s\n' $verdict >"$folder/taken/$name/verdict"
}

lane() { # DIR: runs the programs that no other lane has taken, on servers of its own
    local program
    own=$1
    running=
    trap end_lane EXIT
    trap 'exit 143' TERM # when the servers that are being started are there
    mkdir "$own"
    chmod 755 "$own"
    start_servers "$own"
    for program in "${programs[@]}"; do
        mkdir "$folder/taken/$(basename "$program")" 2>/dev/null || continue
        test_program "$program" "$own/output"
    done
}

cores=$(nproc)
most=$((cores < 4 ? cores : 4))
for ((number = 0; number < most && number < ${#programs[@]}; number++)); do
    lane "$folder/lane-$number" &
    lanes+=($!)
done
for pid in "${lanes[@]}"; do wait "$pid" || true; done # a program without a verdict has failed
lanes=()
passed=$(cat "$folder"/taken/*/verdict 2>/dev/null | grep -c ok || true)
failed=$((${#programs[@]} - passed))
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
