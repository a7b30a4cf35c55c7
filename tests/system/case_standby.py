"""PostgreSQL fails over under load: to a synchronous standby, then to one that has lost commits.

One access point names all servers (target_session_attrs=read-write); each time the primary server
is killed with all its processes and the standby is promoted. After the synchronous one the pair
goes on by itself and nothing is lost. The asynchronous one ends before what was acknowledged:
nobody serves from it, until an operator gives up exactly what is missing.
"""

import re

import clusters
from checks import check_record
from pair import Prober
from recovery import checkpointed
from takeover import DEDUPE, Load
from waiting import expect, now
from world import World

GAP_SECONDS = 15.0  # on a busy machine, with the promotion itself
ACKS = 20
MISSING = re.compile(r"it lost (\d+) entries")


def main(servers):
    """Whichever of them takes writes."""
    return [{"name": "main", "conninfo":
             f"host={','.join(server.host for server in servers)} "
             f"port={','.join(str(server.port) for server in servers)} "
             "user=ixn dbname=ixn target_session_attrs=read-write"}]


def synchronous(pair, servers):
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
    expect(gap <= GAP_SECONDS, f"no answer for {gap:.1f} s")
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


def refused(pair, new, prober):
    """Each node that runs names the number; nobody writes there, nobody answers."""
    before = clusters.contents(new)

    def names_loss(node):
        return not node.process.alive() or MISSING.search(node.process.log())

    for node in pair.nodes:
        pair.wait(f"{node.name} naming what is lost", lambda: names_loss(node), 30)
    heard = len(prober.acks())
    for node in pair.nodes:
        node.process.popen.terminate()
        node.process.wait(30)
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
    world, new = pair.world, servers[2]
    prober = lose_commits(pair, *servers[1:])
    refused(pair, new, prober)
    prober.process.kill()
    lost = give_up(pair)
    for node in pair.nodes:
        node.start(wait=False)
    pair.wait_ready()
    after = Prober(pair)
    after.wait_acks(ACKS)
    after.stop()
    checkpointed(world, 30)
    check_record(world, after.path, completed=False, alone=False)
    return {"given_up": lost}


def run(options):
    with World(options, "standby") as world:
        world.start_database(pgbouncer=False)
        servers = [world.postgres, clusters.plan(world, "second"), clusters.plan(world, "third")]
        clusters.standby(*servers[:2], synchronous=True)
        pair = world.start_pair(daps=lambda _: main(servers), dedupe=DEDUPE)
        figures = synchronous(pair, servers)
        return {**figures, **asynchronous(pair, servers)}
