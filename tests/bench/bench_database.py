"""What PostgreSQL costs for a lifecycle: processor time by who spends it, and WAL.

One node with a closed loop, a fixed number of lifecycles a round. Time is what the processes had
of the processor, not the clock, and a round ends when the tables are written and vacuumed, so that
what is left to do belongs to the round that caused it. All submits of ixn-bench have the same
attributes, which LZ4 makes more of than of a real log.
"""

import os
import statistics

from waiting import wait_for
from world import World

ROUNDS = 5
LIFECYCLES = 150000
LOAD = ("--submitters", 4, "--window", 200, "--routers", 2, "--count", LIFECYCLES)

_PROCESSES = """
SELECT pid, CASE WHEN backend_type <> 'client backend' THEN backend_type
                 WHEN query LIKE '%INSERT INTO ixn.journal%' THEN 'journal'
                 ELSE 'checkpoint' END
FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'
"""
_SETTLED = """
SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker')
   AND (SELECT index FROM ixn.checkpoint) = (SELECT max(last_index) FROM ixn.journal)
"""
_WAL = "SELECT wal_records, wal_fpi, wal_bytes FROM pg_stat_wal"


class Meter:
    """What the server's processes spent since the last look."""

    def __init__(self, world):
        self.postmaster = world.postgres.postmaster()
        self.connection = world.postgres.connect()  # one, since each new one costs as well
        self.before = self._look()

    def ask(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def _look(self):
        wal = [int(value) for value in self.ask(_WAL)[0]]
        spent = {}
        for pid, kind in self.ask(_PROCESSES):
            with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
                spent[pid] = kind, int(file.read().split()[0]) / 1000
        with open(f"/proc/{self.postmaster}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        ended = (int(fields[13]) + int(fields[14])) * 1e6 / os.sysconf("SC_CLK_TCK")
        spent[self.postmaster] = "autovacuum workers", ended
        return spent, wal

    def since(self):
        """Microseconds by kind, and what went to the WAL: records, images of pages, bytes."""
        spent, wal = self._look()
        before, wal_before = self.before
        self.before = spent, wal
        kinds = {}
        for pid, (kind, microseconds) in spent.items():
            more = microseconds - before.get(pid, (kind, 0))[1]
            kinds[kind] = kinds.get(kind, 0) + more
        return kinds, [now - then for now, then in zip(wal, wal_before)]


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
