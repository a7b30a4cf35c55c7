#!/usr/bin/env bash
# Writes the pages of the manual: of each program from what it says of itself (--describe), of the
# configuration from `ixnd --help-config` and the annotated example. The build runs it.
#
#   deploy/manual.sh BIN EXAMPLE VERSION OUT     programs, ixnd.yaml, folder for the pages
set -euo pipefail
bin=$1 example=$2 version=$3 out=$4
date=$(date -u ${SOURCE_DATE_EPOCH:+-d "@$SOURCE_DATE_EPOCH"} +%F)

escape() { sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e 's/~/\\(ti/g' -e 's/`/\\(ga/g' \
    -e "s/'/\\\\(aq/g" -e 's/\^/\\(ha/g' -e 's/^\./\\\&./'; }

head_of() { # NAME SECTION SENTENCE
    printf '.TH %s %s "%s" "ixn %s" "ixn"\n.SH NAME\n%s \\- %s\n' \
        "$(tr a-z A-Z <<<"$1" | escape)" "$2" "$date" "$version" "$(escape <<<"$1")" "$3"
}

see_also() { # PAGE…: "ixnd 8"
    printf '.SH SEE ALSO\n'
    while [ $# -gt 0 ]; do
        printf '.BR %s (%s)%s\n' "$(escape <<<"${1% *}")" "${1#* }" "${2+,}"
        shift
    done
}

program() { # NAME SECTION SENTENCE SEE…
    local name=$1 section=$2
    {
        head_of "$name" "$section" "$3"
        "$bin/$name" --describe=page
        if [ "$name" = ixnctl ]; then commands; fi
        shift 3
        see_also "$@"
    } >"$out/$name.$section"
}

commands() {
    local name heading
    printf '.SH COMMANDS\nEach takes the options above, before or behind its own.\n'
    while IFS='|' read -r name heading; do
        # A heading groups what follows it.
        [ -z "$heading" ] || printf '.SH %s\n' "$(tr a-z A-Z <<<"$heading" | escape)"
        # shellcheck disable=SC2086 # the name of a command may be two words
        "$bin/ixnctl" $name --describe=part
    done < <("$bin/ixnctl" --describe=commands | awk -F '\t' '{ print $1 "|" $2 }')
    cat <<'END'
.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
Refused: the node or the database said no, and why.
.TP
.B 2
Usage: the command line, the configuration or a named file is wrong; nothing was done.
.TP
.B 3
Not reachable: no answer in time. Of a change it is not known whether it was done.
.TP
.B 4
Partly done: the output says what was and what was not.
.PP
.BR status ,
.B pair status
and some others give these numbers a narrower sense, which stands with them.
.SH ENVIRONMENT
.TP
.B IXN_CONFIG
The configuration where
.B \-\-config
is not given.
.TP
.B NO_COLOR
When set, no colours.
.SH FILES
.TP
.I /etc/ixn/ixnd.yaml
The configuration where neither is given.
END
}

configuration() {
    head_of ixnd.yaml 5 'configuration of a node of an interaction server'
    printf '.SH DESCRIPTION\n'
    cat <<'END'
YAML, read by ixnd when it starts and when it is told to reload. Durations are a whole number with
ms, s, min, h or d; sizes one with B, KiB, MiB, GiB or TiB. An unknown key is an error.
.B ixnctl config check
.I FILE
checks a file, and where each of its DAPs leads.
END
    printf '.SH KEYS\n.nf\n'
    "$bin/ixnd" --help-config | escape
    printf '.fi\n.SH EXAMPLE\n.nf\n'
    escape <"$example"
    printf '.fi\n'
    see_also 'ixnctl 1' 'ixnd 8'
}

mkdir -p "$out"
program ixnctl 1 'work with an interaction server from the command line' 'ixnd 8' 'ixnd.yaml 5'
program ixnd 8 'interaction server' 'ixnctl 1' 'ixnd.yaml 5'
program ixn-router 1 'reference router of an interaction server' 'ixnctl 1' 'ixnd 8'
program ixn-app 1 'reference application servers of an interaction server' 'ixnctl 1' 'ixnd 8'
program ixn-bench 1 'measure an interaction server' 'ixnctl 1' 'ixnd 8'
configuration >"$out/ixnd.yaml.5"
