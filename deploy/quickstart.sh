#!/usr/bin/env bash
# From nothing to real interactions, in one command: installs, builds, starts a private PostgreSQL
# with a pooler, one node and two routers, pushes real e-mail and generated load through, and kills
# the node in the middle of it.
#
#   deploy/quickstart.sh                 … and leaves all of it running to be tried, until Ctrl-C
#   deploy/quickstart.sh --once          … checks every interaction, prints one line of JSON, ends
#   --messages N                         generated interactions beside the mail (default 20000)
#
# Everything it starts lives in one temporary folder and ends with it. --once ends with code 0 only
# when nothing that was acknowledged is lost and nothing was made twice.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=$top/build/release/bin
once=
messages=20000
dir=
node_pid=
pids=() # its clients
failed=yes # until the end is reached

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "quickstart.sh: $*"
    exit 1
}

# ---- ending what was started ---------------------------------------------------------------------

end_process() { # PID: SIGTERM, and SIGKILL when it does not listen
    kill -TERM "$1" 2>/dev/null || return 0
    if ! timeout 10 tail --pid="$1" -s 0.05 -f /dev/null; then
        say "process $1 did not end within 10 s; killed"
        kill -KILL "$1" 2>/dev/null || true
    fi
    wait "$1" 2>/dev/null || true
}

keep_logs() {
    local file target=$top/build/quickstart-logs
    rm -rf "$target"
    mkdir -p "$target"
    for file in "$dir"/*.log "$dir"/pg/log "$dir"/pgbouncer/log; do
        if [ -f "$file" ]; then cp "$file" "$target/$(tr / - <<<"${file#"$dir"/}")"; fi
    done
    say "logs are in $target"
}

cleanup() {
    trap '' INT TERM
    local pid
    for pid in "${pids[@]}" $node_pid; do # clients before the node
        end_process "$pid"
    done
    if [ -n "$dir" ]; then
        "$top/deploy/pgbouncer.sh" stop "$dir/pgbouncer" || true
        "$top/deploy/postgres.sh" stop "$dir/pg" || true
        if [ -n "$failed" ]; then
            keep_logs
        fi
        rm -rf "$dir"
    fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- starting ------------------------------------------------------------------------------------

# A port of loopback that nobody uses, below those that the kernel gives out by itself.
free_port() {
    local port
    while true; do
        port=$((20000 + RANDOM % 10000))
        if ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            printf '%s\n' "$port"
            return
        fi
    done
}

start() { # NAME COMMAND…: in the background, deaf to the terminal's Ctrl-C: cleanup ends it
    local name=$1
    shift
    setsid "$@" >"$dir/$name.log" 2>&1 </dev/null &
    pids+=("$!")
}

start_node() { # its process becomes $node_pid
    local deadline=$((SECONDS + 60))
    : >"$dir/ixnd.log"
    setsid "$bin/ixnd" --config "$dir/ixnd.yaml" >>"$dir/ixnd.log" 2>&1 </dev/null &
    node_pid=$!
    until grep -qF ' node.serving ' "$dir/ixnd.log"; do
        kill -0 "$node_pid" 2>/dev/null || fail "ixnd ended: $(tail -n 5 "$dir/ixnd.log")"
        [ $SECONDS -lt $deadline ] ||
            fail "ixnd does not serve after 60 s: $(tail -n 5 "$dir/ixnd.log")"
        sleep 0.05
    done
}

build() {
    local log=$top/build/quickstart-build.log
    mkdir -p "$top/build"
    say 'building (the first time takes a minute or two)'
    if ! (cd "$top" && { [ -f build/release/build.ninja ] || cmake --preset release; } &&
        cmake --build --preset release -j "$(nproc)" \
            --target ixnd ixnctl ixn-router ixn-bench) >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "the build failed; all of its output is in $log"
    fi
}

write_configuration() {
    cat >"$dir/ixnd.yaml" <<YAML
node:
  name: node-a
  client_endpoint: $node
  state_dir: $dir/state
database:
  daps:
    - name: direct
      conninfo: host=127.0.0.1 port=$pg_port user=ixn dbname=ixn
    - name: pooler
      conninfo: host=127.0.0.1 port=$pool_port user=ixn dbname=ixn
queues:
  - name: inbound
    strategy: classify
  - name: support
    strategy: answer
YAML
}

start_all() {
    local name
    dir=$(mktemp -d "${TMPDIR:-/tmp}/ixn-quickstart.XXXXXX")
    chmod 755 "$dir" # the database's user has to come through
    mkdir "$dir/state"
    pg_port=$(free_port)
    pool_port=$(free_port)
    node=tcp://127.0.0.1:$(free_port)
    say 'starting PostgreSQL and pgbouncer'
    "$top/deploy/postgres.sh" start "$dir/pg" "$pg_port" >/dev/null
    "$top/deploy/pgbouncer.sh" start "$dir/pgbouncer" "$pool_port" "$pg_port" ixn >/dev/null
    write_configuration
    "$bin/ixnctl" --config "$dir/ixnd.yaml" database init >"$dir/init.log" ||
        fail "the database could not be initialised"
    say 'starting the node and two routers'
    start_node
    for name in urs-1 urs-2; do
        start "$name" "$bin/ixn-router" --name "$name" --node "$node" \
            --strategies "$top/apps/ixn-router/strategies"
    done
}

# ---- pushing interactions through ----------------------------------------------------------------

query() { psql -XAtq -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$pg_port" -U ixn -d ixn -c "$1"; }

# The number that a line of JSON has under a name.
figure() { # NAME, the line on standard input
    /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

push_mail() {
    local mailbox
    mailbox=$("$top/deploy/mail-corpus.sh")
    mails=$(grep -c '^From ' "$mailbox")
    say "submitting $mails e-mails to the queue inbound"
    "$bin/ixnctl" submit --node "$node" --queue inbound "$mailbox" >&2 ||
        fail 'ixnctl could not submit the mail'
}

# With the node killed and started again while it goes on: the client library asks again with the
# same keys.
push_load() {
    local head deadline=$((SECONDS + 30))
    say "submitting $messages generated interactions, and SIGKILL to the node in the middle of it"
    head=$(query 'SELECT max(last_index) FROM ixn.journal')
    start bench "$bin/ixn-bench" --node "$node" --submit-only --count "$messages" --queue inbound
    until [ "$(query 'SELECT max(last_index) FROM ixn.journal')" -gt $((head + messages / 4)) ] ||
        [ $SECONDS -ge $deadline ]; do
        sleep 0.02
    done
    kill -KILL "$node_pid"
    wait "$node_pid" 2>/dev/null || true
    start_node
    wait "${pids[-1]}" || fail "ixn-bench failed: $(tail -n 5 "$dir/bench.log")"
    unset 'pids[-1]'
    sed '$d' "$dir/bench.log" >&2
    acknowledged=$(tail -n 1 "$dir/bench.log" | figure acknowledged)
}

wait_completed() {
    local deadline=$((SECONDS + 120 + messages / 200)) left
    say 'waiting until the routers have completed all of them'
    while true; do
        # As of the checkpoint, which runs a second behind.
        left=$(query 'SELECT count(*) FROM ixn.interaction')
        [ "$left" -ne 0 ] || [ "$(query 'SELECT count(*) FROM ixn.interaction_history')" -lt \
            "$submitted" ] || break
        [ $SECONDS -lt $deadline ] || break
        sleep 0.2
    done
}

# Exactly once: each Message-ID of the mail, each key of the generated ones.
judge() {
    completed=$(query 'SELECT count(*) FROM ixn.interaction_history')
    lost=$(query "SELECT $submitted - count(DISTINCT id) FROM
        (SELECT id FROM ixn.interaction UNION ALL SELECT id FROM ixn.interaction_history) AS i")
    [ "$lost" -ge 0 ] || lost=0
    repeated=$(query "SELECT (SELECT count(*) - count(DISTINCT (tenant, key))
        FROM (SELECT tenant, key FROM ixn.interaction
              UNION ALL SELECT tenant, key FROM ixn.interaction_history) AS i)
        + (SELECT count(*) - count(DISTINCT external_id) FROM ixn.interaction_history
           WHERE media_type = 'email')")
    query "SELECT format('%-10s %-12s %8s completed, %s s on average', to_char(hour, 'HH24:MI'),
        queue, completed, round(average_seconds::numeric, 2)) FROM ixn.throughput_hourly
        ORDER BY hour, queue" >&2
}

explain() {
    cat >&2 <<TXT

All of it is running. Try:
  $bin/ixnctl --config $dir/ixnd.yaml queues
  $bin/ixnctl --config $dir/ixnd.yaml database status
  echo '{"subject":"hello"}' | $bin/ixnctl submit --node $node -q inbound -m chat -
  psql -h 127.0.0.1 -p $pg_port -U ixn ixn -c 'SELECT * FROM ixn.throughput_hourly'
Logs are in $dir. Ctrl-C ends everything.
TXT
}

# ---- the whole -----------------------------------------------------------------------------------

while [ $# -gt 0 ]; do
    case $1 in
    --once) once=yes ;;
    --messages)
        [[ ${2-} =~ ^[0-9]+$ ]] || fail "--messages needs a number, not '${2-}'"
        messages=$2
        shift
        ;;
    -h | --help)
        sed -n '2,/^set -/{/^set -/d; s/^# \{0,1\}//; p}' "$0"
        failed=
        exit 0
        ;;
    *) fail "unknown argument '$1'; there is: [--once] [--messages N]" ;;
    esac
    shift
done

"$top/deploy/install.sh" >&2
build
start_all
push_mail
acknowledged=0
[ "$messages" -eq 0 ] || push_load
submitted=$((mails + acknowledged))
wait_completed
judge
failed=
if [ "$lost" -ne 0 ] || [ "$repeated" -ne 0 ] || [ "$completed" -ne "$submitted" ]; then
    failed=yes
fi
if [ -z "$once" ]; then
    explain
    wait "$node_pid" || true # for as long as it is wanted
    exit 0
fi
cleanup
trap - EXIT
printf '{"submitted":%d,"completed":%d,"lost":%d,"repeated":%d}\n' \
    "$submitted" "$completed" "$lost" "$repeated"
[ -z "$failed" ]
