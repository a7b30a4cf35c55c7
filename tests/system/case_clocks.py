"""A calendar an hour off, and calendars that jump by a day: no deadline and no take-over is moved.

Under libfaketime, which changes what CLOCK_REALTIME shows to one process, at any moment. A deadline
that misfired would take work from a router that answers it, and the answer would be refused.
"""

import glob

from pair import Pair, Sides
from takeover import DEDUPE, Load
from waiting import Skipped, expect
from world import World

TAKEN_MS = 4000.0
HOLD_SECONDS = 2.0
LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"


class Calendar:
    """What a node's process sees as the time of day."""

    def __init__(self, world, node, library):
        self.path = world.path(f"{node.name}.calendar")
        self.set(0)
        node.prefix = ["env", f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={self.path}",
                       "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]

    def set(self, seconds):
        with open(self.path, "w", encoding="ascii") as file:
            file.write(f"{seconds:+d}s\n")


def ahead(pair):
    """By how many seconds the primary's calendar is ahead of the database's own."""
    return pair.world.postgres.value(
        "SELECT extract(epoch FROM decided_at - committed_at)::float8 FROM ixn.journal "
        "ORDER BY first_index DESC LIMIT 1")


def jumps(pair, node, calendar, seconds):
    """Nothing follows from it."""
    primary = pair.wait_ready()
    sides = Sides(pair)
    calendar.set(seconds)
    if node is primary:
        pair.wait(f"a decision {seconds} s off the database's calendar",
                  lambda: abs(ahead(pair) - seconds) < 60, 10)
    sides.hold(HOLD_SECONDS)
    pair.wait_ready()
    sides.expect_same()


def taken(pair, load):
    """The primary dies; whatever the calendars show, the other one serves as soon as ever."""
    old, epoch = pair.wait_ready(), pair.epoch()
    old.kill()
    gap = load.prober.wait_taken(epoch) * 1000
    expect(gap <= TAKEN_MS, f"clients heard nothing for {gap:.0f} ms, at most {TAKEN_MS:.0f} ms "
           "is good")
    old.start(wait=False)
    pair.wait_ready()
    return round(gap, 1)


def run(options):
    library = next(iter(glob.glob(LIBRARY)), None)
    if not library:
        raise Skipped("libfaketime is not installed")
    with World(options, "clocks") as world:
        world.start_database()
        pair = Pair(world, dedupe=DEDUPE, routing={"timeout": "5s"})
        calendars = {node.name: Calendar(world, node, library) for node in pair.nodes}
        pair.start()
        load = Load(pair, rate=500)
        a = pair.wait_ready()
        b = pair.other(a)
        for node, seconds in ((b, 3600), (a, 86400), (a, -86400), (b, -86400), (a, 0)):
            jumps(pair, node, calendars[node.name], seconds)
        calendars[b.name].set(3600)
        figures = {"ahead_ms": taken(pair, load)}
        calendars[b.name].set(-3600)
        figures["behind_ms"] = taken(pair, load)
        return {**figures, **load.finish()}
