"""What PostgreSQL costs for a lifecycle: processor time by who spends it, and WAL.

One node with a closed loop, a fixed number of lifecycles a round. Time is what the processes had
of the processor, not the clock, and a round ends when the tables are written and vacuumed, so that
what is left to do belongs to the round that caused it. All submits of ixn-bench have the same
attributes, which LZ4 makes more of than of a real log.
"""

import statistics

from meter import Meter
from waiting import wait_for
from world import World

ROUNDS = 5
LIFECYCLES = 150000
LOAD = ("--submitters", 4, "--window", 200, "--routers", 2, "--count", LIFECYCLES)

_SETTLED = """
SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker')
   AND (SELECT index FROM ixn.checkpoint) = (SELECT max(last_index) FROM ixn.journal)
"""
def one_round(world, node, meter):
    world.bench(node, *LOAD)
    wait_for("the tables written and vacuumed", lambda: meter.ask(_SETTLED)[0][0], 120, every=0.1)
    meter.ask("SELECT pg_stat_force_next_flush()")
    kinds, wal = meter.since()
    figures = {kind: spent / LIFECYCLES for kind, spent in kinds.items()}
    figures["all"] = sum(figures.values())
    for name, value in zip(("WAL records", "WAL page images", "WAL bytes"), wal):
        figures[name] = value / LIFECYCLES
    return figures


def run(options):
    with World(options, "database") as world:
        node = world.start_node()
        meter = Meter(world)
        one_round(world, node, meter)  # pages of the tables, plans, caches
        rounds = [one_round(world, node, meter) for _ in range(ROUNDS)]
    rows = []
    for name in sorted(set().union(*rounds)):
        values = [figures.get(name, 0) for figures in rounds]
        rows.append({"bench": f"database: {name}", "ours": statistics.median(values),
                     "unit": "" if name.startswith("WAL") else "us", "least": min(values),
                     "most": max(values)})
    return rows
