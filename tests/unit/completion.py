#!/usr/bin/python3
"""The completion for bash, as bash asks for it: every command and every option of every command is
offered, because they are asked of the programs themselves.

    completion.py FOLDER_OF_PROGRAMS COMPLETION_BASH
"""
import pathlib
import re
import subprocess
import sys
import unittest

BIN, SCRIPT = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])


def complete(line):
    """What is offered at the end of a line."""
    # As bash does it with its standard COMP_WORDBREAKS.
    words = [word for word in re.split(r"\s+|(=)", line) if word]
    if line.endswith((" ", "=")):
        words.append("")
    if len(words) > 1 and words[-1] == "" and words[-2] == "=":
        words.pop()
    quoted = " ".join("'" + word + "'" for word in [str(BIN / words[0])] + words[1:])
    done = subprocess.run(
        ["bash", "-c", f". '{SCRIPT}'; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
         "_ixn \"${COMP_WORDS[0]}\"; printf '%s\\n' \"${COMPREPLY[@]}\""],
        capture_output=True, text=True, timeout=120, check=True, cwd=SCRIPT.parent)
    assert not done.stderr, done.stderr
    return set(done.stdout.split())


def describe(*words):
    done = subprocess.run([BIN / words[0], *words[1:]], capture_output=True, text=True, timeout=120,
                          check=True)
    return done.stdout.splitlines()


COMMANDS = [line.split("\t")[0] for line in describe("ixnctl", "--describe=commands")]


class Completion(unittest.TestCase):
    def test_first_words(self):
        self.assertEqual(complete("ixnctl "), {name.split()[0] for name in COMMANDS})
        self.assertEqual(complete("ixnctl -n tcp://a:1 sta"), {"status"})
        self.assertEqual(complete("ixnctl --config x swi"), {"switchover"})
        self.assertEqual(complete("ixnctl --config=x swi"), {"switchover"})

    def test_second_words(self):
        groups = {name.split()[0] for name in COMMANDS if " " in name}
        self.assertIn("pair", groups)
        for group in groups:
            self.assertEqual(complete(f"ixnctl {group} "),
                             {name.split()[1] for name in COMMANDS if name.startswith(group + " ")})
        self.assertEqual(complete("ixnctl -o json database st"), {"status"})

    def test_every_option_of_every_command(self):
        seen = 0
        for name in COMMANDS:
            lines = describe("ixnctl", *name.split(), "--describe=options")
            self.assertRegex(lines[-1], "^ARGUMENTS ")
            own = {line.split()[0] for line in lines[:-1]}
            self.assertIn("--config", own, name)
            offered = complete(f"ixnctl {name} --")
            self.assertLessEqual(own, offered, name)
            seen += len(own)
        self.assertGreater(seen, 250)
        self.assertEqual(complete("ixnctl pair status --ti"), {"--timeout"})
        self.assertEqual(complete("ixnctl switchover --dry"), {"--dry-run"})

    def test_help_has_what_is_offered(self):
        """Both come from the same table, so neither can have what the other has not."""
        for name in COMMANDS:
            done = subprocess.run([BIN / "ixnctl", *name.split(), "--help"], capture_output=True,
                                  text=True, timeout=120, check=True)
            options = {"--" + option for option in
                       re.findall(r"^ +(?:-\S, +)?--([a-z-]+)", done.stdout, re.M)}
            offered = {line.split()[0] for line in
                       describe("ixnctl", *name.split(), "--describe=options")[:-1]}
            self.assertEqual(options - ({"--help", "--usage", "--version"} - offered), offered,
                             name)
            self.assertNotIn("describe", done.stdout)

    def test_values(self):
        self.assertEqual(complete("ixnctl list -o "), {"table", "json"})
        self.assertEqual(complete("ixnctl list --output=j"), {"json"})
        self.assertEqual(complete("ixnctl list --state "),
                         {"queued", "held", "routing", "quarantined", "completed"})
        self.assertIn("completion.bash", complete("ixnctl config check comp"))
        self.assertIn("completion.bash", complete("ixnctl -c comp"))
        self.assertIn("completion.bash", complete("ixnd --config comp"))
        self.assertEqual(complete("ixnctl get "), set())

    def test_other_programs(self):
        for program in ("ixnd", "ixn-router", "ixn-app", "ixn-bench"):
            own = {line.split()[0] for line in describe(program, "--describe=options")[:-1]}
            self.assertGreater(len(own), 2, program)
            self.assertLessEqual(own, complete(f"{program} --"), program)

    def test_nonsense_offers_nothing(self):
        self.assertEqual(complete("ixnctl frobnicate "), set())
        self.assertEqual(complete("ixnctl frobnicate now "), set())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
