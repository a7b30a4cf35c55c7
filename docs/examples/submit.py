#!/usr/bin/python3
"""Example: a client without our library, straight from the contract. It registers, submits one
interaction, asks again with the same key as if it had heard nothing, and prints both answers.

    submit.py [ENDPOINT]      default: tcp://127.0.0.1:7420

Needs python3-zmq, python3-protobuf and protobuf-compiler. A real client also sends a Ping as often
as Registered.heartbeat_ms says, and knows both endpoints of a pair (docs/protocol.md)."""

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


def ask(socket, request_id, give_up_s=30, **body):
    """Sends one request until it has an answer, each time the very same bytes."""
    request = wire.Request(id=request_id, **body)
    frame = wire.ToNode(version=1, requests=[request]).SerializeToString()
    deadline = time.monotonic() + give_up_s
    while time.monotonic() < deadline:
        socket.send(frame)
        while socket.poll(1000):
            reply = wire.FromNode.FromString(socket.recv())
            answers = [m for m in reply.messages if m.request_id == request_id]
            if not answers:
                continue
            kind = answers[0].WhichOneof("body")
            answer = getattr(answers[0], kind)
            if kind == "error":
                sys.exit(f"submit.py: {wire.Code.Name(answer.code)}: {answer.sentence}")
            if kind not in ("retry", "busy", "not_primary"):
                return answer
            time.sleep(max(getattr(answer, "after_ms", 0), 100) / 1000)
            break  # not now: again
    sys.exit(f"submit.py: no answer in {give_up_s} seconds")


socket = zmq.Context.instance().socket(zmq.DEALER)
socket.linger = 1000
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:7420")
ask(socket, 1, register=wire.Register(role=wire.MEDIA_SERVER, name="example-python",
                                      incarnation=os.urandom(16)))
submit = wire.Submit(key=os.urandom(16), queue="inbound", media_type="email", type="Inbound",
                     attributes=b'{"subject": "Where is my parcel?"}')
for number, name in ((2, "first answer"), (3, "same key again")):
    ack = ask(socket, number, submit=submit)
    print(f"{name}: interaction {uuid.UUID(bytes=ack.interaction_id)}, version {ack.version}")
leave = wire.Request(id=4, leave=wire.Leave())
socket.send(wire.ToNode(version=1, requests=[leave]).SerializeToString())
