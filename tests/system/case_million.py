"""Fail-over takes as long with a million queued interactions as with none (only --full).

The medians of kills of the primary before and after the queue was filled are compared.
"""

import case_failover
from pair import percentile
from recovery import checkpointed
from takeover import Load
from waiting import Skipped, expect
from world import World

MEASURES = True
COUNT = 1000000
FLOOR_MS = 10.0  # of difference: less is the machine


def median(pair, options, rounds):
    """Of the gaps, and of how long the killed process took to be gone, in ms."""
    load = Load(pair, rate=500)
    gaps, gone = zip(*[case_failover.one(pair, load, options) for _ in range(rounds)])
    load.prober.stop()
    load.bench.popen.terminate()
    pair.world.finish_bench(load.bench, 120, good=False)
    return percentile(gaps, 0.5), percentile(gone, 0.5)


def run(options):
    if not options.full:
        raise Skipped("takes long; measured with --full")
    rounds = options.rounds or 20
    with World(options, "million") as world:
        world.start_database(max_wal_size="4GB", shared_buffers="512MB")
        pair = world.start_pair(limits={"max_interactions": 2 * COUNT},
                                checkpoint={"max_lag_size": "16GiB"})
        empty, empty_gone = median(pair, options, rounds)
        world.bench(pair, "--submit-only", "--queue", "parked", "--count", COUNT, "--submitters", 4,
                    "--window", 1000, seconds=60 + COUNT / 1000)
        checkpointed(world, 60 + COUNT / 5000)
        full, full_gone = median(pair, options, rounds)
        limit = max(1.2 * empty, empty + FLOOR_MS)
        expect(full <= limit, f"the median of fail-overs is {full:.1f} ms with {COUNT} "
               f"interactions and {empty:.1f} ms with none; at most {limit:.1f} ms is good (the "
               f"killed process was gone after {full_gone:.1f} and {empty_gone:.1f} ms)")
        return {"interactions": COUNT, "rounds": rounds, "empty_p50_ms": round(empty, 1),
                "full_p50_ms": round(full, 1), "empty_gone_ms": round(empty_gone, 1),
                "full_gone_ms": round(full_gone, 1), "ratio": full / empty}
