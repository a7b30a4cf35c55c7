"""A node for the tests of programs: it knows the wire contract and answers as a script says. Two of
them with one Log are a pair: the log outlives the node that wrote it.

Needs protoc; the folder of the sources is the program's second argument."""
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import uuid

import zmq

# Any free port of an address of loopback that only this process uses: nobody who runs beside it
# takes the port of a node that has ended.
OWN_ADDRESS = "tcp://127.%d.%d.%d:*" % (64 + (os.getpid() >> 16), os.getpid() >> 8 & 0xff,
                                        os.getpid() & 0xff)
SOURCE = str(pathlib.Path(sys.argv[2]).resolve())
FOLDER = tempfile.TemporaryDirectory()
subprocess.run(["protoc", f"--python_out={FOLDER.name}", f"-I{SOURCE}", "core/wire/client.proto"],
               cwd=SOURCE, check=True)
sys.path.insert(0, FOLDER.name)
from core.wire import client_pb2 as wire  # noqa: E402

# Seven steps behind the first one are no longer kept.
JOURNEY = b"""[{"at": "2026-01-31T12:00:00.000000Z", "step": "dispatched", "by": "R1",
"strategy": "classify", "version": 1, "dropped": 7}, {"at": "2026-01-31T12:00:01.000000Z",
"step": "placed", "by": "ann@desk", "queue": "inbound", "version": 9}]"""


class Log:
    """What a pair's database would keep."""

    def __init__(self):
        self.lock = threading.RLock()
        self.index = 0
        self.ids = {}      # key of a submit → interaction id
        self.submits = {}  # interaction id → Submit
        self.results = {}  # interaction id → (epoch, index) of the accepted result
        self.held = {}     # (epoch, index) → interaction id

    def next_index(self):
        self.index += 1
        return self.index


class Node(threading.Thread):
    """Answers every request; `answer` may be replaced. Keeps what it was asked.

    `stops_after`: after so many submits it hands over to `other`, which takes the next epoch:
    "not_primary" says so to everybody, "killed" closes the socket, "frozen" falls silent."""

    def __init__(self, log=None, serves=True):
        super().__init__(daemon=True)
        self.log = log or Log()
        self.ids = self.log.ids
        self.serves = serves
        self.epoch = 1
        self.other = None
        self.stops_after = None
        self.how_it_stops = "not_primary"
        self.begin_at_epoch = None
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.set_hwm(0)
        self.socket.bind(OWN_ADDRESS)
        self.endpoint = self.socket.last_endpoint.decode()
        self.peers = set()
        self.router = None  # the peer that has a strategy
        self.asked = []
        self.refused = 0    # requests that were answered with NotPrimary
        self.refuse_queue = None
        self.silent_after = None
        self.stopping = threading.Event()
        self.answers = 0
        self.told = threading.Condition()
        self.start()

    # ---- What it answers ----

    def answer(self, request, message):
        kind = request.WhichOneof("body")
        if kind == "register":
            message.registered.database_id = b"d" * 16
            message.registered.heartbeat_ms = 1000
            message.registered.dedupe_window_ms = 600000
            message.registered.dedupe_guaranteed_ms = 60000
            message.registered.max_attributes_size = 262144
            message.registered.max_submitted_interactions = 1000
            message.registered.revoked.extend(token for token in request.register.tokens
                                              if (token.epoch, token.index) not in self.log.held)
        elif kind == "ping":
            message.pong.SetInParent()
        elif kind == "pair_status":  # it is alone
            message.pair_status.own.name = "node"
        elif kind == "submit" and request.submit.queue == self.refuse_queue:
            message.error.code = wire.UNKNOWN_QUEUE
            message.error.sentence = 'no queue "%s"' % request.submit.queue
        elif kind == "submit":
            key = request.submit.key
            message.ack.interaction_id = self.ids.setdefault(key, uuid.uuid4().bytes)
            message.ack.version = 1
            self.log.submits[message.ack.interaction_id] = request.submit
        elif kind == "stop" and request.stop.HasField("token"):
            self.take_result(request.stop, message)
        elif kind == "get":
            one = message.interaction
            one.interaction_id = request.get.interaction_id
            one.state = wire.QUEUED
            one.queue = "inbound"
            one.attributes = b'{"text":"hello \x1b[31m"}'.replace(b"\x1b", b"\\u001b")
            if request.get.journey:
                one.journey = JOURNEY
        elif kind == "leave":
            return False
        elif kind in ("strategy_loaded", "strategy_unloaded"):
            message.ack.version = 0
        else:
            message.ack.interaction_id = getattr(request, kind).interaction_id
            message.ack.version = 2
        return True

    def take_result(self, stop, message):
        token = (stop.token.epoch, stop.token.index)
        if self.log.results.get(stop.interaction_id) == token:
            pass  # asked again: the first answer again
        elif self.log.held.pop(token, None) != stop.interaction_id:
            message.error.code = wire.OLD_TOKEN
            message.error.sentence = "another one has it"
            return
        self.log.results[stop.interaction_id] = token
        message.ack.interaction_id = stop.interaction_id
        message.ack.version = 2

    def route(self):
        """Hands out what nobody holds."""
        waiting = set(self.log.submits) - set(self.log.results) - set(self.log.held.values())
        if self.router is None or not waiting:
            return
        frame = wire.FromNode(epoch=self.epoch, index=self.log.index)
        for one in waiting:
            route = frame.messages.add().route
            route.token.epoch = self.epoch
            route.token.index = self.log.next_index()
            route.strategy = "classify"
            route.interaction.interaction_id = one
            route.interaction.external_id = self.log.submits[one].external_id
            self.log.held[(route.token.epoch, route.token.index)] = one
        self.socket.send_multipart([self.router, frame.SerializeToString()])

    # ---- The pair ----

    def stop_serving(self):
        self.serves = False
        if self.how_it_stops == "not_primary":
            frame = wire.FromNode()
            frame.messages.add().not_primary.primary_endpoint = self.other.endpoint
            self.say_to_all(frame)
        self.other.begin_at_epoch = self.epoch + 1

    def begin(self):
        """Who registers here has what it says it holds; the rest goes out again."""
        self.epoch, self.begin_at_epoch = self.begin_at_epoch, None
        self.serves = True
        self.say_to_all(wire.FromNode(epoch=self.epoch, index=self.log.index))

    def say_to_all(self, frame):
        for peer in self.peers:
            self.socket.send_multipart([peer, frame.SerializeToString()])

    # ---- The loop ----

    def hear(self, peer, request, reply):
        self.asked.append(request)
        kind = request.WhichOneof("body")
        if kind not in ("register", "ping", "leave") and self.silent_after is not None:
            if len(self.of("submit")) > self.silent_after:
                return
        message = wire.Message(request_id=request.id)
        if not self.serves:
            self.refused += 1
            message.not_primary.primary_endpoint = self.other.endpoint
            reply.messages.append(message)
            return
        if kind == "register" and request.register.role == wire.ROUTER:
            tokens = {(token.epoch, token.index) for token in request.register.tokens}
            self.log.held = {token: one for token, one in self.log.held.items() if token in tokens}
        if self.answer(request, message):
            reply.messages.append(message)
        if kind == "strategy_loaded":
            self.router = peer

    def turn(self):
        with self.log.lock:
            if self.begin_at_epoch:
                self.begin()
        if not self.socket.poll(20):
            return
        peer, frame = self.socket.recv_multipart()
        self.peers.add(peer)
        with self.log.lock:
            reply = wire.FromNode(epoch=self.epoch if self.serves else 0,
                                  index=self.log.next_index())
            for request in wire.ToNode.FromString(frame).requests:
                self.hear(peer, request, reply)
            stops = (self.serves and self.stops_after is not None and
                     len(self.of("submit")) >= self.stops_after)
            # What it has decided is in the log; who stops does not tell of it any more.
            if reply.messages and not stops:
                self.socket.send_multipart([peer, reply.SerializeToString()])
            if stops:
                self.stop_serving()
            elif self.serves:
                self.route()
        with self.told:
            self.answers += len(reply.messages)
            self.told.notify_all()

    def run(self):
        while not self.stopping.is_set():
            if self.stops_after is not None and not self.serves:
                if self.how_it_stops == "killed":
                    break
                if self.how_it_stops == "frozen":
                    self.stopping.wait()
                    break
            self.turn()
        self.socket.close(0)

    def wait_answers(self, count, seconds):
        with self.told:
            return self.told.wait_for(lambda: self.answers >= count, seconds)

    def of(self, kind):
        return [getattr(r, kind) for r in self.asked if r.WhichOneof("body") == kind]

    def close(self):
        self.stopping.set()
        self.join()


def make_pair():
    """Two nodes with one log; the first one serves."""
    first = Node()
    second = Node(first.log, serves=False)
    first.other, second.other = second, first
    return first, second
