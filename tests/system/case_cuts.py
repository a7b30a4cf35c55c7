"""Real cuts of the network between the nodes, the database and the clients.

A cut between the nodes alone changes nobody's side; a primary that is gone, or has lost the
database, is followed by the backup; a backup without the database says that it is not ready.
"""

import time

from namespaces import Namespaces
from pair import Sides
from takeover import DEDUPE, Load
from waiting import PATIENT, Failure, expect
from world import World

CUT_SECONDS = 3.0  # three times failover_timeout
# A default run does not judge a busy machine. A cut that clients wait out shows all the same.
TAKEN_MS, TAKEN_WIDE_MS = 1500.0, 10000.0
STALL_MS, STALL_WIDE_MS = 1000.0, 2500.0
HANDED_SECONDS = 20.0
TRIES = 3


class Cuts:
    def __init__(self, world, network, pair, options):
        self.network = network
        self.pair = pair
        self.random = options.random
        self.full = options.full
        self.load = Load(pair, rate=2000 if options.full else 500)
        self.figures = {}
        self.again = 0
        self.world = world

    def calm(self, name, fault):
        """A fault that moves nothing. Where the node's port refuses and the machine is so busy that
        commits stand still, the backup is right to take over: a default run tries again. What is
        not the machine comes each time."""
        for left in range(0 if self.full else TRIES - 1, -1, -1):
            try:
                return self.calm_once(name, fault)
            except Failure:
                if not left:
                    raise
                self.again += 1

    def calm_once(self, name, fault):
        """Clients notice nothing of it."""
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
        expect(gap < (STALL_MS if self.full else STALL_WIDE_MS),
               f"{name}: clients heard nothing for {gap:.0f} ms")
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
        handed = (HANDED_SECONDS if self.full else PATIENT) * 1000
        self.taken("gone", lambda old: self.network.isolate(old.host), taken)
        self.taken("blind", lambda old: self.network.cut(old.host, "d"), handed)
        self.taken("blind_oneway", lambda old: self.network.cut("d", old.host, oneway=True),
                   handed)
        return {**self.figures, "again": self.again, **self.load.finish()}


def run(options):
    with World(options, "cuts") as world:
        network = Namespaces(world)
        return Cuts(world, network, world.start_pair(network, dedupe=DEDUPE), options).run()
