"""Two nodes or pairs under the same load, in turn.

Each has its own database; rounds alternate, so that whatever else the machine does meets both. The
medians are compared. Before each round what the last one left to do (tables to write, vacuum) is
waited for: it must not be charged to the other. One round before them is not counted:
both are cold."""

import statistics

from recovery import checkpointed
from waiting import wait_for

ROUNDS = 5
SECONDS = 6
LOAD = ("--submitters", 4, "--window", 200, "--routers", 2, "--seconds", SECONDS, "--warmup", 1)


def settled(world):
    checkpointed(world, 60)
    wait_for("the end of the vacuum", lambda: world.postgres.value(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'") == 0,
        120, every=0.2)


def rates_in_turn(subjects):
    """`subjects`: a world, and what is loaded in it, by name. Medians of what they complete a
    second, by the same names."""
    rates = {name: [] for name in subjects}
    for _ in range(ROUNDS + 1):
        for name, (world, subject) in subjects.items():
            for other, _ in subjects.values():
                settled(other)
            rates[name].append(world.bench(subject, *LOAD)["complete_rate"])
        for _, subject in subjects.values():
            if hasattr(subject, "wait_ready"):  # a pair without its backup would be a single node
                subject.wait_ready()
    return {name: statistics.median(counted[1:]) for name, counted in rates.items()}
