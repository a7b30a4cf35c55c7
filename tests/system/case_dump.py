"""A REPEATABLE READ transaction stays open for long, as a dump does, and commits stay as quick.

Windows of load before it and during it are compared: the median of their p99s from submit to
acknowledgement must stay within twice that of before.
"""

import statistics

from waiting import expect
from world import World

MEASURES = True
RATE = 1000


def window(world, node, seconds):
    figures = world.bench(node, "--rate", RATE, "--submitters", 4, "--window", 200, "--routers", 2,
                          "--seconds", seconds, "--warmup", 1, seconds=seconds + 60)
    return figures["submit_ms"]


def run(options):
    seconds = options.seconds or (600 if options.full else 20)
    windows = max(3, min(10, int(seconds // 60)))
    length = seconds / windows
    with World(options, "dump") as world:
        node = world.start_node()
        window(world, node, 3)  # what is slow only once: files that grow, code that is cold
        before = [window(world, node, length) for _ in range(windows)]
        dump = world.postgres.connect()
        dump.autocommit = False
        dump.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with dump.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM ixn.interaction_history")
            seen = cursor.fetchone()[0]
            during = [window(world, node, length) for _ in range(windows)]
            cursor.execute("SELECT count(*) FROM ixn.interaction_history")
            expect(cursor.fetchone()[0] == seen, "the transaction's snapshot did not stay the same")
        dump.close()
        node.expect_alive()
        # The median of the windows: one slow window is the machine, all of them are the dump.
        p99_before = statistics.median(figures["p99"] for figures in before)
        p99_during = statistics.median(figures["p99"] for figures in during)
        expect(p99_during <= 2 * p99_before, f"p99 of submits was {p99_before:.2f} ms before and "
               f"{p99_during:.2f} ms during the transaction of {seconds} s: more than twice")
        return {"transaction_s": seconds, "p99_before_ms": p99_before, "p99_during_ms": p99_during,
                "p99_last_ms": during[-1]["p99"], "ratio": p99_during / p99_before}
