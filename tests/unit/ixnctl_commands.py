#!/usr/bin/env python3
"""ixnctl as its users meet it: the program against a scripted node that knows the wire contract.

What it proves: exit codes, what is sent for each command, that the same import again sends the same
keys, refusals and repetitions in the summary, an interrupted import, an import that rides through a
fail-over of the pair, and that errors are one line.

    ixnctl_commands.py IXNCTL SOURCE_FOLDER
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import uuid

from scripted_node import Node, make_pair, wire

IXNCTL = str(pathlib.Path(sys.argv[1]).resolve())

MESSAGE = "Message-ID: <{0}@x>\nFrom: A <a@x>\nSubject: s {0}\n\ntext {0}\n"
SEPARATOR = "From a@x Sat Jan 31 12:00:00 2026\n"


class Case(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.folder = tempfile.TemporaryDirectory()

    def tearDown(self):
        self.node.close()
        self.folder.cleanup()

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        return path

    def run_it(self, *arguments, code=0, given=None):
        done = subprocess.run([IXNCTL, "--node", self.node.endpoint, *arguments], input=given,
                              capture_output=True, timeout=40, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout.decode(), done.stderr.decode()

    def submit(self, *arguments, code=0, given=None):
        out, _ = self.run_it("submit", "--queue", "inbound", "-o", "json", *arguments, code=code,
                             given=given)
        return json.loads(out)


class Submit(Case):
    def test_mail_becomes_attributes(self):
        path = self.file("a.mbox", SEPARATOR + MESSAGE.format(1) + "\n" + SEPARATOR +
                         MESSAGE.format(2))
        done = self.submit("--priority", "7", path)
        self.assertEqual((done["read"], done["submitted"], done["refused"]), (2, 2, 0))
        first = self.node.of("submit")[0]
        self.assertEqual(first.external_id, "1@x")
        self.assertEqual((first.media_type, first.type, first.priority), ("email", "Inbound", 7))
        attributes = json.loads(first.attributes)
        self.assertEqual(attributes["text"], "text 1")
        self.assertEqual(attributes["from_address"], "a@x")
        self.assertEqual(self.node.of("register")[0].role, wire.MEDIA_SERVER)

    def test_twice_is_once(self):
        path = self.file("a.mbox", "".join(SEPARATOR + MESSAGE.format(i % 3) + "\n"
                                           for i in range(5)))
        first = self.submit(path)
        self.assertEqual((first["submitted"], first["repeated"]), (5, 2))
        self.submit(path)
        self.assertEqual(len(self.node.ids), 3)
        self.submit("--again", path)
        self.assertEqual(len(self.node.ids), 8)

    def test_refusals_are_told_with_their_place(self):
        self.node.refuse_queue = "nowhere"
        path = self.file("a.jsonl", '{"a":1}\n{"queue":"nowhere","attributes":{}}\n[]\n')
        done = self.submit("-m", "chat", path, code=4)
        self.assertEqual((done["read"], done["submitted"], done["refused"]), (3, 1, 2))
        reasons = {reason["code"]: reason["first"] for reason in done["reasons"]}
        self.assertIn("a.jsonl:2: no queue", reasons["UNKNOWN_QUEUE"])
        self.assertIn("a.jsonl:3: a line must be", reasons["INVALID_ATTRIBUTES"])
        done = self.submit("-m", "chat", "-", code=1,
                           given=b'{"queue":"nowhere","attributes":{}}')
        self.assertEqual(done["refused"], 1)

    def test_no_answer_ends_it(self):
        self.node.silent_after = 10
        path = self.file("a.jsonl", "".join('{"a":%d}\n' % i for i in range(5000)))
        done = self.submit("-m", "chat", "--timeout", "1", "--window", "20", path, code=4)
        self.assertEqual(done["submitted"], 10)
        self.assertTrue(done["interrupted"])
        self.assertEqual(done["submitted"] + done["unanswered"], done["read"])
        self.assertIn("TIMED_OUT", [reason["code"] for reason in done["reasons"]])

    def test_interrupt_waits_for_what_is_in_flight(self):
        process = subprocess.Popen([IXNCTL, "-n", self.node.endpoint, "submit", "-q", "inbound",
                                    "-m", "chat", "-o", "json", "-"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        lines = "".join('{"a":%d}\n' % i for i in range(20000)).encode()
        writer = threading.Thread(target=lambda: self.pump(process.stdin, lines))
        writer.start()
        self.assertTrue(self.node.wait_answers(1000, 60))
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
        self.assertEqual(process.wait(20), 4, out)
        writer.join()
        process.stdout.close()
        done = json.loads(out)
        self.assertTrue(done["interrupted"])
        self.assertEqual(done["unanswered"], 0)
        self.assertEqual(done["submitted"], len(self.node.ids))

    @staticmethod
    def pump(pipe, lines):
        try:
            while True:
                pipe.write(lines)
        except BrokenPipeError:
            pass
        finally:
            try:
                pipe.close()
            except BrokenPipeError:
                pass

    def test_people_get_a_summary(self):
        out, error = self.run_it("submit", "-q", "inbound", self.file("a", MESSAGE.format(1)))
        self.assertIn("1  submitted: acknowledged by the node", out)
        self.assertIn("without a valid Date", out)
        self.assertEqual(error, "")


class Pair(Case):
    """The first node goes away in the middle of what was asked; the second one has the same log."""

    LINES = 3000

    def setUp(self):
        super().setUp()
        self.first, self.second = make_pair()

    def tearDown(self):
        self.first.close()
        self.second.close()
        super().tearDown()

    def run_pair(self, *arguments, code=0):
        done = subprocess.run([IXNCTL, "--node", self.first.endpoint, "--node",
                               self.second.endpoint, *arguments],
                              capture_output=True, timeout=40, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout.decode()

    def import_all(self, how):
        self.first.how_it_stops = how
        self.first.stops_after = self.LINES // 3
        path = self.file("a.jsonl", "".join('{"a":%d}\n' % i for i in range(self.LINES)))
        done = json.loads(self.run_pair("submit", "-q", "inbound", "-m", "chat", "-o", "json",
                                        "--window", "100", path))
        self.assertEqual(
            (done["read"], done["submitted"], done["repeated"], done["refused"],
             done["unanswered"], done["interrupted"]), (self.LINES, self.LINES, 0, 0, 0, False))
        self.assertEqual(len(self.first.ids), self.LINES)
        texts = [json.loads(submit.attributes)["a"] for submit in self.first.log.submits.values()]
        self.assertEqual(sorted(texts), list(range(self.LINES)), "each line once")
        self.assertGreater(len(self.second.of("submit")), self.LINES // 2)

    def test_import_goes_on_after_a_switchover(self):
        self.import_all("not_primary")
        self.assertLess(len(self.second.of("submit")), self.LINES,
                        "only what was not acknowledged is asked again")

    def test_import_goes_on_after_a_kill(self):
        self.import_all("killed")

    def test_import_goes_on_while_the_old_primary_is_frozen(self):
        self.import_all("frozen")

    def test_one_command_finds_the_node_that_serves(self):
        self.first.serves, self.second.serves, self.second.epoch = False, True, 2
        self.assertIn("placed", self.run_pair("place", One.ID, "support"))
        self.assertEqual(len(self.second.of("place_in_queue")), 1)
        self.assertEqual(self.first.of("place_in_queue"), [])


class One(Case):
    ID = "0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a"

    def test_get(self):
        out, _ = self.run_it("get", self.ID)
        self.assertRegex(out, r"(?m)^state +queued$")
        self.assertNotIn("\x1b", out)
        out, _ = self.run_it("get", "-o", "json", self.ID, self.ID)
        self.assertEqual(json.loads(out.splitlines()[1])["id"], self.ID)
        self.assertTrue(self.node.of("get")[0].confirmed)
        self.assertEqual(self.node.of("register")[0].role, wire.OPERATOR)

    def test_changes(self):
        self.run_it("stop", self.ID, "--reason", "spam", "--if-version", "3")
        stop = self.node.of("stop")[0]
        self.assertEqual((stop.reason, stop.expected_version), ("spam", 3))
        self.assertGreater(len(stop.key), 0)
        out, _ = self.run_it("place", self.ID, "support", "-p", "-5")
        self.assertEqual(out, self.ID + " placed, version 2\n")
        place = self.node.of("place_in_queue")[0]
        self.assertEqual((place.queue, place.priority), ("support", -5))
        out, _ = self.run_it("hold", "-o", "json", self.ID)
        self.assertEqual(json.loads(out), {"id": self.ID, "done": "held", "version": 2})
        self.run_it("resume", self.ID)
        self.assertEqual(self.node.of("resume")[0].interaction_id, uuid.UUID(self.ID).bytes)

    def test_refused_unknown_and_silent(self):
        def refuse(request, message):
            if request.WhichOneof("body") == "get":
                message.error.code = wire.UNKNOWN_INTERACTION
                message.error.sentence = "no such\ninteraction \x1b[31m"
                return True
            return Node.answer(self.node, request, message)
        self.node.answer = refuse
        _, error = self.run_it("get", self.ID, code=1)
        self.assertEqual(error.count("\n"), 1)
        self.assertIn("UNKNOWN_INTERACTION", error)
        self.assertNotIn("\x1b", error)
        self.node.silent_after = -1
        _, error = self.run_it("stop", "--timeout", "1", self.ID, code=3)
        self.assertIn(self.node.endpoint, error)


class Usage(Case):
    def test_wrong_words_are_usage(self):
        for words in (["nope"], ["database"], ["database", "x"], ["get"], ["get", "1"],
                      ["place", One.ID], ["submit"], ["submit", "/nothing/there"],
                      ["submit", "--window", "0", "x"], ["submit", "-q", "a" * 65, "/etc/passwd"],
                      ["list", "--state", "x"], ["list", "x"], ["-o", "xml", "queues"],
                      ["--config", "/nothing/there", "queues"], ["--timeout", "99", "queues"]):
            _, error = self.run_it(*words, code=2)
            self.assertTrue(error.startswith("ixnctl"), error)
            self.assertEqual(self.node.of("submit"), [])

    def test_help_teaches(self):
        out, _ = self.run_it("--help")
        self.assertIn("The database", out)
        for words in ("submit", "get", "place", "hold", "resume", "stop", "list", "queues"):
            self.assertIn("\n  %-16s" % words, out)
            text, _ = self.run_it(words, "--help")
            self.assertIn("Example", text)
        for words in ("init", "status"):
            text, _ = self.run_it("database", words, "--help")
            self.assertIn("Example", text)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
