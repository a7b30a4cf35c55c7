#!/usr/bin/env python3
"""What the node costs in instructions, counted by callgrind: the same on a busy machine and on an
idle one. A limit for each keeps it from growing unseen; whoever has a reason raises it here, in the
commit that needs it, and tells docs/performance.md.

    cost.py NODE_COST [--count N] [--keep FOLDER]

With --keep callgrind's files stay, for callgrind_annotate.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

# A third over what was measured when it was written down.
LIMITS = {"submit": 22000, "lifecycle": 52000}


def count_instructions(program, kind, count, folder):
    """Instructions of the node for each."""
    result = subprocess.run(
        ["valgrind", "--tool=callgrind", "--collect-atstart=no",
         f"--callgrind-out-file={folder}/callgrind.{kind}", program, kind, str(count // 2),
         str(count)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
        check=False)
    collected = re.search(r"Collected *: *([0-9]+)", result.stderr)
    if result.returncode != 0 or not collected:
        sys.exit(f"node-cost {kind} ended with code {result.returncode}:\n{result.stderr[-2000:]}")
    return int(collected.group(1)) // count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=2000, help="(default 2000)")
    parser.add_argument("--keep", metavar="FOLDER")
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(prefix="ixn-cost-") as folder:
        if options.keep:
            os.makedirs(options.keep, exist_ok=True)
        for kind, limit in LIMITS.items():
            cost = count_instructions(options.program, kind, options.count, options.keep or folder)
            failed = failed or cost > limit
            print(f"{kind}: {cost} instructions, the limit is {limit}"
                  + ("  MISSED: find out what made it dearer" if cost > limit else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
