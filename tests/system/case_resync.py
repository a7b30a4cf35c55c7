"""A backup comes back empty while very many interactions wait: ready soon, and nobody is held up.

The primary's latencies while the backup loads are held against those of before.
"""

import os
import shutil

from checks import check_record
from pair import READY, percentile
from recovery import checkpointed
from waiting import PATIENT, expect, now
from world import World

MEASURES = True
COUNT, FULL = 100000, 1000000
RATE = 500
FLOOR_MS = 20.0  # a window is short: on a quiet machine two slow commits are its p99


def window(pair, name, body):
    """Runs `body` under an even load; its own result, and latencies meanwhile in ms."""
    world, log = pair.world, pair.world.path(f"{name}.jsonl")
    bench = world.start_bench(pair, "--rate", RATE, "--submitters", 4, "--window", 200,
                              "--submit-only", "--queue", "parked", "--seconds", 100000,
                              "--warmup", 1, "--drain", 60, "--log", log)
    begun = world.postgres.value("SELECT max(last_index) FROM ixn.journal")
    pair.wait("the load beginning", lambda: world.postgres.value(
        "SELECT max(last_index) FROM ixn.journal") > begun + RATE, PATIENT)
    result = body()
    bench.popen.terminate()
    return result, world.finish_bench(bench, 120, good=False)["submit_ms"], log


def resync(pair, empty):
    """Kills the backup and starts it again; seconds until it is ready."""
    backup = pair.other(pair.wait_ready())
    backup.kill()
    if empty:
        shutil.rmtree(backup.state_dir)
        os.makedirs(backup.state_dir)
    began = now()
    backup.start(wait=False)
    pair.wait_role(backup, READY, seconds=300)
    seconds = now() - began
    pair.wait_ready()
    return seconds


def quiet(pair, seconds):
    end = now() + seconds
    pair.wait("the window being over", lambda: now() >= end, seconds + 10)


def run(options):
    count = FULL if options.full else COUNT
    rounds = options.rounds or 3
    with World(options, "resync") as world:
        world.start_database(max_wal_size="4GB", shared_buffers="512MB")
        pair = world.start_pair(limits={"max_interactions": 2 * count + 100000},
                                checkpoint={"max_lag_size": "16GiB"})
        world.bench(pair, "--submit-only", "--queue", "parked", "--count", count, "--submitters", 4,
                    "--window", 1000, seconds=60 + count / 1000)
        checkpointed(world, 60 + count / 5000)
        seconds, before, during, logs = [], [], [], []
        for number in range(rounds):
            _, latency, log = window(pair, f"before-{number}", lambda: quiet(pair, 4))
            before.append(latency["p99"])
            logs.append(log)
            took, latency, log = window(pair, f"during-{number}",
                                        lambda: resync(pair, number % 2 == 1))
            seconds.append(took)
            during.append(latency["p99"])
            logs.append(log)
        checkpointed(world)
        # What was there before the load is not in these records.
        check_record(world, *logs, completed=False, alone=False)
        limit = 5 + 30 * count / 1e6
        expect(max(seconds) <= limit, f"a backup was ready after {max(seconds):.1f} s with {count} "
               f"interactions, at most {limit:.1f} s is good")
        p99_before, p99_during = percentile(before, 0.5), percentile(during, 0.5)
        allowed = 2 * p99_before + FLOOR_MS
        expect(p99_during <= allowed, f"p99 of submits was {p99_before:.2f} ms before and "
               f"{p99_during:.2f} ms while the backup loaded; at most {allowed:.2f} ms is good")
        return {"interactions": count, "ready_s": round(max(seconds), 2),
                "p99_before_ms": p99_before, "p99_during_ms": p99_during, "rounds": rounds}
