#!/usr/bin/env bash
# A private PostgreSQL cluster in one folder, for trying, testing and measuring. Loopback only,
# durable (fsync on), trust for the roles `postgres` (superuser) and `ixn` (owner of the database
# `ixn`). Run as root, the server runs as user `postgres`; otherwise as the current user.
#
#   deploy/postgres.sh start DIR PORT [--conf NAME=VALUE]…
#   deploy/postgres.sh stop DIR [fast|immediate]
#
# start  makes the cluster when DIR holds none, starts it, waits until it answers, and prints the
#        superuser's connection string. A cluster that was killed is started again the same way.
#        --conf values go into its own file and replace those of the last start.
# stop   returns when it is down. Nothing to do when it is not running.
#
# In DIR: data/ (the cluster), log (the server's), the Unix socket.
set -euo pipefail

fail() {
    printf 'postgres.sh: %s\n' "$*" >&2
    exit 1
}

usage() {
    fail 'usage: postgres.sh start DIR PORT [--conf NAME=VALUE]… | stop DIR [fast|immediate]'
}

# The newest server of this machine, 15 or later.
server_folder() {
    local folder best=0 version
    for folder in /usr/lib/postgresql/*/bin; do
        version=${folder#/usr/lib/postgresql/}
        version=${version%/bin}
        if [ -x "$folder/postgres" ] && [[ $version =~ ^[0-9]+$ ]]; then
            [ "$version" -le "$best" ] || best=$version
        fi
    done
    [ "$best" -ge 15 ] ||
        fail "PostgreSQL 15 or later is needed and /usr/lib/postgresql has ${best/#0/none}; run \
deploy/install.sh"
    printf '/usr/lib/postgresql/%s/bin\n' "$best"
}

as_server() {
    if [ "$(id -u)" -eq 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

query() { # DATABASE SQL
    "$bin/psql" -XAtq -v ON_ERROR_STOP=1 -h "$dir" -p "$port" -U postgres -d "$1" -c "$2"
}

answers() { # on the port that it was started with last
    local last
    last=$(as_server sed -n 4p "$dir/data/postmaster.pid" 2>/dev/null) || return 1
    [ -n "$last" ] && "$bin/pg_isready" -q -h "$dir" -p "$last"
}

create() {
    local options=(--no-sync -U postgres -A trust -E UTF8 --locale=C.UTF-8)
    as_server "$bin/initdb" "${options[@]}" -D "$dir/data.new" >"$dir/initdb.log" 2>&1 ||
        fail "initdb failed in $dir: $(tail -n 3 "$dir/initdb.log")"
    as_server tee "$dir/data.new/pg_hba.conf" >/dev/null <<'HBA'
local all         postgres,ixn              trust
host  all         postgres,ixn 127.0.0.1/32 trust
local replication postgres                  trust
host  replication postgres     127.0.0.1/32 trust
HBA
    # Included last, so that its values win over those above.
    as_server tee -a "$dir/data.new/postgresql.conf" >/dev/null <<'CONF'
listen_addresses = '127.0.0.1'
max_connections = 200
fsync = on
synchronous_commit = on
log_line_prefix = '%m [%p] %q%a '
include_if_exists = 'start.conf'
CONF
    sync -f "$dir/data.new" # as initdb would, for one file system at once
    as_server mv "$dir/data.new" "$dir/data" # a cluster half made is never taken for one
}

start() {
    local conf lines deadline
    if [ ! -d "$dir" ]; then
        mkdir -p "$dir"
        [ "$(id -u)" -ne 0 ] || chown postgres: "$dir"
    fi
    as_server test -w "$dir" || fail "the server's user cannot write in $dir; check the owner and \
the permissions of it and of the folders above it"
    [ ${#dir} -le 80 ] ||
        fail "the path $dir is too long for a Unix socket (${#dir} bytes, at most 80)"
    if [ ! -d "$dir/data" ]; then
        as_server rm -rf "$dir/data.new"
        create
    elif answers; then
        fail "the cluster in $dir is running already"
    fi
    lines="port = $port"$'\n'"unix_socket_directories = '$dir'"$'\n'
    for conf in "$@"; do
        lines+="${conf%%=*} = '${conf#*=}'"$'\n'
    done
    printf '%s' "$lines" | as_server tee "$dir/data/start.conf" >/dev/null
    # After a kill the old server, or its children who hold its memory, may be there for a moment:
    # try again.
    deadline=$((SECONDS + 60))
    until as_server "$bin/pg_ctl" start -w -t 60 -D "$dir/data" -l "$dir/log" \
        >"$dir/pg_ctl.log" 2>&1; do
        if [ $SECONDS -ge $deadline ] ||
            ! as_server tail -n 5 "$dir/log" | grep -qE 'is still in use|lock file'; then
            fail "PostgreSQL did not start in $dir: $(as_server tail -n 5 "$dir/log" 2>&1)"
        fi
        sleep 0.1
    done
    if [ "$(query postgres "SELECT count(*) FROM pg_roles WHERE rolname = 'ixn'")" = 0 ]; then
        query postgres 'CREATE ROLE ixn LOGIN'
    fi
    if [ "$(query postgres "SELECT count(*) FROM pg_database WHERE datname = 'ixn'")" = 0 ]; then
        query postgres 'CREATE DATABASE ixn OWNER ixn'
    fi
    printf 'host=127.0.0.1 port=%s user=postgres dbname=postgres\n' "$port"
}

[ $# -ge 2 ] || usage
command=$1
dir=$(realpath -m "$2")
shift 2
bin=$(server_folder)
case $command in
start)
    [ $# -ge 1 ] || usage
    port=$1
    shift
    [[ $port =~ ^[0-9]+$ ]] || fail "PORT must be a number, not '$port'"
    settings=()
    while [ $# -gt 0 ]; do
        if [ "$1" != --conf ] || [ $# -lt 2 ] || [[ $2 != *=* ]]; then usage; fi
        settings+=("$2")
        shift 2
    done
    # A server whose settings forbid writing (read-only) can be started, not made, with them.
    start "${settings[@]}"
    ;;
stop)
    mode=${1-fast}
    if ! as_server test -d "$dir/data" || ! as_server "$bin/pg_ctl" status -D "$dir/data" >/dev/null
    then
        exit 0
    fi
    as_server "$bin/pg_ctl" stop -w -t 60 -m "$mode" -D "$dir/data" >/dev/null ||
        fail "PostgreSQL in $dir did not stop within 60 s; its log is $dir/log"
    ;;
*) usage ;;
esac
