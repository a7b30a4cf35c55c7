#!/usr/bin/env python3
"""The example clients of the documentation against a scripted pair: they find the node that serves,
and go on when it goes away between their two requests, whose answers name the same interaction.

    examples_pair.py EXAMPLE_SUBMIT SOURCE_FOLDER
"""
import os
import pathlib
import re
import subprocess
import sys
import unittest

from scripted_node import SOURCE, make_pair

IN_C = [str(pathlib.Path(sys.argv[1]).resolve())]
IN_PYTHON = ["/usr/bin/python3", os.path.join(SOURCE, "docs", "examples", "submit.py")]
ID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"


class Pair(unittest.TestCase):
    def submit(self, example, prepare):
        with self.subTest(example[-1]):
            first, second = make_pair()
            try:
                prepare(first, second)
                done = subprocess.run([*example, first.endpoint, second.endpoint],
                                      capture_output=True, timeout=180, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                ids = re.findall(ID, done.stdout.decode())
                self.assertEqual((len(ids), len(set(ids))), (2, 1), done.stdout)
                self.assertEqual(len(first.ids), 1)
                self.assertGreater(len(second.of("submit")), 0)
            finally:
                first.close()
                second.close()

    def test_the_node_that_serves_is_found(self):
        def only_the_second(first, second):
            first.serves, second.serves, second.epoch = False, True, 2
        for example in (IN_C, IN_PYTHON):
            self.submit(example, only_the_second)

    def test_goes_on_at_the_other_node(self):
        for how in ("not_primary", "killed", "frozen"):
            for stops_after in (1, 2):
                def goes_away(first, _, how=how, stops_after=stops_after):
                    first.how_it_stops, first.stops_after = how, stops_after
                for example in (IN_C, IN_PYTHON):
                    self.submit(example, goes_away)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
