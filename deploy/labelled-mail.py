#!/usr/bin/env python3
"""Writes examples for `ixn-app train classification` from a mailbox of mailing lists.

    deploy/labelled-mail.py MAIL.mbox [LEAST] > examples.jsonl

The label of a mail is its list (List-Id); lists with fewer than LEAST (80) mails are left out. The
text is the subject and the plain text of the mail, without what names the list: tags in the
subject, quoted lines, and the footer that list servers add.
"""

import collections
import email
import email.policy
import json
import mailbox
import re
import sys


def label(message):
    found = re.search(r"<([^>]+)>", str(message.get("List-Id", "")))
    return found.group(1).split(".")[0].lower() if found else None


def text(message):
    subject = re.sub(r"\[[^]]*\]|\b(re|fwd?):", " ", str(message.get("Subject", "")), flags=re.I)
    part = message.get_body(preferencelist=("plain",))
    try:
        body = part.get_content() if part else ""
    except (LookupError, UnicodeError, KeyError):
        return None
    lines = []
    for line in body.splitlines():
        if re.match(r"\s*(_{10,}|-{10,}|-- ?$)", line):
            break  # a footer or a signature
        if not re.match(r"\s*[>|:]", line) and not re.search(r"(wrote|writes|said):\s*$", line):
            lines.append(line)
    return (subject + "\n" + "\n".join(lines)).encode("utf-8", "replace").decode("utf-8")


def main():
    least = int(sys.argv[2]) if len(sys.argv) > 2 else 80
    examples = collections.defaultdict(dict)
    box = mailbox.mbox(
        sys.argv[1],
        factory=lambda file: email.message_from_binary_file(file, policy=email.policy.default))
    for message in box:
        try:
            name, words = label(message), text(message)
        except (ValueError, AttributeError, IndexError, TypeError):
            continue  # headers that no standard knows
        if name and words and len(words.split()) >= 5:
            examples[name][words] = True  # each text once
    for name, texts in sorted(examples.items()):
        if len(texts) >= least:
            for words in texts:
                print(json.dumps({"label": name, "text": words}))


if __name__ == "__main__":
    main()
