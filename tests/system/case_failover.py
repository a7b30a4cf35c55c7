"""SIGKILL of the primary under load, again and again: the backup serves within milliseconds.

A prober submits one interaction at a time; the gap is from its last answer of the old epoch to its
first of the new one. At the end nothing acknowledged is lost and nothing was made twice (P1 to P4).
"""

import time

from pair import percentile
from takeover import DEDUPE, MOST, MOST_FULL, Load, expect_goals, gap_figures
from waiting import expect, now
from world import World

MEASURES = True
GOALS = {"p50": 150.0, "p95": 300.0}
WIDE = {"p50": 500.0, "p95": 1500.0}  # a default run does not judge a busy machine


def one(pair, load, options):
    """Kills the primary; the gap, and how long its process took to be gone (the kernel frees its
    memory before it closes its connections), both in ms. It is back as a ready backup then."""
    # The moment is the fault, so it is drawn, not waited for.
    time.sleep(options.random.uniform(0.0, 0.2))
    old, epoch = pair.primary(), pair.epoch()
    survivor = pair.other(old)
    began = now()
    old.kill()
    gone = now() - began
    gap = load.prober.wait_taken(epoch)
    survivor.expect_alive()
    old.start(wait=False)
    expect(pair.wait_ready() is survivor, f"{old.name} serves though {survivor.name} took over")
    return gap * 1000, gone * 1000


def run(options):
    rounds = options.rounds or (200 if options.full else 20)
    with World(options, "failover") as world:
        pair = world.start_pair(dedupe=DEDUPE)
        load = Load(pair, seconds=5 * rounds, most=MOST_FULL if options.full else MOST)
        gaps, gone = zip(*[one(pair, load, options) for _ in range(rounds)])
        result = load.finish()
        figures = gap_figures(gaps, GOALS)
        expect_goals(figures, GOALS if options.full else WIDE)
        return {"rounds": rounds, **figures, "process_gone_p50_ms": round(percentile(gone, 0.5), 1),
                **result}
