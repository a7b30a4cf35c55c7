"""A crowd at the admin port does no harm: idle ones, slow ones, thousands of requests a second.

Idle and slow ones keep nobody out; whatever is asked, the node's own thread does not feel it. In
turn, nothing is asked and RATE questions a second for the status are, and the CPU that the
primary's thread uses is compared within each turn: of a pair that rests, which shows what the
questions themselves cost, and of one under a steady load, which shows what an interaction costs.
(There a machine that the questions make busy joins more interactions in a turn of the node, which
is what `wakeups` is for.)
"""

import json
import math
import os
import socket
import statistics
import sys
import time

from admin_port import add_admin
from pair import Pair
from waiting import expect, now, wait_for
from world import World

MEASURES = True
HERE = os.path.dirname(os.path.abspath(__file__))
IDLE = 1000
SLOW = 40
PLACES = 64
LONGEST_SECONDS = 2.0  # an answer while others idle
INTERACTIONS = 1000  # a second
RATE = 10000  # questions a second
SETTLE = 0.3  # seconds before a look begins
# Looks of so many seconds, so many turns at rest and under load; in per cent of what interactions
# cost, the most that the questions may cost, and the most that an interaction may cost more.
SHORT, LONG = (0.5, 3, 6, 25.0, 100.0), (2.0, 15, 60, 5.0, 5.0)
LEAST_SHARE = 0.2, 0.95  # of RATE that must be answered; a busy machine, and --full


class Cpu:
    """What the node's own thread has used so far, and how often it was woken."""

    def __init__(self, node):
        pid = node.process.pid
        self.path = f"/proc/{pid}/task/{pid}/"

    def look(self):
        with open(self.path + "schedstat", encoding="ascii") as file:
            nanoseconds = int(file.read().split()[0])
        with open(self.path + "status", encoding="ascii") as file:
            turns = next(int(line.split()[1]) for line in file
                         if line.startswith("voluntary_ctxt_switches"))
        return now(), nanoseconds / 1e9, turns

    def over(self, seconds):
        """Microseconds of CPU and wake-ups a second."""
        time.sleep(SETTLE)
        before = self.look()
        time.sleep(seconds)
        after = self.look()
        return tuple((end - begin) / (after[0] - before[0]) * unit for begin, end, unit
                     in zip(before[1:], after[1:], (1e6, 1)))


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


class Asking:
    """Questions come within `with`; then `rate` is how many were answered a second."""

    def __init__(self, world, node):
        self.process = world.spawn_command(
            "asker", [sys.executable, os.path.join(HERE, "asker.py"), node.admin.port, RATE],
            keep_stdout=True)
        self.rate = None

    def __enter__(self):
        wait_for("the asker to begin", lambda: "asking" in self.process.output())
        return self

    def __exit__(self, *_):
        self.process.stop()
        said = json.loads(self.process.output()[-1])
        self.rate = said["answers"] / said["seconds"]


def interval(values):
    """Median, and between which values it is with 95 % certainty (by signs: whatever the
    distribution is)."""
    ordered, count = sorted(values), len(values)
    below, chance = 0, 0.5 ** count
    while 2 * chance <= 0.05:
        below += 1
        chance += math.comb(count, below) * 0.5 ** count
    at = max(below - 1, 0)
    return statistics.median(ordered), ordered[at], ordered[count - 1 - at]


def compare(world, node, seconds, rounds):
    """Turns of (figures without questions, figures with them, answers a second), one way round and
    then the other, so that a machine that gets slower spoils neither."""
    cpu = Cpu(node)

    def loud():
        with Asking(world, node) as asking:
            figures = cpu.over(seconds)
        return figures, asking.rate

    turns = []
    for number in range(rounds):
        if number % 2:
            (asked, rate), quiet = loud(), cpu.over(seconds)
        else:
            quiet, (asked, rate) = cpu.over(seconds), loud()
        turns.append((quiet, asked, rate))
    return turns


def of_each(turns, which, figure):
    return statistics.median(turn[which][figure] for turn in turns) / INTERACTIONS


def measure(world, pair, node, options):
    seconds, at_rest, under_load, most, most_rise = LONG if options.full else SHORT
    rest = compare(world, node, seconds, at_rest)
    # Longer than the looks take; it is ended when they are done.
    bench = world.start_bench(pair, "--queue", "inbound", "--rate", str(INTERACTIONS), "--seconds",
                              "3600", "--warmup", "0")
    wait_for("the load", lambda: node.admin.good("/v1/status")["figures"]["completed"]
             > INTERACTIONS)
    turns = compare(world, node, seconds, under_load)
    bench.stop()
    figures = world.finish_bench(bench)
    expect(figures["acknowledged"] == figures["completed"], f"not all was done: {figures}")
    rise, low, high = interval([(asked[0] / quiet[0] - 1) * 100 for quiet, asked, _ in turns])
    cost = statistics.median(asked[0] - quiet[0] for quiet, asked, _ in rest)
    share = cost / INTERACTIONS / of_each(turns, 0, 0) * 100
    rate = statistics.median(turn[2] for turn in turns)
    told = {"status_per_second": round(rate), "interactions_per_second": INTERACTIONS,
            "questions_cpu_us_per_second": round(cost), "questions_percent": round(share, 2),
            "turns": under_load, "look_seconds": seconds,
            "cpu_us": round(of_each(turns, 0, 0), 2),
            "cpu_us_asked": round(of_each(turns, 1, 0), 2),
            "wakeups": round(of_each(turns, 0, 1), 3),
            "wakeups_asked": round(of_each(turns, 1, 1), 3),
            "rise_percent": round(rise, 2), "rise_from": round(low, 2), "rise_to": round(high, 2)}
    least = LEAST_SHARE[bool(options.full)] * RATE
    expect(rate > least, f"only {rate:.0f} answers a second, {least:.0f} are wanted: {told}")
    expect(share < most and rise < most_rise, f"{RATE} questions a second cost the node's thread "
           f"too much: less than {most} % of what interactions cost is wanted, and less than "
           f"{most_rise} % more an interaction: {told}")
    return told


def run(options):
    with World(options, "admin-load") as world:
        world.start_database()
        pair = Pair(world)
        for node in pair.nodes:
            add_admin(node, max_connections=PLACES)
        pair.start()
        node = pair.primary()
        wait_for("the admin port", lambda: node.admin.get("/primary").status == 200)
        longest = check_crowd(node)
        expect(longest < LONGEST_SECONDS, f"an answer took {longest:.2f} s while others idled, at "
               f"most {LONGEST_SECONDS} s is good")
        told = measure(world, pair, node, options)
        with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
            memory = next(line for line in file if line.startswith("VmRSS")).split()[1]
        return {"longest_ms": round(longest * 1000, 1), **told,
                "rss_mb": round(int(memory) / 1024), "cores": os.cpu_count()}
