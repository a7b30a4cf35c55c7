#!/usr/bin/python3
"""Every command of ixnctl that a document names is one, with options that it has.

    commands.py IXNCTL FILE...

Ends with code 1 and a line for each that is not. What "…" stands in is not looked at further.
"""
import functools
import re
import shlex
import subprocess
import sys

IXNCTL = sys.argv[1]


def describe(*words):
    return subprocess.run([IXNCTL, *words], capture_output=True, text=True, timeout=120,
                          check=True).stdout.splitlines()


NAMES = {line.split("\t")[0] for line in describe("--describe=commands")}
GROUPS = {name.split()[0] for name in NAMES if " " in name}


@functools.lru_cache(maxsize=None)
def options(name):
    """Option → whether the next word is its value."""
    known = {"--help": False, "-?": False, "--usage": False, "-V": False}
    for line in describe(*name.split(), "--describe=options")[:-1]:
        long, short, argument = line.split(" ", 2)
        for option in (long, short):
            if option != "-":
                known[option] = argument != "-" and not argument.startswith("=")
    return known


def commands(text):
    """What stands in blocks and between backticks, from "ixnctl" to the end of the command."""
    blocks = re.findall(r"^ *```[a-z]*\n(.*?)^ *```", text, re.M | re.S)
    prose = re.sub(r"^ *```[a-z]*\n.*?^ *```", "", text, flags=re.M | re.S)
    pieces = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    pieces += [" ".join(piece.split()) for piece in re.findall(r"`([^`]+)`", prose)]
    for piece in pieces:
        for part in re.split(r"\s*(?:&&|\|\||[|;]|(?<!<)>)\s*", piece):
            found = re.match(r"(?:\S*/)?ixnctl\s+(.*)", part.strip())
            if found:
                yield found[1]


def fault(command):
    """What is wrong with one, or None."""
    try:
        words = shlex.split(command.replace("[", "").replace("]", ""), comments=True)
    except ValueError:
        return "its quotes do not match"
    own, given, skip, known = [], [], False, options("")
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-") and len(word) > 1 and not word[1].isdigit():
            given.append(word.split("=")[0])
            skip = "=" not in word and known.get(word, False)
        elif word not in "…":
            own.append(word)
            if len(own) == 1 and word not in GROUPS or len(own) == 2:
                name = " ".join(own[:2]) if " ".join(own[:2]) in NAMES else own[0]
                known = options(name) if name in NAMES else known
    if not own or own[0].isupper():  # "ixnctl COMMAND --help"
        return None
    name = " ".join(own[:2]) if " ".join(own[:2]) in NAMES else own[0]
    if name not in NAMES and name not in GROUPS and name != "help":
        return f"there is no command \"{name}\""
    if name in GROUPS and name not in NAMES and len(own) > 1:
        return f"there is no command \"{name} {own[1]}\""
    missing = [option for option in given
               if option not in (options(name) if name in NAMES else known)]
    return f"{name} has no option {', '.join(missing)}" if missing else None


def main():
    count, faults = 0, 0
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for command in commands(text):
            count += 1
            wrong = fault(command)
            if wrong:
                faults += 1
                print(f"{path}: ixnctl {command}: {wrong}")
    print(f"{count} commands")
    return 1 if faults or count < 50 else 0


sys.exit(main())
