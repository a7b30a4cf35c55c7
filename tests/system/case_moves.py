"""The database moves on purpose, by `database adopt`: dump and restore; a backup, with a loss.

The commands are those of docs/operations.md. Before each adoption the nodes refuse the copy, after
it they serve from it with everything that was acknowledged, and refuse the database before. Refused
with the reason: while a node serves, while the database before is within reach, an empty database,
another pair's, a standby.
"""

import json
import re

import clusters
from checks import check_record
from pair import Prober
from recovery import checkpointed
from waiting import expect
from world import World

QUIET = 40  # acknowledged submits that are enough to lose
COMMAND = "ixnctl database adopt"


class Move:
    """One pair, and the server that it is on now."""

    def __init__(self, world):
        self.world = world
        self.pair = world.start_pair(database={"daps": [dap(world.postgres)]})
        self.records = []
        self.last = self.pair.a  # who served last

    def submit(self, kept=True):
        """Some work; on the record, unless it is to be lost."""
        prober = Prober(self.pair)
        prober.wait_acks(QUIET)
        prober.stop()
        if kept:
            self.records.append(prober.path)

    def stop(self):
        """Both, in order: the backup first, so that the primary does not hand over. That one knows
        best what is committed."""
        backup = self.pair.backup()
        self.last = self.pair.other(backup)
        backup.process.stop()
        self.last.process.stop()

    def reach(self, cluster):
        for node in self.pair.nodes:
            node.config["database"]["daps"] = [dap(cluster)]
            node.write_config()
        self.world.postgres = cluster

    def start(self):
        for node in self.pair.nodes:
            node.start(wait=False)

    def refused(self, needle):
        """Both nodes run and say so; nobody serves."""
        self.start()
        for node in self.pair.nodes:
            node.process.wait_log(needle)
            expect(not re.search(r" node\.serving ", node.process.log()),
                   f"{node.name} serves from a database that is not its own")
        for node in self.pair.nodes:
            node.process.stop()

    def adopt(self, *arguments, check=True):
        return self.world.ctl("--config", self.last.config_path, "database", "adopt",
                              "--reason", "a test", *arguments, check=check)

    def expect_refusal(self, needle, *arguments, code=1):
        _, error, got = self.adopt(*arguments, check=False)
        expect(got == code and needle in error,
               f"adopt ended with {got} (expected {code}) and said \"{error.strip()}\" "
               f"(expected \"{needle}\")")

    def serve(self):
        self.start()
        self.pair.wait_ready()
        self.submit()


def dap(cluster):
    return {"name": "main", "conninfo": cluster.conninfo("ixn")}


def dump_and_restore(move, target):
    """docs/operations.md, "Dump and restore"."""
    source = move.world.postgres
    move.submit()
    move.stop()
    clusters.dump_and_restore(source, target, move.world.path(f"dump-{len(move.records)}"))
    before = clusters.contents(target)
    move.reach(target)
    # A node would go on with the source: it remembers the way.
    move.expect_refusal("still answers by DAP main")
    move.expect_refusal("still answers by DAP main", "--dry-run")
    source.stop()
    move.refused(COMMAND)
    changed = clusters.differences(before, clusters.contents(target))
    expect(not changed, f"a copy that was refused was written to: {changed}")
    out, _, _ = move.adopt("--dry-run", "-o", "json")
    expect(json.loads(out)["entries_lost"] == 0, f"adopt --dry-run said {out}")
    changed = clusters.differences(before, clusters.contents(target))
    expect(not changed, f"--dry-run wrote: {changed}")
    move.adopt()
    move.serve()
    return source


def no_way_back(move, left, now):
    """What was left is no copy of what the database is now. A file that names it is refused, and
    the nodes go on with the way that they remember."""
    move.stop()
    left.start()
    before = clusters.contents(left)
    move.reach(left)
    move.expect_refusal("no copy of the pair's database")
    move.start()
    for node in move.pair.nodes:
        node.process.wait_log(COMMAND)
    move.pair.wait_ready()
    move.submit()
    changed = clusters.differences(before, clusters.contents(left))
    expect(not changed, f"the database that was left was written to: {changed}")
    move.stop()
    left.stop()
    move.reach(now)
    move.serve()


def from_backup(move):
    """docs/operations.md, "From a backup, with a loss"."""
    original = move.world.postgres
    backup = clusters.base_backup(move.world, original, "backup")
    move.submit(kept=False)
    move.stop()
    head = original.value("SELECT max(last_index) FROM ixn.journal")
    original.stop()
    move.reach(backup)
    before = clusters.contents(backup)
    move.refused(COMMAND)
    _, error, _ = move.adopt(check=False)
    named = re.search(r"give them up with --accept-loss (\d+)", error)
    expect(named, f"adopt of an old backup said \"{error.strip()}\"")
    lost = int(named.group(1))
    missing = head - backup.value("SELECT max(last_index) FROM ixn.journal")
    expect(lost == missing, f"adopt counts {lost} lost entries, {missing} are missing")
    move.expect_refusal(f"{lost} entries would be lost", "--accept-loss", lost + 1)
    changed = clusters.differences(before, clusters.contents(backup))
    expect(not changed, f"a backup that was refused was written to: {changed}")
    move.adopt("--accept-loss", lost)
    move.serve()
    return lost


def refusals(move, elsewhere):
    """What cannot be adopted, each with its reason; nothing is written there."""
    original = move.world.postgres
    move.expect_refusal("is primary-paired on")
    move.stop()
    move.reach(clusters.create(elsewhere, "empty"))
    move.expect_refusal("holds no ixn schema")
    move.reach(elsewhere)
    move.pair.a.init_database()
    before = clusters.contents(elsewhere)
    move.expect_refusal("no copy of the pair's database")
    expect(not clusters.differences(before, clusters.contents(elsewhere)), "it was written to")
    standby = clusters.standby(original, clusters.plan(move.world, "standby"))
    move.reach(standby)
    move.expect_refusal("reaches a standby")
    standby.stop("immediate")
    move.reach(original)


def run(options):
    with World(options, "moves") as world:
        world.start_database(pgbouncer=False)
        move = Move(world)
        move.submit()
        elsewhere = clusters.add(world, "elsewhere")
        refusals(move, elsewhere)
        move.serve()
        moved = clusters.create(elsewhere, "moved")
        first = dump_and_restore(move, moved)
        no_way_back(move, first, moved)
        lost = from_backup(move)
        rows = world.postgres.query("SELECT entries_lost, reason FROM ixn.adoption ORDER BY epoch")
        expect(rows == [(0, "a test"), (lost, "a test")], f"ixn.adoption has {rows}")
        checkpointed(world)
        return {"adoptions": len(rows), "given_up": lost,
                **check_record(world, *move.records, completed=False)}
