#!/usr/bin/env bash
# A private pgbouncer in front of a PostgreSQL server on loopback: transaction pooling, the three
# settings without which its clients stay blind long after the server is back, trust for the roles
# `postgres` (who may also use its console) and `ixn`. Runs as user `postgres` when started by root.
#
#   deploy/pgbouncer.sh start DIR PORT PGPORT [DATABASE…]
#   deploy/pgbouncer.sh stop DIR
#
# start  without DATABASE serves every database of the server. Prints a connection string.
# stop   returns when it is down. Nothing to do when it is not running.
set -euo pipefail

fail() {
    printf 'pgbouncer.sh: %s\n' "$*" >&2
    exit 1
}

usage() {
    fail 'usage: pgbouncer.sh start DIR PORT PGPORT [DATABASE…] | stop DIR'
}

as_server() {
    if [ "$(id -u)" -eq 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

# The process of this folder, or nothing: a pid file may be older than the process that has its
# number now.
running_pid() {
    local pid
    [ -r "$dir/pid" ] || return 0
    pid=$(cat "$dir/pid")
    if [ -n "$pid" ] && grep -qzxF "$dir/pgbouncer.ini" "/proc/$pid/cmdline" 2>/dev/null; then
        printf '%s\n' "$pid"
    fi
}

configuration() {
    local database
    printf '[databases]\n'
    for database in "${@:-*}"; do
        printf '%s = host=127.0.0.1 port=%s\n' "$database" "$server_port"
    done
    cat <<INI
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir = $dir
auth_type = trust
auth_file = $dir/users
admin_users = postgres
pool_mode = transaction
default_pool_size = 20
max_client_conn = 1000
server_login_retry = 1
server_connect_timeout = 2
query_wait_timeout = 3
ignore_startup_parameters = extra_float_digits
logfile = $dir/log
pidfile = $dir/pid
INI
}

start() {
    local deadline
    if [ ! -d "$dir" ]; then
        mkdir -p "$dir"
        [ "$(id -u)" -ne 0 ] || chown postgres: "$dir"
    fi
    as_server test -w "$dir" || fail "the user that runs it cannot write in $dir; check the owner \
and the permissions of it and of the folders above it"
    [ ${#dir} -le 80 ] ||
        fail "the path $dir is too long for a Unix socket (${#dir} bytes, at most 80)"
    [ -z "$(running_pid)" ] || fail "the pgbouncer of $dir is running already"
    configuration "$@" | as_server tee "$dir/pgbouncer.ini" >/dev/null
    printf '"postgres" ""\n"ixn" ""\n' | as_server tee "$dir/users" >/dev/null
    as_server rm -f "$dir/pid" "$dir/.s.PGSQL.$port"
    as_server "$program" -d -q "$dir/pgbouncer.ini" ||
        fail "it did not start: $(tail -n 3 "$dir/log" 2>&1)"
    deadline=$((SECONDS + 10))
    until psql -XAtq -h 127.0.0.1 -p "$port" -U postgres -d pgbouncer -c 'SHOW VERSION' \
        >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] ||
            fail "no answer on port $port within 10 s: $(tail -n 3 "$dir/log" 2>&1)"
        sleep 0.05
    done
    printf 'host=127.0.0.1 port=%s user=ixn dbname=%s\n' "$port" "${1-ixn}"
}

stop() {
    local pid
    pid=$(running_pid)
    [ -n "$pid" ] || return 0
    kill -TERM "$pid" # at once; its clients lose their connections
    timeout 10 tail --pid="$pid" -s 0.05 -f /dev/null ||
        fail "process $pid of $dir did not end within 10 s"
}

[ $# -ge 2 ] || usage
command=$1
dir=$(realpath -m "$2")
shift 2
program=$(PATH="$PATH:/usr/sbin" command -v pgbouncer) ||
    fail 'pgbouncer is not installed; run deploy/install.sh'
case $command in
start)
    [ $# -ge 2 ] || usage
    port=$1
    server_port=$2
    shift 2
    if [[ ! $port =~ ^[0-9]+$ ]] || [[ ! $server_port =~ ^[0-9]+$ ]]; then
        fail "ports must be numbers, not '$port' and '$server_port'"
    fi
    start "$@"
    ;;
stop) stop ;;
*) usage ;;
esac
