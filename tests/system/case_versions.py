"""Nodes of two versions, made of builds that differ: they work, or say that they do not, and why.

ixnd-next has fields that this version does not know in whatever it says and writes: it comes in
node by node under load, and goes again. ixnd-other has another protocol between the nodes: they do
not hear each other, both say so with both numbers, and nobody takes over from a primary that lives.
A schema of another version is refused by both, with both numbers and what to do.
"""

import os

from pair import ALONE, READY, Sides
from takeover import DEDUPE, Load
from waiting import PATIENT, Failure, expect
from world import World

HOLD_SECONDS, HOLD_SECONDS_FULL = 2, 10
RATE = 300  # interactions a second: what is shown is not speed


class VersionsWorld(World):
    def __init__(self, options, case):
        super().__init__(options, case)
        self.version = "ixnd"  # of the nodes that are started from now on

    def binary(self, program):
        if program != "ixnd" or self.version == "ixnd":
            return super().binary(program)
        path = os.path.join(self.options.build, "tests", "planted", self.version)
        if not os.path.exists(path):
            raise Failure(f"{path} does not exist; build it first (deploy/test.sh does)")
        return path


def install(world, node, version):
    """The node ends in order, and begins as another version."""
    node.process.stop()
    world.version = version
    node.start(wait=False)
    world.version = "ixnd"


def expect_written(world, pair):
    """The next version's field is in the log, so this version did read what it does not know."""
    pair.wait("an entry with a field of the next version", lambda: world.postgres.value(
        "SELECT count(*) FROM ixn.journal WHERE position('\\x036e6577' IN entries) > 0"), PATIENT)


def version_comes_in(world, pair, load):
    """As docs/operations.md says it: the backup, a switchover, the other one. And back."""
    old = pair.wait_ready()
    new = pair.other(old)
    install(world, new, "ixnd-next")
    expect(pair.wait_ready() is old, f"{new.name} serves after its restart as a backup")
    pair.ctl("switchover", "--wait", "--reason", "a new version")
    expect(pair.wait_ready() is new, f"{old.name} serves after the switchover")
    load.prober.wait_acks(10)  # what the new version decides, the old one follows …
    expect_written(world, pair)
    pair.ctl("switchover", "--wait", "--reason", "and back")
    expect(pair.wait_ready() is old, f"{new.name} serves after the switchover back")
    old.kill()  # … and what the old one has decided, the new one takes over
    expect(pair.primary() is new, f"{old.name} serves though it was killed")
    install(world, old, "ixnd-next")
    expect(pair.wait_ready() is new, f"{old.name} serves after its restart as a backup")
    for node in (old, new):  # and back: what the next version has written is read by this one
        install(world, node, "ixnd")
        pair.wait_ready()


def expect_both_named(primary, backup):
    for node, theirs, own in ((backup, 1, 2), (primary, 2, 1)):
        node.process.wait_log(rf"pair\.other_version theirs={theirs} own={own} action=", PATIENT)


def protocol_differs(world, pair, load, seconds):
    """They do not hear each other; who serves goes on, until its process ends."""
    primary = pair.wait_ready()
    backup = pair.other(primary)
    install(world, backup, "ixnd-other")
    expect_both_named(primary, backup)
    pair.wait_role(primary, ALONE)
    pair.wait_role(backup, READY)  # by the database alone
    told = pair.wait("the backup saying why it is not ready", lambda: (
        (seen := pair.status(backup)) and not seen.own.ready
        and "version 1 of the nodes' protocol, this one version 2" in seen.own.readiness
        and seen.own.readiness), PATIENT)
    expect("run versions of ixnd with the same protocol on both" in told, told)
    sides = Sides(pair)
    sides.hold(seconds)  # longer than pair.failover_timeout
    expect(sides.primary is primary, f"{backup.name} serves")
    load.prober.wait_acks(10)
    for node in pair.nodes:
        node.expect_alive()
    primary.process.stop()
    expect(pair.primary() is backup, f"{primary.name} serves though it ended")
    install(world, primary, "ixnd-other")
    expect(pair.wait_ready() is backup, f"{primary.name} serves after its restart as a backup")
    backup.process.wait_log(r"pair\.same_version own=2", PATIENT)
    load.prober.wait_acks(10)


def schema_differs(world, pair):
    """Nobody serves from tables of another version; all is well again with the right ones."""
    own = world.postgres.value("SELECT max(version) FROM ixn.schema_migration")
    newer = f"the schema has version {own + 1}, this program needs {own}; run a newer program"
    for node in pair.nodes:
        node.process.stop()
    world.postgres.query(
        "INSERT INTO ixn.schema_migration (version, name) VALUES (%s, 'of the next version')"
        % (own + 1))
    epoch = pair.epoch()
    for node in pair.nodes:
        node.start(wait=False)
    for node in pair.nodes:
        node.process.wait_log(newer, PATIENT)
        node.expect_alive()
    out = world.ctl("--config", pair.a.config_path, "database", "status", check=False)
    expect(newer in str(out), f"ixnctl database status says {out}")
    expect(pair.epoch() == epoch, "a node has claimed the database of another version")
    world.postgres.query(f"DELETE FROM ixn.schema_migration WHERE version = {own + 1}")
    pair.wait_ready()


def run(options):
    with VersionsWorld(options, "versions") as world:
        pair = world.start_pair(dedupe=DEDUPE)
        load = Load(pair, rate=RATE)
        version_comes_in(world, pair, load)
        protocol_differs(world, pair, load, HOLD_SECONDS_FULL if options.full else HOLD_SECONDS)
        figures = load.finish()
        schema_differs(world, pair)
        return {"versions": 3, **figures}
