#!/usr/bin/python3
"""Proves that arrows only go down: what each floor includes is what it may include, and every
include of our own names its folder. Ends with code 1 and one line for each include that is wrong.

  arrows.py [TOP]      checks the tree
  arrows.py --prove    shows on small trees of its own that it finds what it must find
"""

import os
import re
import sys
import tempfile

# A floor is a folder; files belong to the longest one that holds them. What a floor may include
# beside itself:
BASE = ["core/base"]
WIRE = BASE + ["core/wire"]
CORE = WIRE + ["balancer", "config"]
MAY_INCLUDE = {
    "core/base": [],
    "config": BASE,
    "core/wire": BASE,
    "core/client": WIRE,
    "balancer": BASE + ["config"],
    "core": CORE,
    "dap": CORE + ["core"],
    "ha": CORE + ["core", "dap"],
    "apps": CORE + ["core", "core/client", "dap", "ha"],
    "docs": WIRE + ["core/client", "apps"],
    "tests": CORE + ["core", "core/client", "dap", "ha", "apps"],
}
# What several programs share; everything else of a program is its own.
SHARED = {"manual", "state", "views"}
# Of others, what only one header of ours includes.
WRAPPED = {"uthash.h": "core/base/table.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def floor_of(path):
    """The floor that a path belongs to, or None."""
    floors = [floor for floor in MAY_INCLUDE if path.startswith(floor + "/")]
    return max(floors, key=len, default=None)


def program_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "apps" and len(parts) > 2 else None


def fault(top, path, mark, target):
    """What is wrong with one include, or None."""
    own_floor, floor = floor_of(path), floor_of(target)
    if mark == "<":
        if floor and os.path.exists(os.path.join(top, target)):
            return f"<{target}> is ours: write \"{target}\""
        if WRAPPED.get(target, path) != path:
            return f"<{target}> comes with \"{WRAPPED[target]}\": include that"
        return None
    if floor is None:
        return f"\"{target}\" does not name its folder (such as \"{own_floor}/{target}\")"
    # What is generated from the contract is not in the tree.
    if not os.path.exists(os.path.join(top, target)) and not target.endswith(".pb-c.h"):
        return f"\"{target}\" does not exist"
    if floor != own_floor and floor not in MAY_INCLUDE[own_floor]:
        allowed = ", ".join(MAY_INCLUDE[own_floor]) or "nothing else"
        return f"\"{target}\" is not below {own_floor}, which may include {allowed}"
    if (own_floor == "apps" and floor == "apps" and
            program_of(target) not in SHARED | {program_of(path)}):
        return f"\"{target}\" belongs to another program"
    return None


def sources(top):
    for root in sorted({floor.split("/")[0] for floor in MAY_INCLUDE}):
        for folder, _, names in os.walk(os.path.join(top, root)):
            for name in names:
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), top)


def check(top):
    """All faults as lines of text, and how many includes were looked at."""
    faults, count = [], 0
    for path in sorted(sources(top)):
        with open(os.path.join(top, path), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                count += 1
                sentence = fault(top, path, *match.groups())
                if sentence:
                    faults.append(f"{path}:{number}: {sentence}")
    return faults, count


def prove():
    """Each wrong include is found, and right ones are not."""
    trials = [
        ("core/base/a.c", '#include "core/base/b.h"', None),
        ("core/base/a.c", '#include "core/row.h"', "not below"),
        ("core/engine.c", '#include "balancer/pick.h"', None),
        ("core/engine.c", '#include "dap/journal.h"', "not below"),
        ("core/engine.c", '#include "core/client/client.h"', "not below"),
        ("balancer/pick.c", '#include "core/row.h"', "not below"),
        ("config/load.c", '  #  include "core/wire/wire.h"', "not below"),
        ("core/wire/wire.c", '#include "core/client/client.h"', "not below"),
        ("core/wire/wire.c", '#include "core/wire/client.pb-c.h"', None),
        ("core/catalog.c", '#include <uthash.h>', "comes with"),
        ("core/base/table.h", '#include <uthash.h>', None),
        ("dap/journal.c", '#include "ha/role.h"', "not below"),
        ("ha/role.c", '#include "dap/journal.h"', None),
        ("ha/role.c", '#include "link.h"', "does not name its folder"),
        ("ha/role.c", '#include <dap/journal.h>', "is ours"),
        ("ha/role.c", '#include <link.h>', None),
        ("ha/role.c", '#include "dap/gone.h"', "does not exist"),
        ("apps/a/main.c", '#include "apps/b/run.h"', "another program"),
        ("apps/a/main.c", '#include "apps/a/run.h"', None),
    ]
    headers = ["core/base/b.h", "core/row.h", "balancer/pick.h", "dap/journal.h", "ha/role.h",
               "core/client/client.h", "core/wire/wire.h", "apps/a/run.h", "apps/b/run.h"]
    for path, line, expected in trials:
        with tempfile.TemporaryDirectory() as top:
            for name in [*headers, path]:
                os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
                with open(os.path.join(top, name), "w", encoding="utf-8") as file:
                    file.write(line + "\n" if name == path else "")
            faults, _ = check(top)
        if (expected is None) != (not faults) or (faults and expected not in faults[0]):
            print(f"arrows.py: {line} in {path}: expected {expected}, found {faults}")
            return 1
    print(f"arrows.py: {len(trials)} trials")
    return 0


def main():
    if sys.argv[1:] == ["--prove"]:
        return prove()
    here = os.path.dirname(os.path.abspath(__file__))
    top = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "..")
    faults, count = check(os.path.abspath(top))
    for sentence in faults:
        print(sentence)
    print(f"arrows.py: {count} includes, {len(faults)} wrong")
    return 1 if faults or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
