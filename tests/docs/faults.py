#!/usr/bin/python3
"""Proves that docs/faults.md names what exists: every fault of the simulator is in its table and
none that is not there, and every case and test that it names. Ends with code 1 and a line for each
that is wrong.

    tests/docs/faults.py SOURCE"""

import os
import re
import sys


def names(cell):
    return re.findall(r"`([a-z0-9_-]+)`", cell)


def table(path):
    """(simulator, real processes) of each row of the table before the first heading."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n## ")[0].splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("|")]
    return [(names(row[1]), names(row[2])) for row in rows[2:]]


def exists(top, name):
    """A case of the system's, a unit or database test, a fuzzer."""
    case = f"tests/system/case_{name.replace('-', '_')}.py"
    tests = [f"tests/{folder}/{name}.c" for folder in ("unit", "database", "fuzz")]
    return any(os.path.exists(os.path.join(top, path)) for path in [case, *tests])


def main():
    top = sys.argv[1]
    with open(os.path.join(top, "tests/sim/options.h"), encoding="utf-8") as file:
        faults = set(re.findall(r"^    X\([A-Z_]+, \"([a-z-]+)\"\)", file.read(), re.M))
    rows = table(os.path.join(top, "docs/faults.md"))
    shown = {name for simulator, _ in rows for name in simulator}
    bad = [f"the simulator has no fault \"{name}\"" for name in sorted(shown - faults)]
    bad += [f"the fault \"{name}\" of the simulator is in no row"
            for name in sorted(faults - shown)]
    bad += [f"there is no case and no test \"{name}\"" for _, real in rows for name in real
            if not exists(top, name)]
    for line in bad:
        print(f"docs/faults.md: {line}")
    return 1 if bad or not faults or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
