"""Real cuts of the network between the nodes, the database and the clients.

A cut between the nodes alone changes nobody's side; a primary that is gone, or has lost the
database, is followed by the backup; a backup without the database says that it is not ready.
"""

import time

from namespaces import Namespaces
from pair import Sides
from takeover import DEDUPE, Load
from waiting import PATIENT, expect
from world import World

# A connection that closes and a head that stands still are the fault: beside others, on two cores,
# commits can stand still by themselves.
MEASURES = True
CUT_SECONDS = 3.0  # three times failover_timeout
TAKEN_MS, TAKEN_WIDE_MS = 1500.0, 4000.0
STALL_MS = 1000.0
HANDED_SECONDS = 20.0


class Cuts:
    def __init__(self, world, network, pair, options):
        self.network = network
        self.pair = pair
        self.random = options.random
        self.full = options.full
        self.load = Load(pair, rate=2000)
        self.figures = {}
        self.world = world

    def calm(self, name, fault):
        """A fault that moves nothing; clients notice nothing of it."""
        self.pair.wait_ready()
        sides = Sides(self.pair)
        began = time.monotonic()
        try:
            fault(sides)
        finally:
            self.network.heal()
        self.pair.wait_ready()
        sides.expect_same()
        gap = self.load.prober.longest_gap(began) * 1000
        expect(gap < STALL_MS, f"{name}: clients heard nothing for {gap:.0f} ms, at most "
               f"{STALL_MS:.0f} ms is good")
        self.figures[f"{name}_gap_ms"] = round(gap, 1)

    def taken(self, name, cut, at_most_ms):
        """A fault after which the backup serves, and the old primary is its ready backup."""
        old, epoch = self.pair.wait_ready(), self.pair.epoch()
        try:
            cut(old)
            gap = self.load.prober.wait_taken(epoch) * 1000
        finally:
            self.network.heal()
        expect(self.pair.wait_ready() is self.pair.other(old), f"{name}: {old.name} serves again")
        expect(gap <= at_most_ms, f"{name}: clients heard nothing for {gap:.0f} ms, at most "
               f"{at_most_ms:.0f} ms is good")
        self.figures[f"{name}_ms"] = round(gap, 1)

    # -- the faults

    def between(self, mode):
        def fault(sides):
            self.network.cut("a", "b", mode=mode)
            sides.hold(CUT_SECONDS)
        return fault

    def oneway(self, source, target):
        def fault(sides):
            self.network.cut(source, target, oneway=True)
            sides.hold(CUT_SECONDS)
        return fault

    def flapping(self, sides):
        end = time.monotonic() + (30 if self.full else 5)
        while time.monotonic() < end:
            self.network.cut("a", "b", mode=self.random.choice(["drop", "reset"]))
            sides.hold(self.random.uniform(0.0, 0.4))
            self.network.heal()
            sides.hold(self.random.uniform(0.0, 0.4))

    def backup_blind(self, sides):
        self.network.cut(sides.backup.host, "d")

        def blind():
            status = self.pair.status(sides.backup)
            return status and not status.own.ready and status.own.readiness
        why = self.pair.wait("the backup saying that it is not ready", blind, PATIENT)
        expect("DAP" in why or "database" in why, f"the backup is not ready because \"{why}\"")
        sides.hold(CUT_SECONDS)

    def run(self):
        self.calm("drop", self.between("drop"))
        self.calm("reset", self.between("reset"))
        self.calm("oneway_ab", self.oneway("a", "b"))
        self.calm("oneway_ba", self.oneway("b", "a"))
        self.calm("flapping", self.flapping)
        self.calm("backup_blind", self.backup_blind)
        taken = TAKEN_MS if self.full else TAKEN_WIDE_MS
        self.taken("gone", lambda old: self.network.isolate(old.host), taken)
        self.taken("blind", lambda old: self.network.cut(old.host, "d"),
                   HANDED_SECONDS * 1000)
        self.taken("blind_oneway", lambda old: self.network.cut("d", old.host, oneway=True),
                   HANDED_SECONDS * 1000)
        return {**self.figures, **self.load.finish()}


def run(options):
    with World(options, "cuts") as world:
        network = Namespaces(world)
        return Cuts(world, network, world.start_pair(network, dedupe=DEDUPE), options).run()
