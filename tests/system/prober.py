"""Prober: a client of the pair that submits one interaction at a time, and notes every answer.

    prober.py LOG ENDPOINT ENDPOINT

A program of its own, so that nothing else that the harness does falls into a gap that it measures.
It is not the client library: what it hears is what the nodes say. One that does not answer within
PATIENCE_SECONDS is asked no more, the other one is, with the same key. Ends after SIGTERM, when its
last submit is answered. LOG gets one JSON object a line; times are of the monotonic clock.
"""

import json
import os
import select
import signal
import sys
import time
import uuid

import zmq

from contract import pb

PATIENCE_SECONDS = 0.1
PAUSE_SECONDS = 0.002
LAST_SECONDS = 20.0
KEPT = 1000  # answers that may still come late


class Line:
    """The connection to one node."""

    def __init__(self, context, endpoint):
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.reconnect_ivl = 10
        self.socket.reconnect_ivl_max = 50
        self.socket.immediate = 1
        self.socket.sndtimeo = 0
        self.socket.connect(endpoint)
        self.registered = False


class Prober:
    def __init__(self, log, endpoints):
        context = zmq.Context()
        self.log = open(log, "a", encoding="ascii", buffering=1)
        self.lines = [Line(context, endpoint) for endpoint in endpoints]
        self.poller = zmq.Poller()
        for line in self.lines:
            self.poller.register(line.socket, zmq.POLLIN)
        self.current = 0
        self.next_id = 0
        self.incarnation = uuid.uuid4().bytes
        self.name = f"prober-{os.getpid()}"
        self.asked = {}  # request: key
        self.told = {}  # key: id
        self.registering = set()
        self.heard = 0  # the highest epoch
        self.stopping = None

    def note(self, **fields):
        self.log.write(json.dumps(fields) + "\n")

    def stop(self, *_):
        self.stopping = self.stopping or time.monotonic()

    def number(self):
        self.next_id += 1
        return self.next_id

    def send(self, key):
        """One attempt at the current node; False when there is no connection."""
        line = self.lines[self.current]
        frame = pb.ToNode(version=1)
        if not line.registered:
            number = self.number()
            self.registering.add(number)
            frame.requests.append(pb.Request(id=number, register=pb.Register(
                role=pb.MEDIA_SERVER, name=self.name, incarnation=self.incarnation)))
        number = self.number()
        self.asked[number] = key
        self.asked.pop(number - 2 * KEPT, None)
        frame.requests.append(pb.Request(id=number, submit=pb.Submit(
            key=key, queue="inbound", media_type="bench", attributes=b"{}")))
        try:
            line.socket.send(frame.SerializeToString())
        except zmq.Again:
            return False
        return True

    def turn(self):
        self.current = (self.current + 1) % len(self.lines)

    def take(self, index, data, key):
        """What one frame says of `key`: "ack", "again" (here and now), "other", or None."""
        frame = pb.FromNode.FromString(data)
        line, verdict = self.lines[index], None
        if frame.epoch and frame.epoch < self.heard:
            self.note(event="older", epoch=frame.epoch, heard=self.heard)
            return None
        if frame.epoch > self.heard:
            self.heard = frame.epoch
            if index != self.current:
                self.current, verdict = index, "again"
        for message in frame.messages:
            kind, number = message.WhichOneof("body"), message.request_id
            if number in self.registering:
                self.registering.discard(number)
                line.registered = kind == "registered" or (
                    kind == "error" and message.error.code == pb.ALREADY_REGISTERED)
            elif kind == "not_primary" and number == 0:
                line.registered = False
                if index == self.current:
                    verdict = verdict or "other"
            elif number in self.asked:
                about = self.asked.pop(number)
                if kind == "ack":
                    self.acknowledged(about, message.ack, frame)
                    verdict = "ack" if about == key else verdict
                elif kind == "error" and message.error.code == pb.NOT_REGISTERED:
                    line.registered = False
                    verdict = verdict or ("again" if index == self.current else None)
                elif kind == "error":
                    self.note(event="error", sentence=message.error.sentence)
                    verdict = verdict or "other"
                elif index == self.current and kind == "busy":
                    verdict = verdict or "pause"
                elif index == self.current:
                    verdict = verdict or "other"
        return verdict

    def acknowledged(self, key, ack, frame):
        """The first answer counts; one that comes late must say the same."""
        told = self.told.get(key)
        if told is None:
            self.told[key] = ack.interaction_id
            if len(self.told) > KEPT:
                del self.told[next(iter(self.told))]
            self.note(event="acknowledged", key=key.hex(), at=time.monotonic(),
                      id=str(uuid.UUID(bytes=ack.interaction_id)),
                      epoch=frame.epoch, index=frame.index)
        elif told != ack.interaction_id:
            self.note(event="error", sentence=f"{key.hex()} is {told.hex()} and then "
                      f"{ack.interaction_id.hex()}")

    def listen(self, key, until):
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return "other"
            for socket, _ in self.poller.poll(left * 1000 + 1):
                index = [line.socket for line in self.lines].index(socket)
                while socket.poll(0):
                    verdict = self.take(index, socket.recv(), key)
                    if verdict:
                        return verdict

    def submit(self):
        """Until it is acknowledged; False when that took too long after SIGTERM."""
        key, began = uuid.uuid4().bytes, time.monotonic()
        while True:
            sent = self.send(key)
            verdict = self.listen(key, time.monotonic() + PATIENCE_SECONDS) if sent else "other"
            if verdict == "ack":
                return True
            if verdict == "other":
                self.turn()
            if self.stopping and time.monotonic() > self.stopping + LAST_SECONDS:
                self.note(event="unknown", key=key.hex(), began=began)
                return False
            if verdict != "again":
                select.select([], [], [], 0.005)  # not more than 200 questions a second

    def run(self):
        signal.signal(signal.SIGTERM, self.stop)
        while not self.stopping:
            if not self.submit():
                return 1
            select.select([], [], [], PAUSE_SECONDS)
        return 0


if __name__ == "__main__":
    sys.exit(Prober(sys.argv[1], sys.argv[2:]).run())
