#!/usr/bin/env bash
# Cases on real processes: real PostgreSQL and pgbouncer, real nodes and routers, all private to the
# case. A table for people, then one line of JSON for each case.
#
#   tests/system/run.sh [--list] [--build DIR] [--full] [--rounds N] [--seconds N] [--rate N]
#                       [--seed N] [CASE…]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec /usr/bin/python3 "$here/run.py" "$@"
