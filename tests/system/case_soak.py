"""A pair under load meets one random fault after the other, some of them two at a time.

After each the pair must be whole again within a bound (P6); at the end nothing acknowledged is
lost, nothing was made or accepted twice, and both nodes are level. --full: 20 minutes, 200 faults
at least.
"""

import collections
import shutil
import signal
import time

from process import signal_pid
from takeover import DEDUPE, Load
from waiting import expect, now
from world import World

DEFAULT_SECONDS, FULL_SECONDS, FULL_FAULTS = 30, 20 * 60, 200
WHOLE_SECONDS = 90  # after a fault; a backup loads, and a crashed PostgreSQL replays its log


class Faults:
    """Each method is one fault, whole: what it breaks it also mends, within seconds."""

    def __init__(self, pair, random):
        self.pair = pair
        self.world = pair.world
        self.random = random

    def names(self):
        return [name for name in dir(self) if name.startswith("do_")]

    def _wait(self, least, most):
        time.sleep(self.random.uniform(least, most))  # how long a fault lasts is part of it

    def _either(self):
        """The primary, the backup, or whichever there is."""
        node = self.random.choice([self.pair.is_primary, self.pair.is_backup])()
        return node or self.random.choice(self.pair.nodes)

    def _frozen(self, pids, least, most):
        for pid in pids:
            signal_pid(pid, signal.SIGSTOP)
        self._wait(least, most)
        for pid in reversed(pids):
            signal_pid(pid, signal.SIGCONT)

    def do_kill_one(self):
        node = self._either()
        node.kill()
        self._wait(0, 1)
        node.start(wait=False)

    def do_kill_both(self):
        for node in self.pair.nodes:
            node.kill()
        for node in self.random.sample(self.pair.nodes, 2):
            node.start(wait=False)
            self._wait(0, 1)

    def do_stop_one(self):
        node = self._either()
        node.process.stop()
        node.start(wait=False)

    def do_empty_backup(self):
        """Its disk is new: it remembers nothing, not even which database is its own."""
        node = self.pair.is_backup()
        if not node:
            return
        node.kill()
        shutil.rmtree(node.state_dir)
        node.make_state_dir()
        node.start(wait=False)

    def do_freeze_one(self):
        self._frozen([self._either().process.pid], 0.1, 3)

    def do_freeze_pooler(self):
        self._frozen([self.world.pgbouncer.pid()], 0.1, 3)

    def do_freeze_database(self):
        self.world.postgres.freeze()
        self._wait(0.1, 3)
        self.world.postgres.thaw()

    def do_restart_pooler(self):
        self.world.pgbouncer.stop()
        self._wait(0, 1)
        self.world.pgbouncer.start()

    def do_restart_database(self):
        self.world.postgres.stop(self.random.choice(["fast", "immediate"]))
        self.world.postgres.start()

    def do_crash_database(self):
        self.world.postgres.kill()
        self.world.postgres.start()

    def do_end_sessions(self):
        """Every session of the database at once; what they were committing is in doubt."""
        self.world.postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                  "WHERE usename = 'ixn'", database="postgres")

    def do_switchover(self):
        """May be refused, with reason: by then the backup may not be ready any more."""
        if self.pair.level():
            self.pair.ctl("switchover", "--reason", "soak", check=False)


def one(pair, faults, counts):
    """One fault, or two of which the second comes before the pair has mended the first."""
    for name in faults.random.sample(faults.names(), faults.random.choice([1, 1, 2])):
        counts[name[3:]] += 1
        getattr(faults, name)()
    began = now()
    pair.wait_ready(WHOLE_SECONDS)
    return now() - began


def run(options):
    seconds = options.seconds or (FULL_SECONDS if options.full else DEFAULT_SECONDS)
    with World(options, "soak") as world:
        pair = world.start_pair(dedupe=DEDUPE)
        load = Load(pair, rate=1000)
        faults, counts, whole = Faults(pair, options.random), collections.Counter(), []
        end = now() + seconds
        while now() < end:
            whole.append(one(pair, faults, counts))
            load.prober.wait_acks(10)
        result = load.finish()
        level = pair.wait_ready()
        expect(not options.full or options.seconds or counts.total() >= FULL_FAULTS,
               f"only {counts.total()} faults in {seconds} s")
        return {"faults": counts.total(), **{f"of_{name}": counts[name] for name in sorted(counts)},
                "whole_after_s_max": round(max(whole), 1), "primary": level.name, **result}
