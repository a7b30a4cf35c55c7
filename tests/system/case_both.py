"""Both nodes are killed; either returns first and serves alone, in any order.

Nothing acknowledged before is lost; the second one joins as the backup.
"""

from pair import ALONE, PAIRED
from takeover import DEDUPE, Load
from waiting import expect, now
from world import World



def down(pair, kill):
    for node in pair.nodes:
        if kill:
            node.kill()
        else:
            node.process.stop()


def one_by_one(pair, load, first, kill):
    """All down, `first` alone up, then the other one; seconds until `first` served."""
    pair.wait_ready()
    epoch = pair.epoch()
    down(pair, kill)
    began = now()
    first.start(wait=False)
    pair.wait_role(first, ALONE)
    seconds = now() - began
    load.prober.wait_taken(epoch)
    pair.other(first).start(wait=False)
    expect(pair.wait_ready() is first, f"{first.name}, there first, no longer serves")
    return seconds


def together(pair, load, kill):
    epoch = pair.epoch()
    down(pair, kill)
    for node in pair.nodes:
        node.start(wait=False)
    primary = pair.wait_ready()
    load.prober.wait_taken(epoch)
    return primary


def run(options):
    rounds = options.rounds or (10 if options.full else 1)
    with World(options, "both") as world:
        pair = world.start_pair(dedupe=DEDUPE)
        load = Load(pair, rate=200)
        alone = []
        for _ in range(rounds):
            for first in pair.nodes:
                for kill in (True, False):
                    alone.append(one_by_one(pair, load, first, kill))
            primary = together(pair, load, kill=True)
            pair.wait_role(primary, PAIRED)
        result = load.finish()
        return {"rounds": rounds, "alone_s_max": round(max(alone), 2), **result}
