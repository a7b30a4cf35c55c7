"""A crowd at the admin port does no harm: idle ones, slow ones, thousands of requests a second.

Idle and slow ones keep nobody out; whatever is asked, the node's own thread does not feel it.
"""

import os
import socket
import statistics
import threading

from admin_port import add_admin
from waiting import expect, now, wait_for
from world import Node, World

MEASURES = True
IDLE = 1000
SLOW = 40
PLACES = 64
DEPTH = 100  # requests that are sent before an answer is read
LONGEST_SECONDS, RATE = 2.0, 2000  # while others idle; answers a second of a flood


def on_cpu(node):
    """Seconds that the node's own thread has run."""
    pid = node.process.pid
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def longest_answer(port, rounds=100):
    """Seconds, of requests that each make a connection of their own."""
    longest = 0.0
    for _ in range(rounds):
        began = now()
        answer = port.get("/primary")
        expect(answer.status == 200, f"/primary: {answer.status}")
        longest = max(longest, now() - began)
    return longest


def check_crowd(node):
    """A thousand that say nothing, and some that say a letter now and then."""
    port = node.admin
    idle = [connect(port.port) for _ in range(IDLE)]
    slow = [connect(port.port) for _ in range(SLOW)]
    for one in slow:
        one.sendall(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    longest = longest_answer(port)
    cut = []

    def feed():
        for one in list(slow):
            try:
                one.sendall(b"x")
            except OSError:
                cut.append(one)
                slow.remove(one)
        return not slow

    # Ten seconds are given to a request; a letter now and then does not lengthen them.
    wait_for("all slow connections to be cut", feed, every=0.2)
    longest = max(longest, longest_answer(port))
    for one in idle + cut:
        one.close()
    return longest


class Flood:
    """Asks for the status over a few connections as fast as answers come."""

    def __init__(self, port, connections=4):
        self.answers = 0
        self.ended = False
        self.errors = []
        self.threads = [threading.Thread(target=self._run, args=(port.port,), daemon=True)
                        for _ in range(connections)]
        for thread in self.threads:
            thread.start()

    def _run(self, port):
        asked = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n" * DEPTH
        try:
            with connect(port) as one:
                while not self.ended:
                    one.sendall(asked)
                    missing = DEPTH
                    rest = b""
                    while missing:
                        data = one.recv(1 << 20)
                        if not data:
                            raise OSError("the connection was closed")
                        rest += data
                        missing -= rest.count(b"HTTP/1.1 200 OK\r\n")
                        rest = rest[-16:] if not rest.endswith(b"HTTP/1.1 200 OK\r\n") else b""
                    self.answers += DEPTH
        except OSError as error:
            self.errors.append(str(error))

    def stop(self):
        self.ended = True
        for thread in self.threads:
            thread.join(60)
        expect(not self.errors, f"the flood heard {self.errors[:2]}")


def measure(world, node, seconds):
    """CPU seconds of the node's thread for each interaction of a steady load."""
    before = on_cpu(node)
    figures = world.bench(node, "--queue", "inbound", "--rate", "400", "--seconds", str(seconds),
                          "--warmup", "0")
    return (on_cpu(node) - before) / (400 * seconds), figures


def compare(world, node, seconds, rounds):
    """Medians without and with a flood, in turn, so that a machine that slows down spoils neither;
    and the answers a second that the flood had."""
    quiet, loud, answers, asked = [], [], 0, 0.0
    for _ in range(rounds):
        quiet.append(measure(world, node, seconds)[0])
        flood, began = Flood(node.admin), now()
        loud.append(measure(world, node, seconds)[0])
        asked += now() - began
        flood.stop()
        answers += flood.answers
    return statistics.median(quiet), statistics.median(loud), answers / asked


def run(options):
    with World(options, "admin-load") as world:
        world.start_database()
        node = Node(world)
        add_admin(node, max_connections=PLACES)
        node.init_database()
        node.start()
        wait_for("the admin port", lambda: node.admin.get("/primary").status == 200)
        longest = check_crowd(node)
        expect(longest < LONGEST_SECONDS, f"an answer took {longest:.2f} s while others idled, at "
               f"most {LONGEST_SECONDS} s is good")
        seconds, rounds = (10, 5) if options.full else (3, 2)
        measure(world, node, 2)
        quiet, loud, rate = compare(world, node, seconds, rounds)
        with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
            memory = next(line for line in file if line.startswith("VmRSS")).split()[1]
        expect(rate > RATE, f"only {rate:.0f} answers a second, {RATE} are wanted")
        # The node does nothing more for the flood; what it costs are caches and a core that others
        # have heated. On a machine with cores to spare that must be little.
        most = 1.05 if options.full and os.cpu_count() >= 8 else 2
        expect(loud < quiet * most, f"an interaction costs the node's thread {loud * 1e6:.0f} us "
               f"of CPU with the flood, {quiet * 1e6:.0f} without")
        return {"longest_ms": round(longest * 1000, 1), "requests_per_second": round(rate),
                "cpu_us_quiet": round(quiet * 1e6, 1), "cpu_us_flood": round(loud * 1e6, 1),
                "cpu_rise_percent": round((loud / quiet - 1) * 100, 1),
                "rss_mb": round(int(memory) / 1024), "cores": os.cpu_count()}
