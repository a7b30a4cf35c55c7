"""Memory is out once while a node starts and recovers: it says so, or goes on (only --full).

One allocation of the process fails, another one at each start (tests/torture). A node that ends has
said why; one that goes on serves all that was there.
"""

import os
import signal

from checks import check_record, wait_all_completed
from waiting import Failure, Skipped, expect, wait_for
from world import World

KEPT = 2000  # about as many interactions
FIRST = 1500  # those before are made by libraries before the program begins
ENDED = (2, 3, -signal.SIGABRT)  # the file; for the operator; a CHECK, or one of a library
SECONDS = 60
ROUNDS = 200


def start(node, library, number, count_path=None):
    """Returns its exit code, or None when it serves."""
    node.prefix = ["env", f"LD_PRELOAD={library}", f"IXN_FAIL_AT={number}"]
    if count_path:
        node.prefix.append(f"IXN_COUNT={count_path}")
    node.start(wait=False)
    node.prefix = []

    def settled():
        return " node.serving " in node.process.log() or not node.process.alive()
    try:
        wait_for("serving, or an end", settled, SECONDS)
    except Failure as failure:
        raise Failure(f"{failure}; allocation {number} failed:\n{node.process.log_end()}") from None
    return None if node.process.alive() else node.process.popen.returncode


def judge(node, number, code):
    said = node.process.log_end()
    expect(code in ENDED, f"allocation {number} failed, and the node ended with {code}:\n{said}")
    expect(said.strip(), f"allocation {number} failed, and the node ended without a word")


def run(options):
    if not options.full and not options.rounds:
        raise Skipped("a long one: --full, or --rounds N")
    rounds = options.rounds or ROUNDS
    library = os.path.join(options.build, "tests", "torture", "libscarce.so")
    expect(os.path.exists(library), f"{library} does not exist; build it first")
    with World(options, "memory") as world:
        node = world.start_node()
        log = world.path("record.jsonl")
        world.bench(node, "--submitters", 2, "--window", 100, "--routers", 2, "--seconds", 1,
                    "--rate", KEPT, "--warmup", 0, "--log", log)
        node.process.stop()
        counted = world.path("count")
        expect(start(node, library, 0, counted) is None, "it does not serve")
        node.process.stop()
        with open(counted, encoding="ascii") as file:
            count = int(file.read())
        ends = {None: 0}
        for _ in range(rounds):
            number = options.random.randrange(FIRST, count)
            code = start(node, library, number)
            ends[code] = ends.get(code, 0) + 1
            if code is None:
                node.process.kill()
            else:
                judge(node, number, code)
        node.start()
        wait_all_completed(world, 60)
        served = ends.pop(None)
        return {"allocations": count, "served": served, "ended": sum(ends.values()),
                **check_record(world, log)}
