#!/usr/bin/env python3
"""ixn-bench against a scripted pair whose primary goes away in the middle: it goes on at the other
node, everything is acknowledged and completed once, and its figures say what the fail-over cost.

    bench_pair.py IXN_BENCH SOURCE_FOLDER
"""
import json
import pathlib
import subprocess
import sys
import unittest

from scripted_node import make_pair

BENCH = str(pathlib.Path(sys.argv[1]).resolve())
COUNT = 1500


class Pair(unittest.TestCase):
    def setUp(self):
        self.first, self.second = make_pair()

    def tearDown(self):
        self.first.close()
        self.second.close()

    def bench(self, *arguments, code=0):
        done = subprocess.run(
            [BENCH, "--node", self.first.endpoint, "--node", self.second.endpoint,
             "--submitters", "2", "--window", "20", "--payload", "20", "--count", str(COUNT),
             *arguments], capture_output=True, timeout=180, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.text = done.stdout.decode()
        return json.loads(self.text.splitlines()[-1])

    def goes_through(self, how, *arguments):
        self.first.how_it_stops = how
        self.first.stops_after = COUNT // 2
        figures = self.bench(*arguments)
        self.assertTrue(figures["ok"])
        self.assertEqual((figures["submitted"], figures["acknowledged"]), (COUNT, COUNT))
        self.assertEqual(len(self.first.ids), COUNT)
        self.assertGreater(len(self.second.of("submit")), COUNT // 4)
        return figures

    def test_routers_ride_through(self):
        for how in ("not_primary", "killed"):
            with self.subTest(how):
                self.tearDown()
                self.setUp()
                figures = self.goes_through(how, "--routers", "1", "--gap-ms", "3600000")
                self.assertEqual(figures["completed"], COUNT)
                self.assertEqual((figures["lost"], figures["repeated"], figures["shared_ids"]),
                                 (0, 0, 0))
                self.assertEqual(len(self.first.log.results), COUNT)
                self.assertGreater(len(self.second.of("strategy_loaded")), 0)
                self.assertGreater(figures["longest_gap_ms"], 0)
                self.assertLess(figures["longest_gap_ms"], 60000)
                self.assertEqual(figures["gaps"], 0)

    def test_a_frozen_primary_is_a_gap(self):
        figures = self.goes_through("frozen", "--submit-only", "--gap-ms", "0")
        self.assertGreaterEqual(figures["gaps"], COUNT)
        self.assertNotIn("lost", figures)
        self.assertIn("longest gap without an acknowledgement", self.text)

    def test_what_was_not_completed_is_lost(self):
        complete = self.first.take_result
        dropped = []

        def drop_one(stop, message):
            if not dropped:
                dropped.append(stop.interaction_id)
            if stop.interaction_id == dropped[0]:
                message.error.code = 10
                message.error.sentence = "gone"
            else:
                complete(stop, message)
        self.first.take_result = drop_one
        figures = self.bench("--drain", "6", code=1)
        self.assertEqual((figures["lost"], figures["repeated"]), (1, 0))

    def test_what_was_completed_twice_is_repeated(self):
        forgotten = []
        route = self.first.route

        def forget_one():
            if not forgotten and self.first.log.results:
                forgotten.append(self.first.log.results.popitem())
            route()
        self.first.route = forget_one
        figures = self.bench(code=1)
        self.assertEqual((figures["lost"], figures["repeated"]), (0, 1))

    def test_two_submits_under_one_id(self):
        answer = self.first.answer

        def mix_up(request, message):
            result = answer(request, message)
            if request.WhichOneof("body") == "submit" and len(self.first.ids) == 10:
                message.ack.interaction_id = next(iter(self.first.ids.values()))
            return result
        self.first.answer = mix_up
        figures = self.bench("--submit-only", code=1)
        self.assertEqual(figures["shared_ids"], 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
