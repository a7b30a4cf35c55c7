"""Where the time goes: processor time for each interaction, by who had it, of a pair at full load.

The works of bench-peer on a pair, PostgreSQL and the clients, all on this machine. Time is what
the processes had of the processor, not the clock. A round of each work is not counted."""

import statistics

import bench_peers
import stores
from meter import Meter, thread_microseconds
from world import World

ROUNDS = 3
WORKS = [bench_peers.Work(*shape, bench_peers.GOAL_PAYLOAD)
         for shape in (("lifecycle", 64, 16), ("submit", 8, 100), ("lifecycle", 64, 1))]


def look(store):
    primary = thread_microseconds(store.pair.primary().process.pid)
    backup = thread_microseconds(store.pair.backup().process.pid)
    return {**{f"primary: {kind}": spent for kind, spent in primary.items()},
            "backup": sum(backup.values())}


def one_round(store, meter, work):
    """Microseconds for each interaction, by who."""
    store.settle()  # what the work before has left to do
    meter.since()
    before = look(store)
    figures = store.measure(work)
    spent = {who: microseconds - before[who] for who, microseconds in look(store).items()}
    kinds, _ = meter.since()
    for kind, microseconds in kinds.items():
        who = f"PostgreSQL: {kind if kind in ('journal', 'checkpoint') else 'the rest'}"
        spent[who] = spent.get(who, 0) + microseconds
    spent["clients"] = figures["client_cpu_seconds"] * 1e6
    spent["all"] = sum(spent.values())
    return {who: microseconds / figures["count"] for who, microseconds in spent.items()}


def run(options):
    bench_peers.build(options)
    rows = []
    with World(options, "where") as world:
        store = stores.Ours(world, options)
        store.start()
        meter = Meter(world)
        for work in WORKS:
            rounds = [one_round(store, meter, work) for _ in range(ROUNDS + 1)][1:]
            for who in rounds[0]:
                rows.append({"bench": f"{work.name}: {who}", "unit": "us", "ours":
                             statistics.median(figures[who] for figures in rounds)})
    return rows
