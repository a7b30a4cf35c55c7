#!/usr/bin/env bash
# Checks the model of the take-over (takeover.pml) with spin: every order of steps within its
# bounds. As it is it must hold; with one rule taken away it must fail, or the rule would say
# nothing.
#
#   ha/model/check.sh [--large]        --large: more claims and crashes, some minutes
#
# One line a check; the last one says how many failed.
set -euo pipefail
model=$(realpath "$(dirname "$0")/takeover.pml")
large=()
case ${1-} in
--large) large=(-DCLAIMS=3 -DCRASHES=2) ;;
'') ;;
*)
    printf 'usage: ha/model/check.sh [--large]\n' >&2
    exit 2
    ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
failed=0

# Depth: no run of the model is longer; spin says so if one were.
check() { # holds|fails TITLE DEFINE…: sets nothing, prints a line
    local expected=$1 title=$2 found=holds detail
    shift 2
    spin -a "$@" "$model" >spin.out || {
        cat spin.out
        exit 1
    }
    gcc -O1 -DSAFETY -DCOLLAPSE -w -o pan pan.c
    ./pan -E -m2000000 -w24 >pan.out 2>&1
    grep -q 'errors: 0' pan.out || found=fails
    if grep -qE 'max search depth too small|out of memory|Search not completed' pan.out &&
        [ $found = holds ]; then
        found='not completed'
    fi
    if [ $found = fails ]; then
        detail=$(sed -n 's/^pan:1: //p' pan.out)
    else
        detail="$(sed -nE 's/^ *([0-9]+) states, stored.*/\1/p' pan.out) states"
    fi
    [ "$found" = "$expected" ] || failed=$((failed + 1))
    printf '%-44s %-7s %-9s %s\n' "$title" "$found" "$([ "$found" = "$expected" ] && echo ok ||
        echo "EXPECTED: $expected")" "$detail"
}

check holds 'the rules as they are' "${large[@]}"
check fails 'FENCE: by reading, not by the row lock' -DFENCE=0
check fails 'PROOF: any instance that looks right' -DPROOF=0
check fails 'LOCK_FIRST: the head as it was judged' -DLOCK_FIRST=0
check fails 'COMMIT_FIRST: told before the commit' -DCOMMIT_FIRST=0
check fails 'REACHED: a second claim never works' -DREACHED=1
printf '6 checks, %d failed\n' "$failed"
[ "$failed" -eq 0 ]
