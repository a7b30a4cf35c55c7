#!/usr/bin/env bash
# Prints the path of a mailbox (mbox) with thousands of real e-mails that nobody here wrote. Debian
# ships them as the test data of a package: public mailing lists of 2002. The package is only
# unpacked, not installed, since it would bring a whole development environment along.
#
#   deploy/mail-corpus.sh [DIR]     makes it in DIR (default build/mail-corpus) unless it is there
set -euo pipefail

package=golang-github-gatherstars-com-jwz-dev
messages=usr/share/gocode/src/github.com/gatherstars-com/jwz/test/testdata/ham
at_least=2000 # distinct Message-IDs; fewer means that the package is not what it was

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(realpath -m "${1-$here/../build/mail-corpus}")
mailbox=$dir/mail.mbox

fail() {
    printf 'mail-corpus.sh: %s\n' "$*" >&2
    exit 1
}

if [ -s "$mailbox" ]; then
    printf '%s\n' "$mailbox"
    exit 0
fi
mkdir -p "$dir"
work=$(mktemp -d "$dir/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

fetch() {
    (cd "$work" && apt-get download -qq "$package" >apt.log 2>&1)
}
if ! fetch; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq >/dev/null 2>&1 || true
    fetch || fail "cannot download the package $package: $(tail -n 2 "$work/apt.log")"
fi
dpkg-deb -x "$work"/"$package"_*.deb "$work/tree"
[ -d "$work/tree/$messages" ] || fail "the package $package has no folder $messages any more"

# mbox: a "From " line before each message and an empty one after it; lines that look like one get a
# ">" in front. Notes that somebody's mail program left before the message ("Replied: …") go.
find "$work/tree/$messages" -type f -name '*.eml' -print0 | sort -z | xargs -0 awk '
    FNR == 1 {
        if (NR > 1) print ""
        begun = 0
    }
    !begun && /^(Replied|Forwarded): / { next }
    !begun {
        begun = 1
        if (/^From /) { print; next }
        print "From unknown Thu Jan  1 00:00:00 1970"
    }
    /^>*From / { printf ">" }
    { print }
    END { print "" }
' >"$work/mail.mbox"
distinct=$(awk '
    /^From / { head = 1 }
    /^\r?$/ { head = 0 }
    head && tolower($1) == "message-id:" { print $2 }
' "$work/mail.mbox" | sort -u | wc -l)
[ "$distinct" -ge "$at_least" ] ||
    fail "the mailbox has $distinct distinct Message-IDs, expected $at_least or more"
mv "$work/mail.mbox" "$mailbox"
printf '%s\n' "$mailbox"
