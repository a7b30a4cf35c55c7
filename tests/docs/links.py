#!/usr/bin/python3
"""Proves that the links in documents lead somewhere: every relative one names a file that is there.
Reads the documents' paths from standard input; ends with code 1 and a line for each link that does
not."""

import os
import re
import sys


def main():
    bad = 0
    for path in sys.stdin.read().split():
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"```.*?```", "", file.read(), flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            if not os.path.exists(os.path.join(os.path.dirname(path), target.partition("#")[0])):
                print(f"{path}: the link {target} leads nowhere")
                bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
