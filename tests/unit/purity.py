#!/usr/bin/python3
"""Proves that the engine, the balancer and the pair logic are pure: what their objects take from
outside is on the list purity.txt, which has no clock, socket, file, thread, randomness or log on
it. Ends with code 1 and one line for each symbol that is not.

  purity.py BUILD      checks the libraries of a build without sanitizers
  purity.py --prove    shows on a library of its own that it finds what it must find
"""

import fnmatch
import os
import subprocess
import sys
import tempfile

LIBRARIES = ["libixn_core.a", "libixn_balancer.a", "libixn_ha.a"]
LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "purity.txt")


def patterns():
    """Those that are allowed, and the exceptions from them."""
    with open(LIST, encoding="utf-8") as file:
        lines = [line.partition("#")[0].strip() for line in file]
    return ([line for line in lines if line and not line.startswith("!")],
            [line[1:] for line in lines if line.startswith("!")])


def matches(name, some):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in some)


def symbols(archive):
    """Undefined symbols as (object, name), and the set of defined ones."""
    output = subprocess.run(["nm", "-A", archive], check=True, capture_output=True, text=True)
    undefined, defined = [], set()
    for line in output.stdout.splitlines():
        where, _, rest = line.rpartition(":")
        fields = rest.split()
        if len(fields) < 2:
            continue
        kind, name = fields[-2], fields[-1]
        if kind in "Uvw":
            undefined.append((where.rpartition(":")[2] or where, name))
        elif kind.isupper():
            defined.add(name)
    return undefined, defined


def check(archives):
    """All faults as lines of text, and how many symbols were looked at."""
    undefined, defined = [], set()
    for archive in archives:
        outside, inside = symbols(archive)
        undefined += [(os.path.basename(archive), where, name) for where, name in outside]
        defined |= inside
    allowed, refused = patterns()
    faults = []
    outside = sorted({entry for entry in undefined if entry[2] not in defined})
    for archive, where, name in outside:
        if not matches(name, allowed) or matches(name, refused):
            faults.append(f"{archive}({where}) needs {name}, which is not on tests/unit/purity.txt")
    return faults, len(outside)


def prove():
    """Impure calls are found, pure ones are not."""
    trials = {
        "clock_gettime(0, 0)": True, "time(0)": True, "getrandom(0, 0, 0)": True, "rand()": True,
        "socket(0, 0, 0)": True, "open(0, 0)": True, "pthread_create(0, 0, 0, 0)": True,
        "printf(0)": True, "log_line(0, 0, 0)": True, "id_random()": True, "getenv(0)": True,
        "json_load_file(0, 0, 0)": True, "json_loads(0, 0, 0)": False,
        "memcpy(0, 0, 0)": False, "buffer_append(0, 0, 0)": False,
    }
    for call, impure in trials.items():
        with tempfile.TemporaryDirectory() as folder:
            source, target = os.path.join(folder, "a.c"), os.path.join(folder, "liba.a")
            name = call.partition("(")[0]
            with open(source, "w", encoding="utf-8") as file:
                file.write(f"int {name}(); int f(void) {{ return {call}; }}\n")
            subprocess.run(["cc", "-fno-builtin", "-w", "-c", source, "-o", source + ".o"],
                           check=True)
            subprocess.run(["ar", "rc", target, source + ".o"], check=True)
            faults, _ = check([target])
        if bool(faults) != impure:
            print(f"purity.py: {call}: expected {'a fault' if impure else 'none'}, found {faults}")
            return 1
    print(f"purity.py: {len(trials)} trials")
    return 0


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    if sys.argv[1] == "--prove":
        return prove()
    archives = [os.path.join(sys.argv[1], name) for name in LIBRARIES]
    missing = [path for path in archives if not os.path.exists(path)]
    if missing:
        print(f"purity.py: not built: {', '.join(missing)}")
        return 1
    faults, count = check(archives)
    for sentence in faults:
        print(sentence)
    print(f"purity.py: {count} symbols from outside, {len(faults)} not allowed")
    return 1 if faults or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
