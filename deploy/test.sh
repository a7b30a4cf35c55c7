#!/usr/bin/env bash
# Installs what is needed, builds, and runs all tests or the named parts.
#
#   deploy/test.sh [--full] [PART…]
#
#   format   layout, forbidden calls, unfinished marks, shell scripts
#   tidy     warnings of clang, clang-tidy
#   unit     unit and database tests, also under the address, undefined and thread sanitizers
#   sim      the simulator, the model of the take-over
#   system   cases on real processes and a real database
#   fuzz     every fuzzer, for a short time
#   browser  the operator's page
#   docs     every command of the README, links of the documents, pages of the manual
#
# Without a name all parts that exist are run, which takes about 18 minutes on two cores
# from a clean checkout, 6 of them building; --full runs the long form of each. One line for each
# test when it has ended, and last "N passed, N failed, N skipped". What mostly waits runs beside
# others, as many at a time as there are cores, at most four. Output of every test:
# build/test-logs.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"
logs=$top/build/test-logs
parts=(format tidy unit sim system fuzz browser docs)
jobs=$(nproc)
beside=$((jobs < 4 ? jobs : 4)) # tests at a time, of those that may run so
full=
passed=0
failed=0
skipped=0
child=                # what runs and is no test by itself
declare -A running=() # by process: its test
declare -A begun=()   # and since when
declare -A built=() # by preset: ok or failed

fail() {
    printf 'test.sh: %s\n' "$*" >&2
    exit 2
}

part_exists() {
    case $1 in
    sim) compgen -G 'tests/sim/*.c' >/dev/null ;;
    browser) [ -x tests/browser/run.sh ] ;;
    fuzz) compgen -G 'tests/fuzz/fuzz_*.c' >/dev/null ;;
    *) true ;;
    esac
}

# ---- running one test ----------------------------------------------------------------------------

stop_children() {
    local pid
    for pid in $child "${!running[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in $child "${!running[@]}"; do wait "$pid" || true; done
    printf '\ninterrupted\n' >&2
    exit 130
}
trap stop_children INT TERM

elapsed() { # SINCE: seconds with one decimal
    local now=$EPOCHREALTIME
    awk -v a="$1" -v b="$now" 'BEGIN { printf "%.1f", b - a }'
}

result() { # ok|FAILED|skipped NAME SECONDS [REMARK]
    case $1 in
    ok) passed=$((passed + 1)) ;;
    FAILED) failed=$((failed + 1)) ;;
    skipped) skipped=$((skipped + 1)) ;;
    esac
    printf '%-8s %-44s %7s s  %s\n' "$1" "$2" "$3" "${4-}"
}

# Runs a command with its output in a log; in the background, so that a signal is heard at once.
logged() { # LOG COMMAND…
    local log=$1 code=0
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 </dev/null &
    child=$!
    wait "$child" || code=$?
    child=
    return $code
}

verdict() { # NAME SINCE CODE: of a test that has ended; 77: skipped, its last line says why
    local name=$1 began=$2 code=$3 log="$logs/$1.log"
    if [ "$code" -eq 0 ]; then
        result ok "$name" "$(elapsed "$began")"
        return 0
    fi
    if [ "$code" -eq 77 ]; then
        result skipped "$name" "$(elapsed "$began")" "$(tail -n 1 "$log")"
        return 0
    fi
    result FAILED "$name" "$(elapsed "$began")" "$log"
    tail -n 15 "$log" | sed 's/^/    /'
    return 1
}

# Waits until one of the tests that run has ended, and says how.
finish_one() {
    local pid code=0 name began
    wait -n -p pid "${!running[@]}" || code=$?
    name=${running[$pid]} began=${begun[$pid]}
    unset "running[$pid]" "begun[$pid]"
    verdict "$name" "$began" $code
}

finish_all() {
    local good=0
    while [ ${#running[@]} -gt 0 ]; do finish_one || good=1; done
    return $good
}

# Begins one test, in the background, when fewer than so many run; finish_all waits for them.
begin() { # HOW-MANY NAME COMMAND…
    local most=$1 name=$2
    shift 2
    while [ ${#running[@]} -ge "$most" ]; do finish_one || true; done
    mkdir -p "$(dirname "$logs/$name")"
    "$@" >"$logs/$name.log" 2>&1 </dev/null &
    running[$!]=$name
    begun[$!]=$EPOCHREALTIME
}

step() { # NAME COMMAND…: one test, alone
    finish_all || true
    begin 1 "$@"
    finish_all
}

build() { # PRESET [TARGET…]: once, a step of its own; without it, what needs it cannot run
    local preset=$1
    shift
    if [ -z "${built[$preset]-}" ]; then
        built[$preset]=failed
        if step "build/$preset" cmake_build "$preset" "$@"; then built[$preset]=ok; fi
    fi
    [ "${built[$preset]}" = ok ]
}

# Ninja configures anew when that is needed. Doing it every time would move a flag that pkg-config
# gives from one list to another, and so build everything again.
cmake_build() {
    local preset=$1
    shift
    [ -f "build/$preset/build.ninja" ] || cmake --preset "$preset"
    exec ninja -C "build/$preset" -j "$jobs" "$@" # by itself it heeds SIGTERM, cmake does not
}

# What ctest says of each of its tests, in order: STATE NAME SECONDS.
ctest_results() { # LOG
    local form=' *[0-9]+\/[0-9]+ Test +#([0-9]+): ([^ ]+) [. ]*(\**[^.*0-9]+) +([0-9.]+) sec.*'
    sed -nE "s/^$form\$/\1 \3 \2 \4/p" "$1" |
        sed -E 's/\*+//; s/Exception: */Exception:/; s/(Not|Subprocess) /\1/' | sort -n |
        cut -d ' ' -f 2-
}

# Criterion does not fail for a leak that LeakSanitizer found, so its words count too.
ctest_all() { # NAME BUILD: every test of ctest is one of ours
    local log="$logs/$1.log" number=0 state name seconds
    if ! ctest --test-dir "$2" -N | grep -q 'Total Tests: [1-9]'; then
        return 0
    fi
    logged "$log" ctest --test-dir "$2" -j "$jobs" -V || true
    while read -r state name seconds; do
        number=$((number + 1))
        if [ "$state" = Passed ] &&
            ! grep -qE "^$number: .*(LeakSanitizer|runtime error:)" "$log"; then
            result ok "$1/$name" "$seconds"
            continue
        fi
        result FAILED "$1/$name" "$seconds" "$state, $log"
        grep -E "^$number: " "$log" | grep -vE '^[0-9]+: (Test command|Working|Test timeout)' |
            tail -n 15 | sed 's/^/    /' || true
    done < <(ctest_results "$log")
    [ "$number" -gt 0 ] || result FAILED "$1" 0 "ctest named no test, $log"
}

# ---- format --------------------------------------------------------------------------------------

own_files() { # PATTERN…: what git knows or would take, and is there
    git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
        if [ -f "$file" ]; then printf '%s\n' "$file"; fi
    done
}

none_found() { # SENTENCE PATTERN FILES-PATTERN…: fails with the lines that match
    local sentence=$1 pattern=$2 found
    shift 2
    found=$(own_files "$@" | LC_ALL=C.UTF-8 xargs -r grep -nIE "$pattern" || true)
    [ -z "$found" ] || {
        printf '%s:\n%s\n' "$sentence" "$found"
        return 1
    }
}

# The same for calls in C: what stands in strings or behind // is none.
none_called() { # SENTENCE NAMES FILES-PATTERN…
    local sentence=$1 names=$2 found
    shift 2
    found=$(own_files "$@" | xargs -r awk -v names="(^|[^A-Za-z0-9_])($names)[ ]*[(]" '
        { code = $0; gsub(/"([^"\\]|\\.)*"/, "\"\"", code); sub(/\/\/.*/, "", code) }
        code ~ names { print FILENAME ":" FNR ":" $0 }')
    [ -z "$found" ] || {
        printf '%s:\n%s\n' "$sentence" "$found"
        return 1
    }
}

check_layout() { own_files '*.c' '*.h' | xargs clang-format --dry-run -Werror; }

check_words() {
    local bad=0
    none_called 'calls that the charter forbids' \
        'strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gets' '*.c' '*.h' || bad=1
    none_found 'unfinished marks' '\b(TO''DO|FIX''ME|XX''X|HA''CK)\b' \
        '*.c' '*.h' '*.sh' '*.py' '*.sql' '*.lua' '*.proto' '*.md' '*.yaml' || bad=1
    none_called 'sleeping in a unit test' 'sleep|usleep|nanosleep|clock_nanosleep' \
        'tests/unit/*.c' 'tests/database/*.c' 'tests/fuzz/*.c' || bad=1
    none_found 'lines over 100 columns' '^.{101,}$' '*.sh' '*.py' || bad=1
    none_found 'white space at the end of a line' '[[:blank:]]+$' \
        '*.c' '*.h' '*.sh' '*.py' '*.sql' '*.lua' '*.proto' '*.md' '*.yaml' '*.txt' || bad=1
    return $bad
}

check_scripts() { own_files '*.sh' .ci/run | xargs shellcheck -S warning; }

check_python() {
    local file
    own_files '*.py' | while read -r file; do
        /usr/bin/python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$file" || {
            printf '%s\n' "$file"
            return 1
        }
    done
}

check_packages() { LC_ALL=C sort -cu deploy/packages.txt; }

check_alerts() {
    promtool check rules deploy/prometheus/ixn-rules.yaml
    promtool test rules deploy/prometheus/ixn-rules-test.yaml
    /usr/bin/python3 -m json.tool deploy/grafana/ixn-pair.json >/dev/null
}

part_format() {
    step format/layout check_layout || true
    step format/words check_words || true
    step format/scripts check_scripts || true
    step format/python check_python || true
    step format/packages check_packages || true
    step format/alerts check_alerts || true
}

# ---- tidy ----------------------------------------------------------------------------------------

part_tidy() {
    local checks=()
    [ -n "$full" ] || checks=('-checks=-clang-analyzer-*')
    build clang ixnd ixnctl ixn-router ixn-bench || return 0
    # Sources of ours only: what is generated is not held to it. The analyzer takes ten times as
    # long as everything else together.
    step tidy/clang-tidy run-clang-tidy -quiet -p build/clang -j "$jobs" \
        "${checks[@]}" "^$top/(apps|balancer|config|core|dap|ha)/.*\\.c$" ||
        true
}

# ---- unit ----------------------------------------------------------------------------------------

part_unit() {
    if build release; then
        ctest_all unit build/release
        step database tests/database/run.sh build/release || true
    fi
    if build address; then
        ctest_all address build/address
    fi
    if compgen -G 'tests/thread/*.c' >/dev/null && build thread; then
        ctest_all thread build/thread
    fi
}

# ---- sim, system, fuzz, browser ------------------------------------------------------------------

part_sim() {
    build release || return 0
    local seeds=2000
    [ -z "$full" ] || seeds=100000
    step sim/seeds build/release/tests/sim --seeds "$seeds" --jobs "$jobs" || true
    step sim/mutations build/release/tests/sim --mutations || true
    step sim/minimize tests/sim/minimize_test.sh build/release || true
    step sim/model ha/model/check.sh ${full:+--large} || true
}

system_cases() { # MANNER HOW-MANY: those that run alone, or beside others
    local name manner
    while read -r name manner _; do
        [ "$manner" = "$1" ] || continue
        # A ratio of two latencies: a measurement, which a busy machine spoils.
        if [ "$name" = dump ] && [ -z "$full" ]; then
            result skipped "system/$name" 0 'measured with --full'
            continue
        fi
        begin "$2" "system/$name" tests/system/run.sh --build build/release \
            --logs "$logs/system" ${full:+--full} "$name"
    done < <(tests/system/run.sh --list)
    finish_all || true
}

part_system() {
    build release || return 0
    system_cases beside "$beside"
    system_cases alone 1
    # The same programs with their memory watched, for a few rounds of the roughest case.
    if build address; then
        step system/crash-address tests/system/run.sh --build build/address \
            --logs "$logs/system-address" --rounds 4 crash || true
    fi
}

fuzz_one() { # NAME SECONDS
    local program=build/fuzz/tests/fuzz/fuzz_$1 corpus=tests/fuzz/corpus/$1 work=build/fuzz/work/$1
    mkdir -p "$work"
    [ ! -d "$corpus" ] || set -- "$1" "$2" "$corpus"
    exec "$program" -max_total_time="$2" -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$logs/fuzz/" "$work" ${3+"$3"}
}

part_fuzz() {
    local seconds=15 source name
    [ -z "$full" ] || seconds=600
    build fuzz || return 0
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        begin "$beside" "fuzz/${name#fuzz_}" fuzz_one "${name#fuzz_}" "$seconds"
    done
    finish_all || true
}

part_browser() {
    build release || return 0
    step browser tests/browser/run.sh build/release || true
}

# ---- docs ----------------------------------------------------------------------------------------

# The commands in the ```sh blocks of the README, one a line, comments and prompts without.
readme_commands() {
    awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' README.md |
        sed -E 's/^\$ //; s/[[:space:]]+#.*$//' | grep -vE '^[[:space:]]*(#|$)' || true
}

# Pages of the manual that the build has made.
check_manual() {
    mandoc -T lint -W warning build/release/man/*.[158]
    [ "$(build/release/bin/ixnctl --describe=commands | wc -l)" -eq \
        "$(grep -c '^\.SS "ixnctl ' build/release/man/ixnctl.1)" ]
}

check_links() { own_files '*.md' | tests/docs/links.py; }

part_docs() {
    local command
    if [ ! -f README.md ]; then
        result FAILED docs/README.md 0 'there is none'
        return
    fi
    step docs/links check_links || true
    if build release; then step docs/manual check_manual || true; fi
    while read -r command; do
        case $command in
        *deploy/test.sh*) continue ;; # this very command
        *deploy/quickstart.sh*--once*) ;;
        *deploy/quickstart.sh*) continue ;; # the same, but it waits for a Ctrl-C
        git\ clone* | cd\ *) continue ;;
        esac
        step "docs/$(tr -c 'A-Za-z0-9._\n-' '_' <<<"$command" | cut -c 1-36)" bash -c "$command" ||
            true
    done < <(readme_commands)
}

# ---- all of it -----------------------------------------------------------------------------------

wanted=()
for argument in "$@"; do
    case $argument in
    --full) full=yes ;;
    -h | --help)
        sed -n '2,/^set -/{/^set -/d; s/^# \{0,1\}//; p}' "$0"
        exit 0
        ;;
    -*) fail "unknown option $argument; there is: --full" ;;
    *)
        [[ " ${parts[*]} " == *" $argument "* ]] ||
            fail "no part \"$argument\"; there are: ${parts[*]}"
        part_exists "$argument" || fail "the part \"$argument\" has no tests yet"
        wanted+=("$argument")
        ;;
    esac
done
if [ ${#wanted[@]} -eq 0 ]; then
    for part in "${parts[@]}"; do
        if part_exists "$part"; then wanted+=("$part"); fi
    done
fi

began=$EPOCHREALTIME
rm -rf "$logs"
mkdir -p "$logs/fuzz"
deploy/install.sh || fail 'the packages that are needed could not be installed'
for part in "${wanted[@]}"; do
    "part_$part"
done
printf '%s s, logs in %s\n' "$(elapsed "$began")" "$logs"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
