"""Throughput of a pair against a single node: what following costs."""

from turns import rates_in_turn
from world import World

GOAL = 0.85


def run(options):
    with World(options, "pair-single") as alone, World(options, "pair") as both:
        rates = rates_in_turn({"single": (alone, alone.start_node()),
                               "pair": (both, both.start_pair())})
    return [{"bench": "pair", "unit": "/s", "ours": rates["pair"], "peer": rates["single"],
             "single": rates["single"], "goal": GOAL, "goal_is_ratio": True,
             "goal_is_least": True}]
