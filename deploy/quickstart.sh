#!/usr/bin/env bash
# From nothing to real interactions, in one command: installs, builds, starts a private PostgreSQL
# with a pooler, a pair of nodes, two routers and two application servers that classify, pushes real
# e-mail and generated load through, and kills the primary and a classifier in the middle of it.
#
#   deploy/quickstart.sh                 … and leaves all of it running to be tried, until Ctrl-C
#   deploy/quickstart.sh --once          … checks every interaction, prints one line of JSON, ends
#   --messages N                         generated interactions beside the mail (default 20000)
#
# Everything it starts lives in one temporary folder and ends with it. --once ends with code 0 only
# when nothing that was acknowledged is lost, nothing was made twice, and a server has classified
# each. failover_ms is the longest time without an acknowledgement that the submitting clients saw;
# "services" has the requests that strategies asked (one an interaction), answered ones, faults, and
# how many each server answered.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=$top/build/release/bin
once=
messages=20000
dir=
declare -A node_pids=() # by name of the node: a, b
declare -A ports=()
nodes=() # --node of each, for their clients
pids=()  # the clients
training= # while the classifier is trained
declare -A classifier_pids=() # by name of the application server
failed=yes # until the end is reached

say() { printf '%s\n' "$*" >&2 || true; } # the terminal may be gone

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
    trap '' HUP INT TERM
    local pid
    # Its session, or the process that is about to begin one.
    [ -z "$training" ] || kill -TERM -- "-$training" "$training" 2>/dev/null || true
    for pid in "${pids[@]}" "${classifier_pids[@]}" "${node_pids[@]}"; do # clients before the nodes
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
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- starting ------------------------------------------------------------------------------------

# Sets $port: one of loopback that nobody uses, below those that the kernel gives out by itself, and
# another one at each call.
port=$((30000 + RANDOM % 2700))
free_port() {
    while true; do
        port=$((port < 32700 ? port + 1 : 30000))
        if ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
    done
}

start() { # NAME COMMAND…: in the background, deaf to the terminal's Ctrl-C: cleanup ends it
    local name=$1
    shift
    setsid "$@" >"$dir/$name.log" 2>&1 </dev/null &
    pids+=("$!")
}

start_node() { # a or b
    setsid "$bin/ixnd" --config "$dir/$1.yaml" >>"$dir/$1.log" 2>&1 </dev/null &
    node_pids[$1]=$!
}

# The roles of node-a and node-b by their own words; empty while one does not answer.
roles() {
    { "$bin/ixnctl" "${nodes[@]}" pair status -o json 2>/dev/null || true; } |
        /usr/bin/python3 -c 'import json, sys
nodes = json.loads(sys.stdin.read() or "{}").get("nodes", [])
own = {node["own"]["name"]: node["own"]["role"] for node in nodes if node.get("answered")}
print(own.get("node-a", ""), own.get("node-b", ""))'
}

wait_pair() { # until one node serves and the other could take over: sets $primary and $backup
    local deadline=$((SECONDS + 60)) name
    while true; do
        for name in a b; do
            kill -0 "${node_pids[$name]}" 2>/dev/null ||
                fail "node-$name ended: $(tail -n 5 "$dir/$name.log")"
        done
        case "$(roles)" in
        'primary-paired backup-ready')
            primary=a backup=b
            return
            ;;
        'backup-ready primary-paired')
            primary=b backup=a
            return
            ;;
        esac
        [ $SECONDS -lt $deadline ] || fail "no pair after 60 s: $(tail -n 3 "$dir"/[ab].log)"
        sleep 0.1
    done
}

build() {
    local log=$top/build/quickstart-build.log
    mkdir -p "$top/build"
    say 'building (the first time takes a minute or two)'
    if ! (cd "$top" && { [ -f build/release/build.ninja ] || cmake --preset release; } &&
        cmake --build --preset release -j "$(nproc)" \
            --target ixnd ixnctl ixn-router ixn-app ixn-bench) >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "the build failed; all of its output is in $log"
    fi
}

write_configuration() { # OWN OTHER: of node OWN
    cat >"$dir/$1.yaml" <<YAML
node:
  name: node-$1
  client_endpoint: tcp://127.0.0.1:${ports[$1]}
  state_dir: $dir/state-$1
pair:
  bind: tcp://127.0.0.1:${ports[peer-$1]}
  peer: tcp://127.0.0.1:${ports[peer-$2]}
  certificate: $dir/pair.key
admin:
  endpoint: tcp://127.0.0.1:${ports[admin-$1]}
database:
  daps:
    - name: direct
      conninfo: host=127.0.0.1 port=$pg_port user=ixn dbname=ixn
    - name: pooler
      conninfo: host=127.0.0.1 port=$pool_port user=ixn dbname=ixn
queues:
  - name: inbound
    strategy: triage
  - name: support
    strategy: answer
routers: # both sides of agent reservation, so that the two share the strategies
  - name: urs-1
    agent_reservation: true
  - name: urs-2
    agent_reservation: true
YAML
}

start_pair() {
    local name
    for name in a b peer-a peer-b admin-a admin-b; do
        free_port
        ports[$name]=$port
    done
    nodes=(--node "tcp://127.0.0.1:${ports[a]}" --node "tcp://127.0.0.1:${ports[b]}")
    "$bin/ixnctl" pair keygen "$dir/pair.key" >"$dir/keygen.log" ||
        fail "the pair's key could not be made"
    write_configuration a b
    write_configuration b a
    "$bin/ixnctl" --config "$dir/a.yaml" database init >"$dir/init.log" ||
        fail "the database could not be initialised"
    start_node a
    start_node b
    wait_pair
}

start_all() {
    local name
    dir=$(mktemp -d "${TMPDIR:-/tmp}/ixn-quickstart.XXXXXX")
    chmod 755 "$dir" # the database's user has to come through
    mailbox=$("$top/deploy/mail-corpus.sh")
    train
    free_port
    pg_port=$port
    free_port
    pool_port=$port
    say 'starting PostgreSQL and pgbouncer'
    "$top/deploy/postgres.sh" start "$dir/pg" "$pg_port" >/dev/null
    "$top/deploy/pgbouncer.sh" start "$dir/pgbouncer" "$pool_port" "$pg_port" ixn >/dev/null
    say 'starting the pair, two routers and two classifiers'
    start_pair
    for name in triage answer; do
        "$bin/ixnctl" strategy put "$name" "$top/apps/ixn-router/strategies/$name.lua" \
            "${nodes[@]}" --router urs-1 --router urs-2 >&2 ||
            fail "the strategy $name could not be stored"
    done
    for name in urs-1 urs-2; do
        start "$name" "$bin/ixn-router" --name "$name" "${nodes[@]}" --agent-reservation
    done
    wait "$training" || fail "the classifier was not trained: $(tail -n 3 "$dir/train.log")"
    training=
    say "a classifier of $(tail -n 1 "$dir/train.log" | sed 's/^[^:]*: //')"
    start_classifier classifier-1
    start_classifier classifier-2
}

# The labels are the mailing lists; the model's accuracy is of mails that it has not seen. In the
# background, as a session that cleanup ends as a whole.
train() {
    # shellcheck disable=SC2016
    setsid bash -c '"$1" "$2" >"$3/examples.jsonl" &&
        exec "$4" train classification --model "$3/model" "$3/examples.jsonl"' train \
        "$top/deploy/labelled-mail.py" "$mailbox" "$dir" "$bin/ixn-app" \
        >"$dir/train.log" 2>&1 </dev/null &
    training=$!
}

start_classifier() { # NAME
    setsid "$bin/ixn-app" serve classification --model "$dir/model" --name "$1" "${nodes[@]}" \
        >>"$dir/$1.log" 2>&1 </dev/null &
    classifier_pids[$1]=$!
}

# ---- pushing interactions through ----------------------------------------------------------------

query() { # SQL. A pager, which a low terminal would get, waits for a key that nobody expects
    psql -XAtq -P pager=off -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$pg_port" -U ixn -d ixn -c "$1"
}

# The number that a line of JSON has under a name.
figure() { # NAME, the line on standard input
    /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

push_mail() {
    mails=$(grep -c '^From ' "$mailbox")
    say "submitting $mails e-mails to the queue inbound"
    "$bin/ixnctl" submit "${nodes[@]}" --queue inbound "$mailbox" >&2 ||
        fail 'ixnctl could not submit the mail'
}

# With the primary killed in the middle: the backup takes over, the client library asks it with the
# same keys, and what was killed comes back as the backup.
push_load() {
    local head deadline=$((SECONDS + 30)) killed=$primary
    say "submitting $messages generated interactions; SIGKILL to the primary and a classifier"
    head=$(query 'SELECT max(last_index) FROM ixn.journal')
    start bench "$bin/ixn-bench" "${nodes[@]}" --submit-only --count "$messages" --queue inbound
    until [ "$(query 'SELECT max(last_index) FROM ixn.journal')" -gt $((head + messages / 4)) ] ||
        [ $SECONDS -ge $deadline ]; do
        sleep 0.02
    done
    kill -KILL "${node_pids[$killed]}" "${classifier_pids[classifier-1]}"
    wait "${node_pids[$killed]}" "${classifier_pids[classifier-1]}" 2>/dev/null || true
    wait "${pids[-1]}" || fail "ixn-bench failed: $(tail -n 5 "$dir/bench.log")"
    unset 'pids[-1]'
    sed '$d' "$dir/bench.log" >&2
    acknowledged=$(tail -n 1 "$dir/bench.log" | figure acknowledged)
    failover_ms=$(tail -n 1 "$dir/bench.log" | figure longest_gap_ms)
    start_classifier classifier-1
    start_node "$killed"
    wait_pair
    [ "$primary" != "$killed" ] || fail "node-$killed serves although node-$backup took over"
    say "node-$primary took over, clients waited $failover_ms ms; node-$backup is its backup now"
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
    # Each went through the strategy that asks, and says who answered, or with which fault.
    services=$(query "SELECT json_build_object('requests', count(*) FILTER (WHERE asked),
        'answered', count(by), 'faults', count(*) FILTER (WHERE asked AND by IS NULL),
        'by_server', (SELECT json_object_agg(s, n) FROM (SELECT attributes->>'classified_by' AS s,
            count(*) AS n FROM ixn.interaction_history GROUP BY 1) AS g WHERE s IS NOT NULL))::text
        FROM (SELECT attributes->>'classified_by' AS by,
            attributes ?| array['classified_by', 'classification_fault'] AS asked
            FROM ixn.interaction_history) AS i")
    answered=$(figure answered <<<"$services")
    query "SELECT format('%-10s %-12s %8s completed, %s s on average', to_char(hour, 'HH24:MI'),
        queue, completed, round(average_seconds::numeric, 2)) FROM ixn.throughput_hourly
        ORDER BY hour, queue" >&2
}

explain() {
    cat >&2 <<TXT

All of it is running. Try:
  http://127.0.0.1:${ports[admin-a]}/ in a browser: the page (of node-a; node-b: ${ports[admin-b]})
  $bin/ixnctl ${nodes[*]} top
  $bin/ixnctl ${nodes[*]} pair status
  $bin/ixnctl ${nodes[*]} switchover --wait
  $bin/ixnctl ${nodes[*]} queues
  $bin/ixnctl ${nodes[*]} apps
  $bin/ixnctl ${nodes[*]} router drain urs-1 --reason "to see it"
  $bin/ixnctl --config $dir/a.yaml database status
  echo '{"subject":"hello"}' | $bin/ixnctl submit ${nodes[*]} -q inbound -m chat -
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
failover_ms=0
[ "$messages" -eq 0 ] || push_load
submitted=$((mails + acknowledged))
wait_completed
judge
failed=
if [ "$lost" -ne 0 ] || [ "$repeated" -ne 0 ] || [ "$completed" -ne "$submitted" ] ||
    [ "$answered" -ne "$completed" ]; then
    failed=yes
fi
if [ -z "$once" ]; then
    explain
    wait "${node_pids[@]}" || true # for as long as it is wanted
    exit 0
fi
cleanup
trap - EXIT
printf '{"submitted":%d,"completed":%d,"lost":%d,"repeated":%d,"failover_ms":%s,"services":%s}\n' \
    "$submitted" "$completed" "$lost" "$repeated" "$failover_ms" "${services// /}"
[ -z "$failed" ]
