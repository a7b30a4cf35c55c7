#!/usr/bin/env bash
# Benchmarks on real processes. A table for people, then one line of JSON for each row:
# {"bench":…,"ours":…,"peer":…,"ratio":…,"goal":…}.
#
#   tests/bench/run.sh [--list] [--build DIR] [--interactions N] [NAME…]
#   tests/bench/run.sh [--rounds N] [--seconds T] [--peer NAME]… [--work NAME]… peers
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHONPATH=$here/../system exec /usr/bin/python3 "$here/run.py" "$@"
