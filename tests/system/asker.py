"""Asker: asks an admin port for the status, so many times a second, and counts the answers.

    asker.py PORT RATE

A program of its own, so that what it costs is not the harness's. What is due goes out every PULSE
over a few connections, whether or not the answers of before have come (up to MOST a connection;
what does not fit is not made up for). Says "asking" once the first answers are there. After SIGTERM
it prints one JSON object: answers, and the seconds from then on.
"""

import json
import select
import signal
import socket
import sys
import time

PULSE = 0.005
CONNECTIONS, MOST = 4, 200
ASKED = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
GOOD = b"HTTP/1.1 200 OK\r\n"


class Line:
    """One connection: what is asked on it, and what has been answered."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.rest = b""
        self.missing = 0

    def ask(self, count):
        count = min(count, MOST - self.missing)
        self.socket.sendall(ASKED * count)
        self.missing += count

    def hear(self):
        """How many answers have come; an end within one is looked at again."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise SystemExit("the connection was closed")
        data = self.rest + data
        count = data.count(GOOD)
        last = data.rfind(GOOD)
        keep = len(data) - (last + len(GOOD)) if last >= 0 else len(data)
        self.rest = data[len(data) - min(keep, len(GOOD) - 1):] if keep else b""
        self.missing -= count
        return count


class Load:
    def __init__(self, port, rate):
        self.lines = [Line(port) for _ in range(CONNECTIONS)]
        self.rate = rate
        self.answers = 0
        self.ended = False

    def hear(self, until):
        """What comes until then; all that is missing, when that is None."""
        while True:
            open_ones = {line.socket: line for line in self.lines if line.missing}
            left = 60 if until is None else until - time.monotonic()
            if left <= 0 or (until is None and not open_ones):
                return
            for one in select.select(list(open_ones), [], [], left)[0]:
                self.answers += open_ones[one].hear()

    def run(self):
        for line in self.lines:
            line.ask(1)
        self.hear(None)
        print("asking", flush=True)
        began, self.answers, asked = time.monotonic(), 0, 0
        while not self.ended:
            due = int((time.monotonic() - began) * self.rate)
            for number, line in enumerate(self.lines):
                line.ask((due - asked + number) // CONNECTIONS)
            asked = due
            self.hear(time.monotonic() + PULSE)
        seconds = time.monotonic() - began
        self.hear(None)
        print(json.dumps({"answers": self.answers, "seconds": round(seconds, 3)}), flush=True)


def main():
    load = Load(int(sys.argv[1]), int(sys.argv[2]))
    signal.signal(signal.SIGTERM, lambda number, frame: setattr(load, "ended", True))
    load.run()


if __name__ == "__main__":
    main()
