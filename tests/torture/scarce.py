#!/usr/bin/python3
"""Memory is out at each allocation of reading a configuration, one after the other. The program
then says that it cannot, or ends by a CHECK (core/base/alloc.h); it neither crashes otherwise, nor
goes on with half of the file.

    scarce.py LIBRARY IXND CONFIGURATION"""

import os
import signal
import subprocess
import sys
import tempfile

REFUSED = 2  # exit code
MOST = 250  # allocations that are tried: all, or as many of them, evenly


def run(library, command, **environment):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "LD_PRELOAD": library, **environment})


def judge(whole, done):
    """What is wrong with this end; None: nothing."""
    if done.returncode == 0:
        return None if done.stdout == whole else "it goes on with another configuration"
    if done.returncode == REFUSED:
        return None if "ixnd: " in done.stderr and "memory" in done.stderr else \
            "it gives another reason"
    if done.returncode == -signal.SIGABRT:
        return None if "CHECK" in done.stderr else "it aborts without a word"
    return f"it ends with {done.returncode}"


def main():
    library, program, configuration = sys.argv[1:]
    command = [program, "--config", configuration, "--print-config"]
    with tempfile.NamedTemporaryFile("r") as file:
        whole = run(library, command, IXN_COUNT=file.name)
        count = int(file.read())
    if whole.returncode != 0 or count < 100:
        print(f"{command} ends with {whole.returncode} after {count} allocations: {whole.stderr}")
        return 1
    ends, bad = {}, 0
    for number in range(1, count + 1, max(1, count // MOST)):
        done = run(library, command, IXN_FAIL_AT=str(number))
        ends[done.returncode] = ends.get(done.returncode, 0) + 1
        if wrong := judge(whole.stdout, done):
            bad += 1
            print(f"allocation {number}: {wrong}\n{done.stderr}")
    print(f"{count} allocations; ends by exit code: {ends}")
    return 1 if bad or -signal.SIGABRT not in ends else 0


if __name__ == "__main__":
    sys.exit(main())
