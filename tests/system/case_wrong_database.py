"""Whatever an access point is changed to, the pair serves from its own database or not at all.

A matrix: what it was changed to, on which node, and when (by reload, before a switchover, before a
crash, across a cold restart of both). Nothing may be written to a wrong database, nothing that was
acknowledged may be lost, and service goes on wherever a node still reaches the original. The
default run has every row and every column, --full has all.
"""

import json
import re
import signal

from checks import check_record
from clusters import contents, differences, identity
from elsewhere import CHOSEN, PLACES, Stage
from pair import Prober
from recovery import checkpointed
from waiting import PATIENT, Failure, expect, now
from world import World

SAID_SECONDS, GOES_ON_SECONDS = 10.0, 20.0
ACKS = 5
ROUTE_SECONDS = 2.0  # a change of routes interrupts nobody for longer
COMMAND = "ixnctl database adopt"
# What is equal in its identity has another head, epoch or batch.
TWO_PLACES = [r"its head is index \d+, but index \d+", r"its epoch is .*, the pair's is",
              r"at index \d+, the pair's has"]
FORMAT = "{:<15} {:<8} {:<11} {:<10} {:>6} {:>7}  {}"


class Case:
    """One row on one pairing."""

    def __init__(self, stage, prober, place, where, when):
        self.stage, self.pair, self.prober = stage, stage.pair, prober
        self.place, self.where, self.when = place, where, when
        self.primary = self.pair.wait_ready()
        self.backup = self.pair.other(self.primary)
        self.affected = {"primary": [self.primary], "backup": [self.backup],
                         "both": [self.primary, self.backup]}[where]
        self.logged = {}
        self.said = {}

    def seconds(self, good):
        """A default run does not judge a busy machine."""
        return good if self.stage.world.options.full else max(PATIENT, good)

    # -- the change

    def change(self):
        for node in self.affected:
            self.logged[node.name] = len(node.process.log())
            if self.place.pooler:
                self.stage.poolers[node.name].repoint(self.place.target)
            else:
                configure(node, self.place.reach(node))

    def apply(self):
        """The running nodes learn of it."""
        for node in self.affected:
            if not self.place.pooler:
                node.process.popen.send_signal(signal.SIGHUP)

    def act(self):
        if self.when == "cold":
            for node in self.pair.nodes:
                node.kill()
            self.change()
            self.logged = {}
            for node in self.pair.nodes:
                node.start(wait=False)
            return
        self.change()
        self.apply()
        if self.place.wrong:
            self.hear()
        if self.when == "switchover":
            self.stage.world.ctl(*self.pair.node_arguments, "switchover", "--wait=10",
                                 "--reason", "the matrix", check=False)
        if self.when == "crash":
            self.primary.kill()

    # -- what they said

    def lines(self, node):
        status = self.pair.status(node)
        troubles = [dap.trouble for dap in status.own.daps if dap.trouble] if status else []
        log = node.process.log()[self.logged.get(node.name, 0):]
        return troubles + [line for line in log.splitlines() if "DAP main" in line]

    def hear(self):
        """Each node whose access point is wrong has to name both databases and the command."""
        for node in self.affected:
            if node.process.alive():
                self.said[node.name] = self.pair.wait(
                    f"{node.name} naming both databases and `{COMMAND}`",
                    lambda: next((line for line in self.lines(node) if self.names_both(line)),
                                 None), self.seconds(SAID_SECONDS))

    def names_both(self, line):
        original, wrong = self.stage.original, self.place.target
        if not contents(wrong):
            return "holds no ixn schema" in line and "init" in line
        pairs = [(a, b) for a, b in zip(identity(original), identity(wrong)) if a != b]
        pairs += [(f":{original.port}", f":{wrong.port}")]  # as in "at 127.0.0.1:5432"
        return COMMAND in line and (any(a in line and b in line for a, b in pairs)
                                    or any(re.search(two, line) for two in TWO_PLACES))

    # -- what has to be

    def can_serve(self):
        """Somebody who runs still reaches the original: a node whose file names something wrong
        goes on with the route that it had; through a pooler that leads elsewhere there is none."""
        alive = [node for node in self.pair.nodes if node.process.alive()]
        return any(node not in self.affected or not self.place.pooler for node in alive)

    def go_on(self):
        self.prober.wait_acks(ACKS, self.seconds(GOES_ON_SECONDS))

    def stand_still(self):
        """Nobody reaches it: nobody may answer."""
        def silent():
            count = len(self.prober.acks())
            end = now() + 1.0
            while now() < end:
                if len(self.prober.acks()) > count:
                    return False
            return True

        self.pair.wait("nobody serving where nobody reaches the original", silent, PATIENT)

    def restore(self):
        for node in self.pair.nodes:
            self.stage.poolers[node.name].repoint(self.stage.original)
            changed = node in self.affected and not self.place.pooler
            if changed:
                configure(node, self.stage.own(node))
            if not node.process.alive():
                node.start(wait=False)
            elif changed:
                node.process.popen.send_signal(signal.SIGHUP)
        self.pair.wait_ready()
        self.go_on()

    def judge(self, began):
        if self.can_serve():
            self.go_on()
        else:
            self.stand_still()
        if self.place.wrong and self.when == "cold":
            self.hear()
        if not self.place.wrong and self.when == "reload":
            gap = self.prober.longest_gap(began)
            expect(gap <= (ROUTE_SECONDS if self.stage.world.options.full else 10),
                   f"an interruption of {gap:.1f} s by what is not wrong")

    def follow(self):
        for node in self.pair.nodes:
            if not node.process.alive():
                node.start(wait=False)
        self.pair.wait_ready()
        self.place.follow()
        self.go_on()
        self.pair.wait_ready()

    def run(self):
        """The row's figures; a Failure when something is not as it has to be."""
        place = self.place
        before = contents(place.target) if place.wrong else {}
        self.prober.wait_acks(1)
        began = now()
        try:
            self.act()
            self.judge(began)
            if place.follows:
                self.follow()
            written = differences(before, contents(place.target)) if place.wrong else []
            expect(not written, f"it was written to: {written}")
        finally:
            self.restore()
        written = differences(before, contents(place.target)) if place.wrong else []
        expect(not written, f"it was written to: {written}")
        place.end()
        return {"gap_s": round(self.prober.longest_gap(began), 1), "written": 0,
                "said": " ".join(next(iter(self.said.values()), "").split())}


def configure(node, conninfo):
    node.config["database"]["daps"] = Stage.main(conninfo)
    node.write_config()


def pairings(places, options):
    """Cases to run, as (place, where, when)."""
    if not options.full:
        return [(places[name], where, when) for name, where, when in CHOSEN]
    return [(place, where, when) for place in places.values() for where in place.where
            for when in place.when]


def run_one(stage, prober, place, where, when):
    place.begin()
    row = {"case": "wrong-database", "what": place.name, "where": where, "when": when}
    try:
        row.update(verdict="ok", **Case(stage, prober, place, where, when).run())
    except Failure as failure:
        row.update(verdict="FAILED", gap_s="?", written="?", said=str(failure).splitlines()[0])
    print(FORMAT.format(row["what"], where, when, row["verdict"], row["gap_s"], row["written"],
                        row["said"][:200]), flush=True)
    return row


def run(options):
    with World(options, "wrong-database") as world:
        world.start_database(pgbouncer=False)
        stage = Stage(world)
        for name in ("node-a", "node-b"):
            stage.poolers[name] = world.add_pooler(f"pooler-{name}")
        stage.pair = world.start_pair(daps=lambda node: stage.main(stage.own(node)))
        prober = Prober(stage.pair)
        places = {place.name: place for place in (kind(stage) for kind in PLACES)}
        for place in places.values():
            place.prepare()
        prober.wait_acks(50)  # what was copied is from before these
        print(FORMAT.format("what", "where", "when", "verdict", "gap s", "written", "said"))
        rows = [run_one(stage, prober, *pairing) for pairing in pairings(places, options)]
        prober.stop()
        checkpointed(world)
        checked = check_record(world, prober.path, completed=False)
        for row in rows:
            print(json.dumps(row))
        failed = [f"{row['what']} {row['where']} {row['when']}: {row['said']}" for row in rows
                  if row["verdict"] != "ok"]
        expect(not failed, f"{len(failed)} of {len(rows)} rows failed: " + "\n".join(failed))
        return {"rows": len(rows), "lost": 0, **checked}
