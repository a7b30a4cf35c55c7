#!/usr/bin/env bash
# The way from a seed to the shortest list of faults: with a rule broken, a seed is found and
# minimized; the list breaks the same promise again, and nothing of the product as it is.
#
#   tests/sim/minimize_test.sh BUILD_DIR
set -euo pipefail
sim=$(realpath "$1")/tests/sim
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    printf 'minimize: %s\n' "$*"
    exit 1
}

"$sim" --mutation FENCE_BY_SELECT --seeds 200 >"$folder/seeds" || true
seed=$(sed -nE 's/^seed ([0-9]+): P4 log.*/\1/p' "$folder/seeds" | sort -n | head -n 1)
[ -n "$seed" ] || fail 'no seed of 200 notices FENCE_BY_SELECT'
if "$sim" --mutation FENCE_BY_SELECT --seed "$seed" --minimize >"$folder/plan"; then
    fail "seed $seed is said to break nothing"
fi
cat "$folder/plan"
read -r kept all < <(sed -nE 's/^# ([0-9]+) of ([0-9]+) faults.*/\1 \2/p' "$folder/plan")
[ "$kept" -le "$all" ] && [ "$(grep -c '^fault' "$folder/plan" || true)" -eq "$kept" ] ||
    fail 'the list is not what its first line says'
if "$sim" --mutation FENCE_BY_SELECT --replay "$folder/plan" >"$folder/again"; then
    fail 'the list breaks nothing when it is run again'
fi
grep -q 'P4 log' "$folder/again" || fail 'the list breaks something else when it is run again'
"$sim" --replay "$folder/plan" || fail 'the list breaks the product as it is'
