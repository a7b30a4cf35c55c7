#!/usr/bin/python3
"""Example: a client without our library, straight from the contract. It registers, submits one
interaction, asks again with the same key as if it had heard nothing, and prints both answers. With
both endpoints of a pair it uses the node that serves, also when that changes meanwhile.

    submit.py [ENDPOINT…]      default: tcp://127.0.0.1:7420

Needs python3-zmq, python3-protobuf and protobuf-compiler. A real client also sends a Ping as often
as Registered.heartbeat_ms says (docs/protocol.md)."""

import importlib
import os
import subprocess
import sys
import tempfile
import time
import uuid

import zmq

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "core", "wire")

with tempfile.TemporaryDirectory() as folder:
    subprocess.run(["protoc", f"--python_out={folder}", f"-I{PROTO}", "client.proto"], check=True)
    sys.path.insert(0, folder)
    wire = importlib.import_module("client_pb2")
    sys.path.remove(folder)


class Client:
    def __init__(self, endpoints, register):
        self.endpoints, self.sockets = endpoints, []
        for endpoint in endpoints:
            self.sockets.append(zmq.Context.instance().socket(zmq.DEALER))
            self.sockets[-1].linger = 1000
            self.sockets[-1].connect(endpoint)
        self.at = 0  # the node that is asked
        self.register, self.registered = wire.Request(id=1, register=register), False
        self.number = 1
        self.epoch = 0

    def once(self, request):
        """Sends a request and waits for its answer: its kind and itself, or None after a second."""
        socket = self.sockets[self.at]
        socket.send(wire.ToNode(version=1, requests=[request]).SerializeToString())
        while socket.poll(1000):
            frame = wire.FromNode.FromString(socket.recv())
            if 0 < frame.epoch < self.epoch:
                continue  # from a node that does not know yet that another one has taken over
            for message in frame.messages:
                kind = message.WhichOneof("body")
                # NotPrimary to nobody's request: the node stops serving just now.
                if message.request_id == request.id or (kind == "not_primary" and
                                                        message.request_id == 0):
                    self.epoch = max(self.epoch, frame.epoch)
                    return kind, getattr(message, kind)
        return None, None

    def ask(self, give_up_s=30, **body):
        """One request until it has an answer, each time the very same bytes."""
        self.number += 1
        request = wire.Request(id=self.number, **body)
        deadline = time.monotonic() + give_up_s
        while time.monotonic() < deadline:
            kind, answer = self.once(request if self.registered else self.register)
            if kind == "registered":
                self.registered = True
            elif kind in ("retry", "busy"):  # not now: again
                time.sleep(max(answer.after_ms, 10) / 1000)
            elif kind == "error" and answer.code == wire.NOT_REGISTERED:
                self.registered = False
            elif kind == "error":
                sys.exit(f"submit.py: {wire.Code.Name(answer.code)}: {answer.sentence}")
            elif kind in (None, "not_primary"):  # silence, or not here: the other node
                named = getattr(answer, "primary_endpoint", "")
                self.at = (self.endpoints.index(named) if named in self.endpoints
                           else (self.at + 1) % len(self.endpoints))
                self.registered = False
                time.sleep(0.05)
            else:
                return answer
        sys.exit(f"submit.py: no answer in {give_up_s} seconds")


client = Client(sys.argv[1:] or ["tcp://127.0.0.1:7420"],
                wire.Register(role=wire.MEDIA_SERVER, name="example-python",
                              incarnation=os.urandom(16)))
submit = wire.Submit(key=os.urandom(16), queue="inbound", media_type="email", type="Inbound",
                     attributes=b'{"subject": "Where is my parcel?"}')
for name in ("first answer", "same key again"):
    ack = client.ask(submit=submit)
    print(f"{name}: interaction {uuid.UUID(bytes=ack.interaction_id)}, version {ack.version}")
client.sockets[client.at].send(wire.ToNode(version=1, requests=[
    wire.Request(id=client.number + 1, leave=wire.Leave())]).SerializeToString())
