"""Throughput of a pair against a single node: what following costs.

Each has its own database; rounds alternate, so that whatever else the machine does meets both. The
medians are compared.
"""

import statistics

from world import World

ROUNDS = 5
SECONDS = 6
LOAD = ("--submitters", 4, "--window", 200, "--routers", 2, "--seconds", SECONDS, "--warmup", 1)
GOAL = 0.85


def run(options):
    rates = {"single": [], "pair": []}
    with World(options, "pair-single") as alone, World(options, "pair") as both:
        subjects = {"single": (alone, alone.start_node()), "pair": (both, both.start_pair())}
        for _ in range(ROUNDS):
            for name, (world, subject) in subjects.items():
                figures = world.bench(subject, *LOAD)
                rates[name].append(figures["complete_rate"])
            subjects["pair"][1].wait_ready()  # without its backup it would be a single node
    single, pair = (statistics.median(rates[name]) for name in ("single", "pair"))
    return [{"bench": "pair", "unit": "/s", "ours": pair, "peer": single, "single": single,
             "goal": GOAL, "goal_is_ratio": True, "goal_is_least": True}]
