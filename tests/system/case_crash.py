"""SIGKILL of the node, of a router, of PostgreSQL, at random moments under load; nothing is lost.

Each round kills one of them, or two at once, starts what is dead again and waits until the node
serves. At the end every acknowledged submit is in the database exactly once and completed, with
each result accepted once (P1, P2, P3).
"""

import time

from checks import check_journeys, check_record, wait_all_completed
from waiting import now, wait_for
from world import World

RATE = 400


class Crash:
    def __init__(self, world, options):
        self.world = world
        self.random = options.random
        self.node = world.start_node(routing={"max_router_attempts": 1000})
        self.routers = {name: world.start_router(self.node, name) for name in ("urs-1", "urs-2")}
        self.kills = {"node": 0, "router": 0, "postgres": 0}
        self.restart_seconds = []

    def kill(self, victim):
        self.kills[victim] += 1
        if victim == "node":
            self.node.kill()
        elif victim == "postgres":
            self.world.postgres.kill()
        else:
            name = self.random.choice(sorted(self.routers))
            self.routers[name].kill()

    def restart(self):
        """Starts again whatever is not there."""
        if not self.world.postgres.postmaster():
            self.world.postgres.start()
        began = now()
        if not self.node.process.alive():
            self.node.start()
            self.restart_seconds.append(now() - began)
        for name, router in self.routers.items():
            if not router.alive():
                self.routers[name] = self.world.start_router(self.node, name)

    def head(self):
        return self.world.postgres.value("SELECT max(last_index) FROM ixn.journal")

    def serves(self):
        """The log moves again, so what follows happens under load."""
        before = self.head()
        wait_for("the journal growing after a restart", lambda: self.head() > before + 20)

    def round(self):
        # The moment is the fault, so it is drawn, not waited for.
        time.sleep(self.random.uniform(0.02, 0.8))
        for victim in self.random.sample(sorted(self.kills), self.random.choice([1, 1, 1, 2])):
            self.kill(victim)
        self.restart()
        self.serves()


def run(options):
    rounds = options.rounds or (100 if options.full else 20)
    with World(options, "crash") as world:
        crash = Crash(world, options)
        log = world.path("record.jsonl")
        bench = world.start_bench(crash.node, "--submit-only", "--rate", RATE, "--submitters", 4,
                                  "--window", 500, "--seconds", 100000, "--warmup", 0,
                                  "--drain", 60, "--log", log)
        crash.serves()
        for number in range(rounds):
            crash.round()
            crash.node.expect_alive()
            if not bench.alive():
                raise RuntimeError(f"ixn-bench ended in round {number}: {bench.log_end()}")
        bench.popen.terminate()
        figures = world.finish_bench(bench, 120, good=False)
        wait_all_completed(world, 60)
        result = check_record(world, log)
        check_journeys(world, [("placed", "support"), ("stopped", None)])
        seconds = sorted(crash.restart_seconds) or [0.0]
        return {"rounds": rounds, **{f"kills_{name}": count for name, count in crash.kills.items()},
                **result, "restart_s_max": seconds[-1], "silence_ms": figures["silence_ms"]}
