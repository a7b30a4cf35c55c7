#!/usr/bin/python3
"""Example: one process that is a media server and an application server at once, on one connection,
without our library. It submits an interaction for each line of standard input and offers the
service "shout", so that a strategy may ask it about its own interactions. It prints what it did,
and ends with its standard input when everything that it was asked is answered.

    both.py [ENDPOINT…]      default: tcp://127.0.0.1:7420

    printf 'hello\\nworld\\n' | both.py tcp://node-a:7420 tcp://node-b:7420

A strategy asks it with service.call{server = "both-python", service = "shout", parameters = …}.
Needs python3-zmq, python3-protobuf and protobuf-compiler."""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time

import zmq

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "core", "wire")
NAME, SERVICE, QUEUE = "both-python", "shout", "inbound"
RESEND_S = 1.0  # what was not answered for so long is sent again, the very same bytes
LINES_AHEAD = 100  # submits without an answer; more lines wait in the pipe

with tempfile.TemporaryDirectory() as folder:
    subprocess.run(["protoc", f"--python_out={folder}", f"-I{PROTO}", "client.proto"], check=True)
    sys.path.insert(0, folder)
    wire = importlib.import_module("client_pb2")
    sys.path.remove(folder)


class Both:
    def __init__(self, endpoints):
        self.endpoints = endpoints
        self.incarnation = os.urandom(16)  # of this process: unsafe requests are bound to it
        self.sockets = []
        for endpoint in endpoints:
            self.sockets.append(zmq.Context.instance().socket(zmq.DEALER))
            self.sockets[-1].linger = 1000
            self.sockets[-1].connect(endpoint)
        self.at = 0  # the node that is asked
        self.number = 0
        self.epoch = 0
        self.registered = False
        self.heartbeat = 1.0
        self.asked = 0.0  # when it registered last
        self.said = self.heard = 0.0  # when it said, and heard, anything last
        self.waiting = {}  # by number: (request, when it was sent last)
        self.holds = {}  # requests for the service by token, until the node has their answer

    # -- sending

    def send(self, request):
        self.said = time.monotonic()
        self.sockets[self.at].send(wire.ToNode(version=1, requests=[request]).SerializeToString())

    def ask(self, **body):
        """Kept until it is answered; sent at once when the node knows us."""
        self.number += 1
        request = wire.Request(id=self.number, **body)
        self.waiting[self.number] = (request, time.monotonic() if self.registered else 0.0)
        if self.registered:
            self.send(request)

    def register(self):
        """Says who it is and what it still holds: that goes on, the rest goes elsewhere."""
        self.registered, self.asked = False, time.monotonic()
        self.number += 1
        tokens = [wire.Token(epoch=epoch, index=index) for epoch, index in self.holds]
        self.send(wire.Request(id=self.number, register=wire.Register(
            role=wire.MEDIA_SERVER, name=NAME, incarnation=self.incarnation, tokens=tokens,
            application_server=wire.ApplicationServer(
                type=wire.APPLICATION_THIRD_PARTY, services=[SERVICE]))))

    def other_node(self, named=""):
        self.at = (self.endpoints.index(named) if named in self.endpoints
                   else (self.at + 1) % len(self.endpoints))
        self.register()

    def tend(self):
        """What time brings: registering, the other node, sending again, a heartbeat."""
        now = time.monotonic()
        if not self.registered:
            if now - self.asked > RESEND_S:
                self.other_node()
            return
        if now - self.heard > max(2 * self.heartbeat, RESEND_S):
            self.other_node()  # not even pongs
            return
        for number, (request, sent) in list(self.waiting.items()):
            if now - sent > RESEND_S:
                self.waiting[number] = (request, now)
                self.send(request)
        if now - self.said > self.heartbeat / 2:
            self.number += 1
            self.send(wire.Request(id=self.number, ping=wire.Ping()))

    # -- hearing

    def serve(self, request):
        token = (request.token.epoch, request.token.index)
        if token in self.holds:
            return  # heard before; its answer is on its way
        self.holds[token] = True
        text = json.loads(request.parameters or b"{}").get("text")
        if request.service == SERVICE and isinstance(text, str):
            result = json.dumps({"text": text.upper()}).encode()
            self.ask(service_response=wire.ServiceResponse(token=request.token, result=result))
        else:
            self.ask(service_fault=wire.ServiceFault(
                token=request.token, code="BAD_PARAMETERS", text='shout needs {"text": "…"}'))
        print(f"served {request.service}", flush=True)

    def done(self, request):
        """It is durable, or refused for good."""
        for kind in ("service_response", "service_fault"):
            if request.HasField(kind):
                token = getattr(request, kind).token
                self.holds.pop((token.epoch, token.index), None)

    def answered(self, message, kind):
        request, _ = self.waiting.get(message.request_id, (None, 0.0))
        if kind == "registered":
            self.registered = True
            self.heartbeat = message.registered.heartbeat_ms / 1000
            for token in message.registered.revoked:
                self.holds.pop((token.epoch, token.index), None)
            self.waiting = {number: (one, 0.0) for number, (one, _) in self.waiting.items()}
        elif kind == "error" and message.error.code == wire.NOT_REGISTERED:
            self.register()
        elif request and kind in ("ack", "error"):
            del self.waiting[message.request_id]
            self.done(request)
            if kind == "ack" and request.HasField("submit"):
                print(f"submitted {message.ack.interaction_id.hex()}", flush=True)
            elif kind == "error":
                print(f"refused: {message.error.sentence}", file=sys.stderr)
        elif kind == "error" and not self.registered:
            sys.exit(f"both.py: {wire.Code.Name(message.error.code)}: {message.error.sentence}")

    def hear(self, node):
        frame = wire.FromNode.FromString(self.sockets[node].recv())
        if node == self.at:
            self.heard = time.monotonic()
        if node != self.at or 0 < frame.epoch < self.epoch:
            return  # a node that does not know yet that another one has taken over
        if frame.epoch > self.epoch:
            self.epoch = frame.epoch
            if self.registered:  # it begins to serve, and knows nobody yet
                self.register()
        for message in frame.messages:
            kind = message.WhichOneof("body")
            if kind == "service_request":
                self.serve(message.service_request)
            elif kind == "service_cancelled":
                token = message.service_cancelled.token
                self.holds.pop((token.epoch, token.index), None)
            elif kind == "not_primary":
                self.registered, self.asked = False, time.monotonic()
                if message.not_primary.primary_endpoint in self.endpoints:
                    self.other_node(message.not_primary.primary_endpoint)
            elif kind in ("registered", "ack", "error"):
                self.answered(message, kind)
            # Retry and Busy: `tend` sends it again.


def main():
    both = Both(sys.argv[1:] or ["tcp://127.0.0.1:7420"])
    both.register()
    poller = zmq.Poller()
    for socket in both.sockets:
        poller.register(socket, zmq.POLLIN)
    lines, more = b"", True
    while more or both.waiting or both.holds:
        if more and len(both.waiting) < LINES_AHEAD:
            poller.register(sys.stdin.fileno(), zmq.POLLIN)
        elif sys.stdin.fileno() in poller:
            poller.unregister(sys.stdin.fileno())
        for ready, _ in poller.poll(50):
            if ready == sys.stdin.fileno():
                given = os.read(ready, 65536)
                more = bool(given)
                *whole, lines = (lines + given).split(b"\n") if more else [lines, b""]
                for line in filter(None, whole):
                    both.ask(submit=wire.Submit(
                        key=os.urandom(16), queue=QUEUE, media_type="chat", type="Inbound",
                        attributes=json.dumps({"text": line.decode(errors="replace")}).encode()))
                if not more:
                    poller.unregister(ready)
            else:
                both.hear(both.sockets.index(ready))
        both.tend()
    both.send(wire.Request(id=both.number + 1, leave=wire.Leave()))


main()
