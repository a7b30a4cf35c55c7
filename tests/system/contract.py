"""Contract: a client of the node in Python, straight on the published messages. It is not the
client library: one connection, no retries, so that a case sees what the node really says."""

import importlib
import os
import subprocess
import sys
import tempfile
import uuid

import zmq

from waiting import Failure, now
from world import TOP


def generate(name):
    """Python code of a .proto of core/wire, made anew so that it can never be old."""
    folder = tempfile.mkdtemp(prefix="ixn-contract-")
    proto = os.path.join(TOP, "core", "wire")
    subprocess.run(["protoc", f"--python_out={folder}", f"-I{proto}", name], check=True)
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name.replace(".proto", "_pb2"))
    finally:
        sys.path.remove(folder)
        subprocess.run(["rm", "-rf", folder], check=True)


pb = generate("client.proto")
_context = zmq.Context.instance()


class Client:
    """One DEALER socket."""

    def __init__(self, endpoint, role=pb.MEDIA_SERVER, name="probe", register=True, context=None,
                 frames=1000):
        self.socket = (context or _context).socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvhwm = frames  # taken without being read
        self.socket.connect(endpoint)
        self.role = role
        self.name = name
        self.next_id = 0
        if register:
            answer = self.register()
            if answer is None or not answer.HasField("registered"):
                raise Failure(f"{name} could not register: {answer}")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_bytes(self, data):
        self.socket.send(data)

    def send(self, version=1, **body):
        """Sends one request, such as submit=pb.Submit(…); returns its number."""
        self.next_id += 1
        message = pb.ToNode(version=version)
        message.requests.append(pb.Request(id=self.next_id, **body))
        self.socket.send(message.SerializeToString())
        return self.next_id

    def receive(self, seconds):
        """Messages of the next frame that has any, [] when none comes. A frame without is the
        node's look whether the connection is alive; it may come at any time."""
        deadline = now() + seconds
        while self.socket.poll(max(0, int((deadline - now()) * 1000))):
            frame = pb.FromNode()
            frame.ParseFromString(self.socket.recv())
            if frame.messages:
                return list(frame.messages)
        return []

    def call(self, seconds=20, version=1, **body):
        """The answer to one request, or None when the node is silent for so long."""
        number = self.send(version=version, **body)
        deadline = now() + seconds
        while now() < deadline:
            for message in self.receive(deadline - now()):
                # A frame that cannot be read is answered as a whole, with number 0. One of
                # version 1 can be: such an answer is to something that was sent before.
                if message.request_id == number or (
                        version != 1 and message.request_id == 0 and message.HasField("error")):
                    return message
        return None

    def register(self, seconds=20):
        return self.call(seconds, register=pb.Register(
            role=self.role, name=self.name, incarnation=uuid.uuid4().bytes))

    def submit(self, queue="parked", key=None, seconds=20, attributes=b"{}"):
        return self.call(seconds, submit=pb.Submit(
            key=key or uuid.uuid4().bytes, queue=queue, media_type="test", attributes=attributes))
