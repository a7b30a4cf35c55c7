#!/usr/bin/env python3
"""ixnctl as its users meet it: the program against a scripted node that knows the wire contract.

What it proves: exit codes, what is sent for each command, that the same import again sends the same
keys, refusals and repetitions in the summary, an interrupted import, an import that rides through a
fail-over of the pair, and that errors are one line.

    ixnctl_commands.py IXNCTL SOURCE_FOLDER
"""
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

import zmq
import zmq.auth

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
                              capture_output=True, timeout=120, check=False)
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
        done = self.submit("-m", "chat", "--timeout", "3", "--window", "20", path, code=4)
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
        self.assertEqual(process.wait(60), 4, out)
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


class TwoNodes(Case):
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
                              capture_output=True, timeout=120, check=False)
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
        one = json.loads(out.splitlines()[1])
        self.assertEqual((one["id"], one["from"]), (self.ID, "node"))
        self.assertEqual([step["step"] for step in one["journey"]], ["dispatched", "placed"])
        self.assertTrue(self.node.of("get")[0].confirmed)
        self.assertEqual(self.node.of("register")[0].role, wire.OPERATOR)

    def test_get_shows_the_journey(self):
        lines = self.run_it("get", self.ID)[0].splitlines()
        self.assertEqual([line.split() for line in lines[-4:]], [
            ["AT", "STEP", "QUEUE", "STRATEGY", "BY", "VERSION"],
            ["2026-01-31T12:00:00.000000Z", "dispatched", "classify", "R1", "1"],
            ["…", "7", "not", "kept"],
            ["2026-01-31T12:00:01.000000Z", "placed", "inbound", "ann@desk", "9"]])

    def test_get_of_what_the_node_remembers_only(self):
        def completed(request, message):
            Node.answer(self.node, request, message)
            if request.WhichOneof("body") == "get":
                message.interaction.Clear()
                message.interaction.interaction_id = request.get.interaction_id
                message.interaction.state = wire.COMPLETED
            return True
        self.node.answer = completed
        out, error = self.run_it("--config", "/nothing/there", "get", self.ID)
        self.assertRegex(out, r"(?m)^state +completed$")
        self.assertNotIn("priority", out)
        self.assertRegex(error, "^ixnctl: the node remembers no more of it, and the tables cannot "
                         "be read: /nothing/there: [^\n]*\n$")

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


def daps(node, *states):
    for i, (reachable, proven, trouble) in enumerate(states):
        node.daps.add(name="dap-%d" % i, reachable=reachable, proven=proven, latency_us=400,
                      trouble=trouble)


class PairNode(Node):
    """A node of a pair: says its status, obeys commands that `world` allows."""

    def __init__(self, world, name):
        self.world, self.called, self.mute, self.looks = world, name, False, 0
        self.counts = True
        super().__init__()

    def describe(self, status, name):
        node = self.world.nodes[name]
        status.name, status.role, status.client_endpoint = name, node.role, node.endpoint
        status.index, status.ready, status.readiness = node.index, node.ready, node.readiness
        status.checkpoint = node.index - 100
        status.automatic = node.automatic
        daps(status, (True, True, ""), *node.more_daps)

    def answer(self, request, message):
        kind = request.WhichOneof("body")
        if self.mute:
            return False
        if kind == "pair_command":
            self.commands.append((request.pair_command.Kind.Name(request.pair_command.kind),
                                  request.pair_command.dry_run, request.pair_command.reason))
            if self.refusal:
                message.error.code = wire.WRONG_STATE
                message.error.sentence = self.refusal
                return True
            if not request.pair_command.dry_run:
                self.world.obey(self, request.pair_command.kind)
        elif kind == "register" and not self.role.startswith("primary"):
            message.not_primary.primary_endpoint = self.world.other(self).endpoint
            return True
        elif kind in ("register", "ping"):
            return Node.answer(self, request, message)
        elif kind == "figures":
            self.looks += 1
            message.figures.version, message.figures.serving = "1", self is self.world.a
            message.figures.uptime_ms = 10000 + 2000 * self.looks
            return True
        elif kind == "list_queues":
            self.queues(request.list_queues.after, message.queues)
            return True
        elif kind == "list":
            message.listing.SetInParent()
            return True
        elif kind == "applications":
            message.applications.SetInParent()
            return True
        elif kind != "pair_status":
            message.error.code = wire.NOT_REGISTERED
            return True
        status = message.pair_status
        self.describe(status.own, self.called)
        other = self.world.other(self)
        status.has_peer = True
        if other:
            self.describe(status.peer, other.called)
            if status.peer.role.startswith("primary"):  # what the link tells is less exact
                status.peer.role = "primary"
            status.link = (not other.mute or self.hears) and not self.deaf
        status.has_lag_bytes, status.lag_bytes = self.counts, 1536
        status.epoch, status.database_id = self.epoch, b"d" * 16
        status.role_since_ms, status.role_reason = 7380000, "because \x1b[31m so"
        return True

    def queues(self, after, answer):
        """Three, in pages of two; between two looks 10 come and 4 go."""
        all_of_them = [dict(tenant="default", name="inbound", strategy="classify", waiting=3,
                            reason="no router runs \x1b[31mclassify", entered=10 * self.looks,
                            left=4 * self.looks),
                       dict(tenant="default", name="parked", waiting=1200),
                       dict(tenant="other", name="theirs", waiting=9, configured=True)]
        for one in all_of_them[after:after + 2]:
            answer.queues.add(**one, oldest_placed_at_us=int((time.time() - 90) * 1e6))
        answer.next = 0 if after else 2


class World:
    """Two nodes; a is the primary."""

    def __init__(self):
        self.nodes = {}
        for name, role, index in (("node-a", "primary-paired", 1200),
                                  ("node-b", "backup-ready", 1190)):
            node = PairNode(self, name)
            node.role, node.index, node.ready, node.readiness = role, index, index == 1190, ""
            node.automatic, node.epoch, node.more_daps = True, 7, []
            node.commands, node.refusal, node.hears, node.deaf = [], None, False, False
            self.nodes[name] = node
        self.a, self.b = self.nodes["node-a"], self.nodes["node-b"]
        self.moves = True

    def other(self, node):
        return self.b if node is self.a else self.a

    def obey(self, node, kind):
        if kind in (wire.PairCommand.SWITCHOVER, wire.PairCommand.FAILOVER) and self.moves:
            new = node if kind == wire.PairCommand.FAILOVER else self.other(node)
            self.other(new).role, new.role = "backup-syncing", "primary-alone"
            new.epoch = self.other(new).epoch + 1
        if kind == wire.PairCommand.PAUSE:
            node.automatic = False
        if kind == wire.PairCommand.RESUME:
            node.automatic = True

    def close(self):
        self.a.close()
        self.b.close()


class Pair(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.a, self.b = self.world.a, self.world.b
        self.folder = tempfile.TemporaryDirectory()

    def tearDown(self):
        self.world.close()
        self.folder.cleanup()

    def run_it(self, *arguments, code=0, nodes=None):
        nodes = (self.a, self.b) if nodes is None else nodes
        words = [word for node in nodes for word in ("--node", node.endpoint)]
        done = subprocess.run([IXNCTL, *words, *arguments], capture_output=True, timeout=120,
                              check=False, env={**os.environ, "TZ": "UTC"})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout.decode(), done.stderr.decode()

    def status(self, code=0, **more):
        out, _ = self.run_it("pair", "status", "-o", "json", "--timeout", "2", code=code, **more)
        return json.loads(out)

    def test_keygen(self):
        path = os.path.join(self.folder.name, "pair.key")
        out, _ = self.run_it("pair", "keygen", path)
        self.assertIn("certificate: " + path, out)
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
        with open(path, encoding="ascii") as file:
            text = file.read()
        public, secret = zmq.auth.load_certificate(path)
        self.assertEqual(zmq.curve_public(secret), public)
        self.assertIn(public.decode(), out)
        self.assertNotIn(secret.decode(), out)
        _, error = self.run_it("pair", "keygen", path, code=2)
        self.assertIn("is there already", error)
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), text)
        _, error = self.run_it("pair", "keygen", self.folder.name + "/none/x", code=2)
        self.assertEqual(error.count("\n"), 1)
        other = path + "2"
        out, _ = self.run_it("pair", "keygen", os.path.relpath(other))
        self.assertIn("certificate: " + os.path.realpath(other), out)
        other = path + "3"
        out, _ = self.run_it("pair", "keygen", "-o", "json", other)
        self.assertNotEqual(json.loads(out)["public_key"], public.decode())

    def test_status_shows_both_from_each(self):
        self.b.more_daps = [(True, False, "reaches another database"), (False, False, "")]
        out, _ = self.run_it("pair", "status")
        lines = out.splitlines()
        self.assertRegex(lines[0], r"^NODE +SEEN BY +ROLE +SINCE +INDEX +LAG +READY +DAPS$")
        self.assertRegex(lines[1], r"^node-a +itself +primary-paired +2h03m +1,200 +serves +dap-0")
        self.assertRegex(lines[2], r"^node-b +node-a +backup-ready +1,190 +10 \(1.5 KiB\) +yes ")
        self.assertRegex(lines[3], r"^node-b +itself +backup-ready +2h03m +1,190 +10 \(1.5 KiB\) "
                         r"+yes +"
                         r"dap-0 proven 0.4ms, dap-1 not proven 0.4ms "
                         r"\(reaches another database\), dap-2 not now$")
        self.assertRegex(lines[4], r"^node-a +node-b +primary +1,200 +serves ")
        self.assertEqual(lines[-1], "Ready: node-a serves, node-b is ready to take over.")
        self.assertNotIn("\x1b", out)
        done = self.status()
        self.assertEqual((done["ready"], done["primary"]), (True, "node-a"))
        self.assertEqual([node["own"]["name"] for node in done["nodes"]], ["node-a", "node-b"])
        self.assertEqual(done["nodes"][1]["lag_entries"], 10)
        self.assertEqual([node["lag_bytes"] for node in done["nodes"]], [None, 1536])
        self.b.counts = False
        self.assertIsNone(self.status()["nodes"][1]["lag_bytes"])
        self.assertEqual(done["nodes"][0]["peer"]["daps"][1]["proven"], False)

    def test_any_node_will_do(self):
        self.run_it("routers", nodes=[self.b])
        self.assertEqual(len(self.a.of("list")), 1)
        self.a.mute = True
        _, error = self.run_it("routers", "--timeout", "1", nodes=[self.b], code=3)
        self.assertIn(f"at {self.b.endpoint}, {self.a.endpoint} within 1 s", error)

    def test_queues_wait_for_nobody_but_the_primary(self):
        """A node that is silent is given a second, but the queues are the primary's."""
        self.b.mute = True
        for nodes in ([self.a], [self.b, self.a]):
            self.assertTrue(any(self.seconds("queues", "-i", "0", nodes=nodes) < 1
                                for _ in range(20)), "each took a second or more")

    def seconds(self, *arguments, **more):
        began = time.monotonic()
        self.run_it(*arguments, **more)
        return time.monotonic() - began

    def test_a_reload_that_nobody_hears_is_asked_for_once(self):
        self.a.mute = self.b.mute = True
        for nodes in ([self.a, self.b], [self.a]):
            before = len(self.a.of("config"))
            self.run_it("config", "reload", "--timeout", "1", nodes=nodes, code=3)
            self.assertEqual(len(self.a.of("config")), before + 1)

    def test_status_finds_the_other_node(self):
        done = self.status(nodes=[self.b])
        self.assertEqual([node["own"]["name"] for node in done["nodes"]], ["node-b", "node-a"])

    def test_status_where_only_the_backup_is_reached(self):
        self.a.mute, self.b.hears = True, True
        done = self.status(code=1)
        self.assertIn("node-b says that node-a serves, but that one was not asked",
                      done["verdict"])
        self.assertEqual(done["nodes"][1]["lag_entries"], 10)

    def test_a_question_needs_no_full_stop(self):
        self.b.mute = True
        out, _ = self.run_it("status", "--timeout", "1", code=1)
        self.assertNotIn("?.", out)

    def test_status_of_nodes_that_do_not_hear_each_other(self):
        """Both run; what the other one has to say of it counts."""
        self.a.deaf = True
        self.assertRegex(self.status(code=1)["verdict"],
                         "^node-a serves, but does not hear node-b, which runs: compare pair.peer")
        self.b.ready, self.b.readiness = False, "both nodes are named \"node-b\""
        self.assertRegex(self.status(code=1)["verdict"], "which runs: both nodes are named")

    def test_status_as_a_check(self):
        self.b.ready, self.b.readiness = False, "DAP dap-1 reaches another database"
        done = self.status(code=1)
        self.assertIn("node-b is not ready to take over: DAP dap-1", done["verdict"])
        self.b.mute = True
        done = self.status(code=1)
        self.assertIn("does not hear the other node", done["verdict"])
        self.assertEqual([node["answered"] for node in done["nodes"]], [True, False])
        out, _ = self.run_it("pair", "status", "--timeout", "2", code=1)
        self.assertIn("no answer", out)
        self.assertRegex(out, r"NOT READY: [^\n]*: is it down\?\n$")
        self.a.mute = True
        self.run_it("pair", "status", "--timeout", "2", code=3)
        self.a.mute = self.b.mute = False
        self.a.role = "fenced"
        self.assertIn("nobody serves", self.status(code=4)["verdict"])
        self.a.role, self.b.role, self.b.epoch = "primary-alone", "primary-alone", 8
        done = self.status(code=1)
        self.assertEqual(done["primary"], "node-b")
        self.assertIn("node-a says that it serves too, under epoch 7", done["verdict"])

    def test_queues_are_asked_of_the_one_that_serves(self):
        for node in (self.a, self.b):
            out, _ = self.run_it("queues", "--interval", "0.1", nodes=[node])
            lines = out.splitlines()
            self.assertRegex(lines[0], "^QUEUE +STRATEGY +WAITING +HELD +ROUTING +QUARANTINED +"
                                       "OLDEST +IN/s +OUT/s +WHY IT WAITS$")
            self.assertRegex(lines[1], r"^inbound +classify +3 +0 +0 +0 +1m3\d+s +5.0 +2.0 +"
                                       r"no router runs .+classify$")
            self.assertRegex(lines[2], "^parked +1,200 ")
            self.assertRegex(lines[3], "^other/theirs +9 ")
            self.assertEqual(len(lines), 4)
            self.assertNotIn("\x1b", out)
        self.assertEqual(self.b.of("list_queues"), [])
        out, _ = self.run_it("queues", "--interval", "0", "-o", "json", "--tenant", "other")
        done = json.loads(out)
        self.assertEqual((done["from"], done["node"]), ("node", "node-a"))
        self.assertEqual([queue["queue"] for queue in done["queues"]], ["theirs"])
        self.assertIsNone(done["queues"][0]["in_per_second"])
        out, _ = self.run_it("queues", "-i", "0")
        self.assertNotIn("IN/s", out)

    def test_queues_of_no_tenant_are_refused(self):
        def stranger(request, message):
            if request.WhichOneof("body") != "register":
                return PairNode.answer(self.a, request, message)
            message.error.code = wire.UNKNOWN_TENANT
            message.error.sentence = 'no tenant "nobody"'
            return True
        self.a.answer = stranger
        out, error = self.run_it("queues", "--tenant", "nobody", code=1)
        self.assertEqual(out, "")
        self.assertIn('no tenant "nobody"', error)

    def test_queues_without_a_node_that_serves_need_the_tables(self):
        self.a.role = "fenced"
        config = ["--config", self.folder.name + "/none.yaml"]
        out, error = self.run_it(*config, "queues", code=3)
        self.assertEqual((out, error.count("\n")), ("", 1))
        self.assertIn("nobody serves", error)
        self.assertIn("the tables cannot be read: ", error)

    def test_strange_answers(self):
        self.b.readiness, self.b.ready = "\u202e\x07", False
        self.run_it("pair", "status", code=1)
        self.status(code=1)
        self.b.answer = lambda request, message: bool(message.not_primary.SetInParent() or True)
        done = self.status(code=1)
        self.assertIn("does not understand", done["nodes"][1]["error"])

    def test_switchover(self):
        out, _ = self.run_it("switchover", "--dry-run")
        self.assertIn("node-b would take over from node-a", out)
        self.assertEqual(self.a.commands, [("SWITCHOVER", True, "")])
        out, _ = self.run_it("switchover", "--wait", "--reason", "kernel")
        self.assertRegex(out, r"^node-b serves, \d+\.\d{3} s after the command")
        self.assertEqual(self.a.commands[-1], ("SWITCHOVER", False, "kernel"))
        self.assertEqual(self.b.commands, [])
        out, _ = self.run_it("switchover", "--wait", "-o", "json")
        self.assertEqual(self.b.commands[-1][0], "SWITCHOVER")

    def test_switchover_refused_and_stuck(self):
        self.world.moves = False
        _, error = self.run_it("switchover", "--wait=1", code=4)
        self.assertIn("after 1 s node-b does not serve", error)
        self.a.refusal = "node-b is not ready: it is behind"
        _, error = self.run_it("switchover", "--wait", code=1)
        self.assertIn("node-b is not ready: it is behind (WRONG_STATE)", error)
        _, error = self.run_it("switchover", "--at", "2099-01-01T00:00", code=1)
        self.assertEqual(self.a.commands[-1], ("SWITCHOVER", True, ""))
        self.a.role = "fenced"
        _, error = self.run_it("switchover", code=1)
        self.assertIn("ixnctl failover", error)

    def test_switchover_at(self):
        at = time.time() + 4
        self.run_it("switchover", "--at", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)))
        self.assertEqual([command[1] for command in self.a.commands], [True, False])
        self.assertGreaterEqual(time.time(), int(at))
        for wrong in ("25:00", "soon", "2020-01-01T00:00", "2026-02-30T00:00"):
            self.run_it("switchover", "--at", wrong, code=2)

    def test_failover(self):
        self.a.mute = True
        out, _ = self.run_it("failover", "--wait", "--timeout", "2", "-r", "power")
        self.assertRegex(out, r"^node-b serves, ")
        self.assertEqual(self.b.commands, [("FAILOVER", False, "power")])
        _, error = self.run_it("failover", "--timeout", "2", code=1)
        self.assertIn("no backup", error)

    def test_pause_and_resume_reach_both(self):
        out, _ = self.run_it("pause", "-r", "network")
        self.assertEqual(out, "node-a: paused\nnode-b: paused\n")
        self.assertEqual(self.b.commands, [("PAUSE", False, "network")])
        self.assertIn("operator's command only", self.status()["verdict"])
        self.run_it("resume", nodes=[self.a])
        self.assertTrue(self.a.automatic and self.b.automatic)
        self.run_it("pair", "resume", nodes=[self.b])
        self.assertEqual(self.a.commands[-1][0], "RESUME")
        self.b.mute = True
        _, error = self.run_it("pause", "--timeout", "2", code=4)
        self.assertIn(self.b.endpoint, error)
        self.a.mute = True
        self.run_it("pause", "--timeout", "2", code=3)


    def test_skip_says_where_the_node_that_serves_is(self):
        config = os.path.join(self.folder.name, "ixnd.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write("node: {name: node-a}\ndatabase:\n  daps:\n"
                       "    - {name: none, conninfo: host=/nothing/there}\n")
        for index, words in ((1100, "entry 1100 is in the tables already (the checkpoint is at "
                                    "1100)"),
                             (1101, "committed up to entry 1200, so it has applied entry 1101; "
                                    "once its checkpoint, now at 1100, has passed it"),
                             (1200, "so it has applied entry 1200;"),
                             (1201, "committed up to entry 1200: there is no entry 1201;")):
            _, error = self.run_it("-c", config, "database", "skip", "--index", str(index), "-r",
                                   "a test", code=1)
            self.assertIn(words, error)
            self.assertTrue(error.startswith("ixnctl: node node-a serves"), error)


    def test_a_node_that_cannot_read_the_question_is_not_silent(self):
        def unread(_, message):
            message.request_id = 0
            message.error.code = wire.UNSUPPORTED_VERSION
            message.error.sentence = "the frame has version 2, this node speaks 1"
            return True
        self.a.answer = self.b.answer = unread
        for words in (["pair", "status"], ["config", "diff"], ["status"]):
            _, error = self.run_it(*words, code=1)
            self.assertIn("the frame has version 2, this node speaks 1 (UNSUPPORTED_VERSION)",
                          error)


class Usage(Case):
    def test_wrong_words_are_usage(self):
        for words in (["nope"], ["database"], ["database", "x"], ["get"], ["get", "1"],
                      ["place", One.ID], ["submit"], ["submit", "/nothing/there"],
                      ["submit", "--window", "0", "x"], ["submit", "-q", "a" * 65, "/etc/passwd"],
                      ["pair"], ["pair", "x"], ["pair", "keygen"], ["pair", "status", "x"],
                      ["switchover", "x"], ["switchover", "--wait=0"], ["failover", "--at", "3:00"],
                      ["pause", "-r", "x" * 256], ["resume", "x"],
                      ["list", "--state", "x"], ["list", "x"], ["-o", "xml", "queues"],
                      ["--config", "/nothing/there", "list"], ["--timeout", "99", "queues"],
                      ["queues", "--interval", "61"], ["queues", "-i", "soon"],
                      ["list", "-a", "name"], ["list", "-a", "=x"], ["list", *["-a", "n=1"] * 5]):
            _, error = self.run_it(*words, code=2)
            self.assertTrue(error.startswith("ixnctl"), error)
            self.assertEqual(self.node.of("submit"), [])

    def test_what_there_is_is_told(self):
        _, error = self.run_it("pair", code=2)
        self.assertEqual(error, 'ixnctl: there is no command "pair"; there are: pair keygen, pair '
                         'status, pair resume; see ixnctl --help\n')
        for said, meant in (("statsu", "status"), ("lsit x", "list"),
                            ("strategy pot", "strategy put"), ("rooter drain R1", "router drain")):
            _, error = self.run_it(*said.split(), code=2)
            self.assertIn(f"; did you mean {meant}? ", error)
        _, error = self.run_it(code=2)
        self.assertIn("a command is needed", error)

    def test_where_nobody_answers_is_told(self):
        asked = [subprocess.Popen([IXNCTL, "-n", "tcp://127.0.0.1:1", "--timeout", "1", *words],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                 for words in (["strategy", "activate", "s"], ["strategy", "list"], ["routers"],
                               ["apps"], ["router", "undrain", "R1"], ["get", One.ID])]
        for process, (_, error) in [(each, each.communicate(timeout=120)) for each in asked]:
            self.assertEqual(process.returncode, 3, error)
            self.assertIn(b"no node has answered at tcp://127.0.0.1:1 within 1 s", error)

    def test_the_time_to_find_the_other_node_counts(self):
        """Of a silent node's two seconds one goes into asking for the other node."""
        waited = []
        while len(waited) < 5 and (not waited or waited[-1] >= 2000):  # a busy machine adds to it
            _, error = self.run_silent("get", One.ID)
            waited.append(int(re.search(r"no answer in (\d+) ms", error)[1]))
        self.assertLess(waited[-1], 2000, f"it waited for the node for {waited} ms")
        self.assertGreaterEqual(min(waited), 1000)

    def run_silent(self, *words):
        self.node.answer = lambda *_: False
        return self.run_it("-c", "/nothing/there", "--timeout", "2", *words, code=3)

    @unittest.skipIf(os.path.exists("/etc/ixn/ixnd.yaml"), "this machine has a node")
    def test_where_a_configuration_is_looked_for_is_told(self):
        done = subprocess.run(["env", "-u", "IXN_CONFIG", IXNCTL, "history"], capture_output=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(b"; --config or $IXN_CONFIG names another file\n", done.stderr)

    def test_help_teaches(self):
        out, _ = self.run_it("--help")
        self.assertIn("The database", out)
        described = subprocess.run([IXNCTL, "--describe=commands"], capture_output=True,
                                   timeout=120, check=True).stdout.decode()
        self.assertGreater(len(described.splitlines()), 40)
        for name in (line.split("\t")[0] for line in described.splitlines()):
            self.assertIn("\n  %-16s" % name, out)
            text, _ = self.run_it(*name.split(), "--help")
            self.assertIn("Example", text, name)


def main():
    """Four tests at a time: what they do most is to wait for a node that says nothing."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    tests = [test for group in suite for test in group]

    def outcome(test):
        result = unittest.TestResult()
        test.run(result)
        return result

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(outcome, tests))
    problems = [problem for result in results for problem in result.failures + result.errors]
    for test, text in problems:
        print(f"{test.id()}\n{text}", file=sys.stderr)
    print(f"{len(tests)} tests, {len(problems)} failed", file=sys.stderr)
    return 1 if problems or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
