"""Throughput of a pair against a single node: what following costs.

Each has its own database; rounds alternate, so that whatever else the machine does meets both. The
medians are compared. Before each round what the last one left to do (tables to write, vacuum) is
waited for: it must not be charged to the other.
"""

import statistics

from recovery import checkpointed
from waiting import wait_for
from world import World

ROUNDS = 5
SECONDS = 6
LOAD = ("--submitters", 4, "--window", 200, "--routers", 2, "--seconds", SECONDS, "--warmup", 1)
GOAL = 0.85


def settled(world):
    checkpointed(world, 60)
    wait_for("the end of the vacuum", lambda: world.postgres.value(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'") == 0,
        120, every=0.2)


def run(options):
    rates = {"single": [], "pair": []}
    with World(options, "pair-single") as alone, World(options, "pair") as both:
        subjects = {"single": (alone, alone.start_node()), "pair": (both, both.start_pair())}
        for _ in range(ROUNDS):
            for name, (world, subject) in subjects.items():
                for other, _ in subjects.values():
                    settled(other)
                figures = world.bench(subject, *LOAD)
                rates[name].append(figures["complete_rate"])
            subjects["pair"][1].wait_ready()  # without its backup it would be a single node
    single, pair = (statistics.median(rates[name]) for name in ("single", "pair"))
    return [{"bench": "pair", "unit": "/s", "ours": pair, "peer": single, "single": single,
             "goal": GOAL, "goal_is_ratio": True, "goal_is_least": True}]
