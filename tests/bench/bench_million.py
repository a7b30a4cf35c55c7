"""Throughput of a pair in which a million interactions wait, against an empty one."""

from recovery import checkpointed
from turns import rates_in_turn
from world import World

GOAL = 0.9


def start(world, most):
    world.start_database(max_wal_size="4GB", shared_buffers="512MB")
    return world.start_pair(limits={"max_interactions": most + 1_000_000},
                            checkpoint={"max_lag_size": "16GiB"})


def run(options):
    count = options.interactions
    with World(options, "million-empty") as empty, World(options, "million") as full:
        subjects = {"empty": (empty, start(empty, count)), "full": (full, start(full, count))}
        full.bench(subjects["full"][1], "--submit-only", "--queue", "parked", "--count", count,
                   "--submitters", 4, "--window", 1000, seconds=60 + count / 2000)
        checkpointed(full, 60 + count / 5000)
        rates = rates_in_turn(subjects)
    return [{"bench": f"lifecycles with {count} waiting, to none", "unit": "/s",
             "ours": rates["full"], "peer": rates["empty"], "goal": GOAL, "goal_is_ratio": True,
             "goal_is_least": True}]
