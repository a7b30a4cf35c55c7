#!/usr/bin/env bash
# Installs the Debian packages that building, running and testing need: those of deploy/packages.txt
# that are missing, and nothing when none is. Runs as root or through sudo. Starts no service: a
# freshly installed PostgreSQL or pgbouncer of the system stays down; ours are private ones.
#
#   deploy/install.sh                      the packages of packages.txt
#   deploy/install.sh --also PACKAGE…      … and these
#   deploy/install.sh --only PACKAGE…      just these
#   deploy/install.sh --bench              those of packages.txt and of bench-packages.txt: the
#                                          stores that tests/bench compares us with. Services that
#                                          come with them do not start with the machine, either.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

wanted=()
case ${1-} in
--also | --only)
    mode=$1
    shift
    [ $# -gt 0 ] || fail "$mode needs the name of a package"
    wanted=("$@")
    ;;
--bench)
    mode=$1
    [ $# -eq 1 ] || fail '--bench takes nothing more'
    mapfile -t wanted <"$here/bench-packages.txt"
    ;;
'') mode= ;;
*) fail "unknown argument '$1'; known: --also PACKAGE… | --only PACKAGE… | --bench" ;;
esac
if [ "$mode" != --only ]; then
    mapfile -t -O "${#wanted[@]}" wanted <"$here/packages.txt"
fi

command -v dpkg-query >/dev/null ||
    fail "no dpkg-query, so not a Debian system; install what deploy/packages.txt names by hand"

# Packages that provide one of ours count too: dpkg knows a package by its own name only, but those
# named here are all real ones.
missing=()
for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | head -n 1) || true
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        fail "not root and no sudo; as root run: apt-get install ${missing[*]}"
    as_root=(sudo)
fi

# The services of all packages, one a line.
services() {
    find /etc/init.d /lib/systemd/system -maxdepth 1 \( -type f -o -type l \) \
        \( -path '/etc/init.d/*' -o -name '*.service' -o -name '*.socket' \) -printf '%f\n' | sort
}

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
own_policy=
cleanup() {
    if [ -n "$own_policy" ]; then
        "${as_root[@]}" rm -f "$policy"
    fi
    rm -f "$log"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
# Debian's way to say "start no service while installing" (invoke-rc.d(8)).
if [ ! -e "$policy" ]; then
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

printf 'installing %d packages: %s\n' "${#missing[@]}" "${missing[*]}"
apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 </dev/null
}
before=$(services)
if ! apt update || ! apt install --no-install-recommends -y "${missing[@]}"; then
    tail -n 20 "$log" >&2
    fail "apt-get could not install: ${missing[*]} (its last words are above)"
fi

# Nobody asked for these servers to run: they are only measured, by processes of our own.
if [ "$mode" = --bench ]; then
    while read -r service; do
        case $service in
        *.service | *.socket)
            if command -v systemctl >/dev/null; then
                "${as_root[@]}" systemctl disable --quiet "$service" >"$log" 2>&1 || true
            fi
            ;;
        ?*) "${as_root[@]}" update-rc.d "$service" disable >"$log" 2>&1 || true ;;
        esac
    done < <(comm -13 <(printf '%s\n' "$before") <(services))
fi
