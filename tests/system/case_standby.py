"""PostgreSQL fails over under load: to a synchronous standby, then to one that has lost commits.

One access point names all servers (target_session_attrs=read-write); each time the primary server
is killed with all its processes and the standby is promoted. After the synchronous one the pair
goes on by itself and nothing is lost. The asynchronous ones end before what was acknowledged:
nobody serves from them, until an operator has a node write back what it still holds (heal), or, as
the nodes were started again, gives up exactly what is missing (adopt).
"""

import json
import re

import clusters
from admin_port import add_admin, expect_status
from checks import check_record
from pair import Pair, Prober
from recovery import checkpointed
from takeover import DEDUPE, Load
from waiting import PATIENT, expect, now
from world import World

GAP_SECONDS, GAP_WIDE_SECONDS = 15.0, 60.0  # with the promotion itself; on a busy machine
ACKS = 20
NAMES = ("second", "third", "fourth", "fifth")
MISSING = re.compile(r"it lost (\d+) entries")


def main(servers):
    """Whichever of them takes writes."""
    return [{"name": "main", "conninfo":
             f"host={','.join(server.host for server in servers)} "
             f"port={','.join(str(server.port) for server in servers)} "
             "user=ixn dbname=ixn target_session_attrs=read-write"}]


def synchronous(pair, servers, full):
    """The longest time without an answer, and how long the promotion took of that."""
    old, new = servers[:2]
    load = Load(pair, rate=100)
    began = now()
    old.kill()
    clusters.promote(new)
    promoted = now() - began
    new.reload_with("synchronous_standby_names", None)
    pair.world.postgres = new
    load.prober.wait_acks(ACKS)
    gap = load.prober.longest_gap(began)
    expect(gap <= (GAP_SECONDS if full else GAP_WIDE_SECONDS), f"no answer for {gap:.1f} s")
    pair.wait_ready()
    return {"gap_s": round(gap, 2), "promotion_s": round(promoted, 2), **load.finish()}


def lose_commits(pair, old, new):
    """Promotes a standby that has not heard of the last answers."""
    clusters.standby(old, new)
    new.stop()
    prober = Prober(pair)
    prober.wait_acks(ACKS)
    old.kill()
    new.start()
    clusters.promote(new)
    pair.world.postgres = new
    return prober


def each_names_loss(pair):
    """Each node that runs names the number."""

    def names_loss(node):
        return not node.process.alive() or MISSING.search(node.process.log())

    for node in pair.nodes:
        pair.wait(f"{node.name} naming what is lost", lambda: names_loss(node), PATIENT)


def heal(pair, *arguments):
    return pair.ctl("database", "heal", "--reason", "a test", *arguments, check=False)


def lost_of(pair):
    """What both nodes say is lost and can be written back; None: not yet, or they differ."""
    output, _, _ = pair.ctl("pair", "status", "-o", "json", check=False)
    nodes = json.loads(output or "{}").get("nodes", [])
    lost = [node.get("lost") for node in nodes if node["answered"]]
    agree = len(lost) == 2 and all(lost) and lost[0]["entries"] == lost[1]["entries"]
    return lost[0] if agree and not all(each["objection"] for each in lost) else None


class ByCommand:
    """`ixnctl database heal`."""

    @staticmethod
    def refused(pair, entries, wrong):
        _, error, code = heal(pair, "--lost", wrong)
        expect(code == 1 and f"{entries} entries are lost" in error and
               f"--lost says {wrong}" in error, f"heal --lost {wrong}: {code}: {error.strip()}")

    @staticmethod
    def tried(pair, lost):
        entries = lost["entries"]
        output, error, code = heal(pair, "--dry-run")
        expect(code == 0 and f"--lost {entries} " in output, f"--dry-run: {code}: {output}{error}")

    @staticmethod
    def done(pair, lost):
        output, error, code = heal(pair, "--lost", lost["entries"])
        expect(code == 0, f"heal ended with {code}: {output}{error}")

    @staticmethod
    def again(pair, lost):
        _, error, code = heal(pair, "--lost", lost["entries"])
        expect(code == 1 and "nothing to write back" in error, f"healed twice: {code}: {error}")


class ByPort:
    """`POST /v1/database/heal` of either node's admin port."""

    @staticmethod
    def refused(pair, entries, wrong):
        for node in pair.nodes:
            answer = node.admin.post("/v1/database/heal", {"reason": "a test", "lost": wrong})
            expect_status(answer, 409, "WRONG_STATE")
            expect(f"{entries} entries are lost" in answer.text, f"{wrong}: {answer.text}")

    @staticmethod
    def tried(pair, lost):
        def sights(node):
            seen = [each["sees"] for each in node.admin.good("/v1/pair")["nodes"]]
            return [sight["lost"] for sight in seen if sight and sight["lost"]]

        for node in pair.nodes:
            pair.wait(f"{node.name}'s port to have heard both", lambda at=node: len(
                sights(at)) == 2, PATIENT)
            expect(all(sight["entries"] == lost["entries"] for sight in sights(node)) and
                   not all(sight["objection"] for sight in sights(node)),
                   f"/v1/pair says {sights(node)}")
            said = node.admin.done("/v1/database/heal", {"reason": "a test", "dry_run": True})
            expect(said["dry_run"] and said["node"] in [node.name for node in pair.nodes] and
                   all(said[name] == lost[name] for name in ("entries", "first", "last")),
                   f"a dry run said {said}, the nodes {lost}")

    @staticmethod
    def done(pair, lost):
        said = pair.b.admin.done("/v1/database/heal",
                                 {"reason": "a test", "lost": lost["entries"]})
        expect(not said["dry_run"] and
               all(said[name] == lost[name] for name in ("entries", "first", "last")),
               f"the port said {said}, the nodes {lost}")
        rows = pair.a.admin.good("/v1/audit")["audit"]
        expect([(row["action"], row["target"], row["reason"], row["who"], row["node"])
                for row in rows] == [("heal", "pair", "a test", "local", pair.b.name)],
               f"the audit has {rows}")
        pair.wait("the audit's outcome", lambda: pair.a.admin.good("/v1/audit")["audit"][0][
            "outcome"] == "done", PATIENT)

    @staticmethod
    def again(pair, lost):
        answer = pair.a.admin.post("/v1/database/heal",
                                   {"reason": "a test", "lost": lost["entries"]})
        expect_status(answer, 409, "WRONG_STATE")


def healed(pair, servers, by):
    """Nothing that was acknowledged is missing afterwards; what was refused on the way."""
    world, new = pair.world, servers[1]
    prober = lose_commits(pair, *servers)
    before = clusters.contents(new)
    lost = pair.wait("both nodes naming what can be written back", lambda: lost_of(pair), PATIENT)
    entries = lost["entries"]
    for wrong in (entries + 1, entries - 1 or entries + 2):
        by.refused(pair, entries, wrong)
    by.tried(pair, lost)
    changed = clusters.differences(before, clusters.contents(new))
    expect(not changed, f"it was written to before it was healed: {changed}")
    by.done(pair, lost)
    prober.wait_acks(ACKS)
    pair.wait_ready()
    prober.stop()
    recorded = new.value("SELECT entries || ' ' || first_lost || ' ' || healed_index FROM"
                         " (SELECT *, head_index + 1 AS first_lost FROM ixn.heal"
                         " ORDER BY epoch DESC LIMIT 1) AS heal")
    expect(recorded == f"{entries} {lost['first']} {lost['last']}",
           f"ixn.heal has {recorded}, expected {lost}")
    by.again(pair, lost)
    checkpointed(world)
    check_record(world, prober.path, completed=False, alone=False)
    return {"healed": entries}


def refused(pair, new, prober):
    """Nobody writes there, nobody answers."""
    before = clusters.contents(new)
    each_names_loss(pair)
    heard = len(prober.acks())
    for node in pair.nodes:
        node.process.popen.terminate()
        node.process.wait()
    expect(len(prober.acks()) == heard, "something was answered after commits were lost")
    changed = clusters.differences(before, clusters.contents(new))
    expect(not changed, f"it was written to: {changed}")


def give_up(pair):
    """On the host that knows most; the number."""
    def adopt(node, *arguments):
        return pair.world.ctl("--config", node.config_path, "database", "adopt", "--reason",
                              "a test", *arguments, check=False)

    lost = {}
    for node in pair.nodes:
        _, error, code = adopt(node, "--dry-run")
        named = re.search(r"--accept-loss (\d+)", error)
        expect(code == 1 and named, f"adopt --dry-run ended with {code}: {error.strip()}")
        lost[node] = int(named.group(1))
    node = max(pair.nodes, key=lost.get)
    _, error, code = adopt(node, "--accept-loss", lost[node])
    expect(code == 0, f"adopt ended with {code}: {error.strip()}")
    return lost[node]


def asynchronous(pair, servers):
    world, new = pair.world, servers[1]
    prober = lose_commits(pair, *servers)
    refused(pair, new, prober)
    prober.process.kill()
    lost = give_up(pair)
    for node in pair.nodes:
        node.start(wait=False)
    pair.wait_ready()
    after = Prober(pair)
    after.wait_acks(ACKS)
    after.stop()
    checkpointed(world)
    check_record(world, after.path, completed=False, alone=False)
    return {"given_up": lost}


def run(options):
    with World(options, "standby") as world:
        world.start_database(pgbouncer=False)
        servers = [world.postgres, *(clusters.plan(world, name) for name in NAMES)]
        clusters.standby(*servers[:2], synchronous=True)
        pair = Pair(world, daps=lambda _: main(servers), dedupe=DEDUPE)
        for node in pair.nodes:
            add_admin(node)
        pair.start()
        figures = synchronous(pair, servers, options.full)
        figures.update(healed(pair, servers[1:3], ByCommand))
        figures["healed_by_port"] = healed(pair, servers[2:4], ByPort)["healed"]
        return {**figures, **asynchronous(pair, servers[3:])}
