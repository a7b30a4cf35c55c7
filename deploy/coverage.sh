#!/usr/bin/env bash
# Line and branch coverage of ha/, dap/, core/, balancer/ and config/ by the unit tests, the tests
# on a real database and the simulator. Builds what it needs (preset coverage).
#
#   deploy/coverage.sh [--seeds N] [--keep]
#
#   --seeds N   of the simulator, 300 by default
#   --keep      adds to what was counted before, instead of beginning anew
#
# Ends with a table: a folder a line, then the files with the most lines that never ran. Which lines
# those are: genhtml --branch-coverage build/coverage/coverage.info -o DIR.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"
build=build/coverage
info=$build/coverage.info
seeds=300
keep=
while [ $# -gt 0 ]; do
    case $1 in
    --seeds)
        [[ ${2-} =~ ^[0-9]+$ ]] || {
            printf 'coverage.sh: --seeds needs a number\n' >&2
            exit 2
        }
        seeds=$2
        shift
        ;;
    --keep) keep=yes ;;
    *)
        printf 'usage: deploy/coverage.sh [--seeds N] [--keep]\n' >&2
        exit 2
        ;;
    esac
    shift
done

deploy/install.sh
[ -f $build/build.ninja ] || cmake --preset coverage
# Programs of the product, and builds in which rules are broken, count nothing here.
targets=(sim)
for source in tests/unit/test_*.c tests/database/test_*.c; do
    targets+=("$(basename "$source" .c)")
done
cmake --build --preset coverage -j "$(nproc)" --target "${targets[@]}"
[ -n "$keep" ] || find $build -name '*.gcda' -delete

# What fails here fails in the test command, too, and is told there; what ran counts all the same.
log=$build/coverage.log
{
    ctest --test-dir $build -j "$(nproc)" -R '^test_' -E '_thread$' || true
    tests/database/run.sh $build || true
    $build/tests/sim --seeds "$seeds" --jobs "$(nproc)" || true
} | tee $log | grep -E 'tests passed|passed,|seeds/s' || true

rm -f $build/uncovered
lcov --quiet --capture --directory $build --output-file $info --rc lcov_branch_coverage=1 \
    --ignore-errors source,gcov 2>>$log
awk -v top="$top/" '
    function percent(hit, found) { return found ? 100 * hit / found : 100 }
    /^SF:/ { file = substr($0, 4); sub(top, "", file); folder = file; sub("/[^/]*$", "", folder) }
    /^DA:/ { lf++; lh += $0 !~ /,0$/ }
    /^BRDA:/ { bf++; bh += $0 !~ /,(0|-)$/ }
    /^end_of_record/ {
        if (folder ~ /^(ha|dap|core|balancer|config)(\/|$)/ && file ~ /\.c$/) {
            LF[folder] += lf; LH[folder] += lh; BF[folder] += bf; BH[folder] += bh
            if (lf > lh) print lf - lh, file, lh, lf > "'$build'/uncovered"
        }
        lf = lh = bf = bh = 0
    }
    END {
        printf "%-24s %15s %8s %17s %8s\n", "folder", "lines", "", "branches", ""
        for (f in LF) {
            printf "%-24s %7d/%-7d %6.1f%% %8d/%-8d %6.1f%%\n", f, LH[f], LF[f],
                percent(LH[f], LF[f]), BH[f], BF[f], percent(BH[f], BF[f]) | "sort"
            lines += LF[f]; hit += LH[f]; branches += BF[f]; taken += BH[f]
        }
        close("sort")
        printf "%-24s %7d/%-7d %6.1f%% %8d/%-8d %6.1f%%\n", "all", hit, lines, percent(hit, lines),
            taken, branches, percent(taken, branches)
    }' $info
printf '\nlines that never ran\n'
sort -rn $build/uncovered | head -n 15 |
    awk '{ printf "%5d  %-40s %d of %d ran\n", $1, $2, $3, $4 }'
